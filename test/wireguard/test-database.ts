import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { HubConfig } from '../../wireguard/data/hub-config.ts';
import { TestPostgres } from '../harness/postgres.ts';

/** With LATCHKEY_HUB_DATABASE=postgres the tests of a hub's calls and commands are of a hub whose state is in PostgreSQL. */
const isPostgres = process.env.LATCHKEY_HUB_DATABASE === 'postgres';
let server: Promise<TestPostgres> | null = null;
if (isPostgres) afterAll(async () => (await server)?.stop());

/** Where a hub that runs in a test keeps its state: a new database each time, whose URL is in a file in `folder`; `null` for SQLite. */
export async function databaseForTest(folder: string): Promise<HubConfig['database']> {
  if (!isPostgres) return null;
  server ??= TestPostgres.start();
  const urlFile = join(folder, 'url');
  writeFileSync(urlFile, `${await (await server).newDatabase()}\n`, { mode: 0o600 });
  return { urlFile };
}
