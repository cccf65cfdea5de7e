import { describe } from 'vitest';
import { postgresMissing } from '../harness/postgres.ts';
import { postgresPlace } from './hub-store.ts';
import { testPeers } from './peer-contract.ts';

describe.skipIf(postgresMissing() !== null)('peers on PostgreSQL', () => testPeers(postgresPlace));
