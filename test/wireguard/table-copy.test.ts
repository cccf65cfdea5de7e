import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appendAudit, readAudit } from '../../platform/audit-chain.ts';
import { openPostgres } from '../../platform/postgres.ts';
import { parsePostgresUrl } from '../../platform/postgres-url.ts';
import { openSqlite } from '../../platform/sqlite.ts';
import type { Store } from '../../platform/store.ts';
import {
  copyTables,
  differingTable,
  digestTables,
  emptyTables,
  isEmptyStore,
} from '../../wireguard/backup/table-copy.ts';
import { type HubDatabase, migrations } from '../../wireguard/store/schema.ts';
import { postgresMissing, TestPostgres } from '../harness/postgres.ts';
import { columnsIn, insertRandomRows, randomRows } from './random-rows.ts';

let folder: string;
const sqlite = (name: string) => openSqlite<HubDatabase>(join(folder, name), { migrations, create: true });
const moved = (from: Store<HubDatabase>, to: Store<HubDatabase>) =>
  from.transaction((source) => to.transaction((target) => copyTables(source, target)));

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lk-copy-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('digestTables()', () => {
  it('tells any one value that is another, a row that is missing, and two values that changed places', async () => {
    const store = await sqlite('digest.db');
    const rows = { sha256: 'a', made_at: 1, size: 2, file: 'b', sealed_with: 'age' as const };
    const digests = async (change: Partial<typeof rows>) => {
      await store.transaction(async (tx) => {
        await emptyTables(tx);
        await tx
          .insertInto('backup')
          .values({ ...rows, ...change })
          .execute();
      });
      return store.read((db) => digestTables(db));
    };
    const first = await digests({});
    expect(differingTable(first, await digests({}))).toBeNull();
    for (const change of [{ sha256: 'A' }, { made_at: 2, size: 1 }, { file: '' }, { sha256: 'b', file: 'a' }]) {
      expect(differingTable(first, await digests(change))).toBe('backup');
    }
    await store.transaction(emptyTables);
    expect(differingTable(first, await store.read((db) => digestTables(db)))).toBe('backup');
    await store.close();
  });
});

describe.skipIf(postgresMissing() !== null)('copyTables()', () => {
  let postgres: TestPostgres;
  let database: string;
  let one: Store<HubDatabase>;
  let two: Store<HubDatabase>;
  let remote: Store<HubDatabase>;
  beforeAll(async () => {
    postgres = await TestPostgres.start();
    const url = await postgres.newDatabase();
    database = url.replace(/^.*\//, '');
    remote = await openPostgres<HubDatabase>(parsePostgresUrl(url, 'url'), { migrations, create: true });
    one = await sqlite('one.db');
    two = await sqlite('two.db');
  });
  afterAll(async () => {
    for (const store of [one, two, remote]) await store.close();
    await postgres.stop();
  });
  const empty = async () => {
    for (const store of [one, two, remote]) await store.transaction(emptyTables);
  };

  it('brings any rows to PostgreSQL and back as they were', async () => {
    await fc.assert(
      fc.asyncProperty(randomRows(columnsIn(join(folder, 'one.db'))), async (rows) => {
        await empty();
        await one.transaction((tx) => insertRandomRows(tx, rows));
        await moved(one, remote);
        await moved(remote, two);
        const wanted = await one.read((db) => digestTables(db));
        expect(wanted.map(({ rows: count }) => count)).toEqual(wanted.map(({ table }) => rows[table]?.length));
        expect(await remote.read((db) => digestTables(db))).toEqual(wanted);
        expect(await two.read((db) => digestTables(db))).toEqual(wanted);
      }),
      { numRuns: 25 },
    );
  });
  it('brings tables of many pages, and the log goes on behind its last record', async () => {
    await empty();
    await one.transaction(async (tx) => {
      for (let number = 1; number <= 1203; number += 1) await appendAudit(tx, { time: number, event: 'ünïcode ✓' });
    });
    await moved(one, remote);
    expect(await remote.read((db) => digestTables(db))).toEqual(await one.read((db) => digestTables(db)));
    expect(await remote.transaction((tx) => appendAudit(tx, { time: 1, event: 'next' }))).toMatchObject({ seq: 1204 });
    expect((await remote.read((db) => readAudit(db, 1202, 5))).map(({ seq }) => seq)).toEqual([1203, 1204]);
  });
  it('refuses a zero byte, which PostgreSQL has no place for, and copies nothing', async () => {
    await empty();
    const row = { sha256: 'a', made_at: 1, size: 2, file: 'b\0c', sealed_with: 'age' as const };
    await one.transaction((tx) => tx.insertInto('backup').values(row).execute());
    await expect(moved(one, remote)).rejects.toMatchObject({ code: 'store_not_copied' });
    expect(await remote.read(isEmptyStore)).toBe(true);
  });
  it('refuses a number no program of ours writes, and copies nothing', async () => {
    await empty();
    const digits = '9007199254740993'; // 2^53 + 1
    await postgres.sql(`insert into backup values ('a', ${digits}, 1, 'f', 'age')`, database);
    await expect(moved(remote, two)).rejects.toThrow(RangeError);
    expect(await two.read(isEmptyStore)).toBe(true);
  });
});
