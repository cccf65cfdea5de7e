import { describe } from 'vitest';
import { postgresMissing } from '../harness/postgres.ts';
import { postgresPlace } from './hub-store.ts';
import { testScrape } from './scrape-contract.ts';

describe.skipIf(postgresMissing() !== null)('what monitoring is shown on PostgreSQL', () => testScrape(postgresPlace));
