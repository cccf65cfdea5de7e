import { describe } from 'vitest';
import { testClusters } from './cluster-contract.ts';
import { sqlitePlace } from './hub-store.ts';

describe('Proxmox clusters on SQLite', () => testClusters(sqlitePlace));
