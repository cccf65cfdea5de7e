import { describe } from 'vitest';
import { testClusters } from './cluster-contract.ts';
import { sqlitePlace } from './hub-store.ts';
import { testSpokes } from './spoke-contract.ts';

describe('Proxmox clusters on SQLite', () => testClusters(sqlitePlace));
describe('spokes on SQLite', () => testSpokes(() => ({})));
