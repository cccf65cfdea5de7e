import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../keyserver/config.ts';
import type { TestPostgres } from '../harness/postgres.ts';

/** Where the servers that tests make keep their state: SQLite, unless `on-postgres.ts` says otherwise for its process. */
const place: { postgres: TestPostgres | null } = { postgres: null };

export function keepStateIn(postgres: TestPostgres | null): void {
  place.postgres = postgres;
}

/** Tests that pull at the SQLite file itself say so by this. */
export function isOnPostgres(): boolean {
  return place.postgres !== null;
}

/** A database for one new server; its config entry, and how it is given up. */
export async function newTestDatabase(folder: string): Promise<{ database: Config['database']; giveUp: () => void }> {
  const { postgres } = place;
  if (postgres === null) return { database: null, giveUp: () => undefined };
  const url = await postgres.newDatabase('kept');
  const urlFile = join(folder, 'database-url');
  writeFileSync(urlFile, url, { mode: 0o600 });
  return { database: { urlFile }, giveUp: () => postgres.giveBack(url) };
}
