import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import {
  type CompiledQuery,
  DummyDriver,
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSqlite } from '../../platform/sqlite.ts';
import { countSpokes, readSpokePage, type SpokeFilter } from '../../wireguard/spokes/spoke-list.ts';
import { type HubDatabase, migrations } from '../../wireguard/store/schema.ts';

let folder: string;
let database: DatabaseSync;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lk-spoke-list-'));
  const path = join(folder, 'hub.db');
  await (await openSqlite(path, { migrations, create: true })).close();
  database = new DatabaseSync(path, { readOnly: true });
});
afterAll(() => {
  database.close();
  rmSync(folder, { recursive: true });
});

/** How SQLite goes about what `work` asks for. */
async function planOf(work: (db: Kysely<HubDatabase>) => Promise<unknown>): Promise<string[]> {
  const asked: CompiledQuery[] = [];
  const nowhere = new Kysely<HubDatabase>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (db) => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
    log: ({ query }) => void asked.push(query),
  });
  await work(nowhere);
  expect(asked.length).toBeGreaterThan(0);
  return asked.flatMap(({ sql, parameters }) =>
    database
      .prepare(`explain query plan ${sql}`)
      .all(...(parameters as string[]))
      .map(({ detail }) => String(detail)),
  );
}

const mark = { interface: 'wg0', createdAt: 1, id: 'a' };
test.each<[string, SpokeFilter, string]>([
  ['all', {}, 'peer_by_kind (interface=? AND kind=?'],
  ['one status', { status: 'active' }, 'spoke_by_status (interface=? AND kind=? AND status=?'],
  ['one family', { osFamily: 'proxmox' }, 'spoke_by_os (interface=? AND kind=? AND os_family=?'],
  ['one status of a family', { osFamily: 'linux', status: 'active' }, 'spoke_by_'],
])('a page of %s begins at its mark in an index, and sorts nothing', async (_, filter, index) => {
  const first = await planOf((db) => readSpokePage(db, ['wg0'], filter, null, 100));
  const next = await planOf((db) => readSpokePage(db, ['wg0'], filter, mark, 100));
  expect(first).toEqual([expect.stringContaining(`USING INDEX ${index}`)]);
  expect(next).toEqual([expect.stringContaining(`USING INDEX ${index}`)]);
  expect(next[0]).toContain('(created_at,id)>(?,?)');
});

test.each<[string, SpokeFilter, string]>([
  ['all', {}, 'spoke_by_status'],
  ['one family', { osFamily: 'linux' }, 'spoke_by_os'],
])('%s are counted without a look at a row', async (_, filter, index) => {
  const [search] = await planOf((db) => countSpokes(db, ['wg0'], filter));
  expect(search).toContain(`COVERING INDEX ${index}`);
});
