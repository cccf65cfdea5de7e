import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Migration } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqlite } from '../../platform/sqlite.ts';
import type { Store } from '../../platform/store.ts';

interface Tables {
  item: { n: number };
}
const migrations: Record<string, Migration> = {
  '001': {
    up: async (db) =>
      db.schema
        .createTable('item')
        .addColumn('n', 'integer', (c) => c.primaryKey())
        .execute(),
  },
};

let folder: string;
let store: Store<Tables>;
const path = (): string => join(folder, 'test.db');
const add = (n: number) => store.transaction(async (tx) => void (await tx.insertInto('item').values({ n }).execute()));
const all = () =>
  store.read(async (db) => (await db.selectFrom('item').select('n').orderBy('n').execute()).map((row) => row.n));

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-sqlite-'));
  store = await openSqlite<Tables>(path(), { migrations, create: true });
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

describe('openSqlite()', () => {
  it('refuses a database that is not there, and makes none', async () => {
    const missing = join(folder, 'none.db');
    await expect(openSqlite(missing, { migrations })).rejects.toMatchObject({ code: 'store_missing' });
    expect(existsSync(missing)).toBe(false);
  });
  it('refuses a file that is no database', async () => {
    await expect(openSqlite('/etc/passwd', { migrations })).rejects.toMatchObject({ code: 'store_not_opened' });
  });
});

describe('transaction()', () => {
  it('undoes only the job that fails, though its company shared the commit', async () => {
    const jobs = [1, 2, 3].map((n) =>
      store.transaction(async (tx) => {
        await tx.insertInto('item').values({ n }).execute();
        if (n === 2) throw new Error('second thoughts');
        return n;
      }),
    );
    const results = await Promise.allSettled(jobs);
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await all()).toEqual([1, 3]);
  });

  it('refuses what breaks a constraint and keeps the first', async () => {
    const results = await Promise.allSettled([add(1), add(1)]);
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected']);
    expect(await all()).toEqual([1]);
  });

  it('runs jobs in the order they came, more than one group of them', async () => {
    const seen: number[] = [];
    await Promise.all(Array.from({ length: 300 }, (_, n) => store.transaction(async () => void seen.push(n))));
    expect(seen).toEqual(Array.from({ length: 300 }, (_, n) => n));
  });

  it('is not seen by read() before it is committed', async () => {
    let during: number[] = [-1];
    await store.transaction(async (tx) => {
      await tx.insertInto('item').values({ n: 9 }).execute();
      during = await all();
    });
    expect([during, await all()]).toEqual([[], [9]]);
  });

  it('is refused after close()', async () => {
    await store.close();
    await expect(add(1)).rejects.toMatchObject({ code: 'store_closed' });
    store = await openSqlite<Tables>(path(), { migrations });
  });

  it('outlives a process that is killed right after its promise', async () => {
    const child = `
      import { openSqlite } from ${JSON.stringify(join(import.meta.dirname, '../../platform/sqlite.ts'))};
      const store = await openSqlite(${JSON.stringify(path())}, { migrations: { '001': { up: async () => undefined } } });
      await store.transaction((tx) => tx.insertInto('item').values({ n: 5 }).execute());
      process.kill(process.pid, 'SIGKILL');`;
    const ended = spawnSync(process.execPath, ['--input-type=module', '-e', child]);
    expect(ended.signal).toBe('SIGKILL');
    expect(await all()).toEqual([5]);
  });
});
