import { describe } from 'vitest';
import { postgresMissing } from '../harness/postgres.ts';
import { testClusters } from './cluster-contract.ts';
import { postgresPlace } from './hub-store.ts';

describe.skipIf(postgresMissing() !== null)('Proxmox clusters on PostgreSQL', () => testClusters(postgresPlace));
