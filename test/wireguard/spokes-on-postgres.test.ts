import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import { postgresMissing, TestPostgres } from '../harness/postgres.ts';
import { testClusters } from './cluster-contract.ts';
import { postgresPlace } from './hub-store.ts';
import { urlFileIn } from './made-hub.ts';
import { testSpokes } from './spoke-contract.ts';

describe.skipIf(postgresMissing() !== null)('on PostgreSQL', () => {
  let folder: string;
  let postgres: TestPostgres;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'lk-spokes-'));
    postgres = await TestPostgres.start();
  });
  afterAll(async () => {
    await postgres.stop();
    rmSync(folder, { recursive: true });
  });

  describe('Proxmox clusters', () => testClusters(() => postgresPlace(postgres)));
  describe('spokes', () => {
    testSpokes(async () => ({ database: { urlFile: urlFileIn(folder, await postgres.newDatabase()) } }));
  });
});
