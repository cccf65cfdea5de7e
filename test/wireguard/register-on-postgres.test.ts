import { describe } from 'vitest';
import { postgresMissing } from '../harness/postgres.ts';
import { postgresPlace } from './hub-store.ts';
import { testRegister } from './register-contract.ts';

describe.skipIf(postgresMissing() !== null)('the register of peers on PostgreSQL', () => testRegister(postgresPlace));
