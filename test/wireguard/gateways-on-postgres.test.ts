import { describe } from 'vitest';
import { postgresMissing } from '../harness/postgres.ts';
import { testGateways } from './gateway-contract.ts';
import { postgresPlace } from './hub-store.ts';

describe.skipIf(postgresMissing() !== null)('gateways on PostgreSQL', () => testGateways(postgresPlace));
