import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSqlite } from '../../platform/sqlite.ts';
import { type ContractTables, contractMigrations as migrations, testStoreContract } from './store-contract.ts';

let folder: string;
let count = 0;
const path = (): string => join(folder, `test-${count}.db`);
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-sqlite-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('SQLite', () => {
  testStoreContract({
    open: ({ create }) => openSqlite<ContractTables>(path(), { migrations, create }),
    renew: async () => void count++,
  });
});

describe('openSqlite()', () => {
  it('makes no file where it refuses', async () => {
    const missing = join(folder, 'none.db');
    await expect(openSqlite(missing, { migrations })).rejects.toMatchObject({ code: 'store_missing' });
    expect(existsSync(missing)).toBe(false);
  });
  it('refuses a file that is no database', async () => {
    await expect(openSqlite('/etc/passwd', { migrations })).rejects.toMatchObject({ code: 'store_not_opened' });
  });
  it('refuses all who wait for a database that another process holds together, and none of them one after the other', async () => {
    count++;
    const store = await openSqlite<ContractTables>(path(), { migrations, create: true, patience: 300 });
    const other = new DatabaseSync(path());
    other.exec('begin immediate');
    const add = (n: number) => store.transaction((tx) => tx.insertInto('item').values({ n }).execute());
    let turns = 0;
    const others = setInterval(() => turns++, 10);
    const refused = await Promise.allSettled([add(1), add(2), add(3)]);
    clearInterval(others);
    expect(turns).toBeGreaterThan(2); // what does not write goes on meanwhile
    expect(refused).toMatchObject(refused.map(() => ({ status: 'rejected', reason: { code: 'store_not_written' } })));
    expect(new Set(refused.map((one) => one.status === 'rejected' && one.reason)).size).toBe(1);
    other.exec('rollback');
    other.close();
    await add(4);
    expect(await store.read((db) => db.selectFrom('item').selectAll().execute())).toEqual([{ n: 4 }]);
    await store.close();
  });
  it('writes as soon as another process lets go of the database', async () => {
    count++;
    const store = await openSqlite<ContractTables>(path(), { migrations, create: true });
    const other = new DatabaseSync(path());
    other.exec('begin immediate');
    const added = store.transaction((tx) => tx.insertInto('item').values({ n: 1 }).execute());
    expect(await store.read((db) => db.selectFrom('item').selectAll().execute())).toEqual([]);
    other.exec('insert into item (n) values (2); commit');
    other.close();
    await added;
    expect(await store.read((db) => db.selectFrom('item').select('n').orderBy('n').execute())).toEqual([
      { n: 1 },
      { n: 2 },
    ]);
    await store.close();
  });
  it('keeps what a process had committed that was killed right after', async () => {
    count++;
    await (await openSqlite(path(), { migrations, create: true })).close();
    const child = `
      import { openSqlite } from ${JSON.stringify(join(import.meta.dirname, '../../platform/sqlite.ts'))};
      const store = await openSqlite(${JSON.stringify(path())}, { migrations: { '001': { up: async () => undefined } } });
      await store.transaction((tx) => tx.insertInto('item').values({ n: 5 }).execute());
      process.kill(process.pid, 'SIGKILL');`;
    const ended = spawnSync(process.execPath, ['--input-type=module', '-e', child]);
    expect(ended.signal).toBe('SIGKILL');
    const store = await openSqlite<ContractTables>(path(), { migrations });
    expect(await store.read((db) => db.selectFrom('item').selectAll().execute())).toEqual([{ n: 5 }]);
    await store.close();
  });
});
