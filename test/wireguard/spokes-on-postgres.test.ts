import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe } from 'vitest';
import { postgresMissing, TestPostgres } from '../harness/postgres.ts';
import { urlFileIn } from './made-hub.ts';
import { testSpokes } from './spoke-contract.ts';

describe.skipIf(postgresMissing() !== null)('spokes on PostgreSQL', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lk-spokes-'));
  let postgres: TestPostgres | null = null;
  // after the hub has ended, whose hook is the later one
  afterAll(async () => {
    await postgres?.stop();
    rmSync(folder, { recursive: true });
  });
  testSpokes(async () => {
    postgres = await TestPostgres.start();
    return { database: { urlFile: urlFileIn(folder, await postgres.newDatabase()) } };
  });
});
