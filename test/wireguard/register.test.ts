import { describe } from 'vitest';
import { sqlitePlace } from './hub-store.ts';
import { testRegister } from './register-contract.ts';

describe('the register of peers on SQLite', () => testRegister(sqlitePlace));
