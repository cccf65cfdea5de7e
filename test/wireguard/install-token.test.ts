import { describe } from 'vitest';
import { postgresMissing } from '../harness/postgres.ts';
import { postgresPlace, sqlitePlace } from './hub-store.ts';
import { testInstallTokens } from './install-token-contract.ts';

describe('install tokens in SQLite', () => testInstallTokens(sqlitePlace));
describe.skipIf(postgresMissing() !== null)('install tokens in PostgreSQL', () => testInstallTokens(postgresPlace));
