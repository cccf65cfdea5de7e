import { describe } from 'vitest';
import { sqlitePlace } from './hub-store.ts';
import { testPeers } from './peer-contract.ts';

describe('peers on SQLite', () => testPeers(sqlitePlace));
