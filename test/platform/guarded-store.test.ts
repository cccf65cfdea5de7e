import { copyFileSync, existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { databaseFile, isKillFilePresent, killFile } from '../../keyserver/data-directory.ts';
import { Health } from '../../keyserver/health.ts';
import { killAll } from '../../keyserver/kill-switch.ts';
import type { Database } from '../../keyserver/schema.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { guardStore, isWritable } from '../../platform/guarded-store.ts';
import type { Store } from '../../platform/store.ts';
import { makeTestData, someMoment, type TestData } from '../keyserver/test-data.ts';

let test: TestData;
let store: Store<Database>;
let path: string;
beforeEach(async () => {
  test = await makeTestData();
  path = databaseFile(test.data.directory);
  store = guardStore(test.data.store, path, test.clock);
});
afterEach(() => test.remove());

const degraded = { code: 'degraded', status: 503, retryAfter: 10 };
const later = () => test.clock.set(test.clock.now() + 1000);

describe('guardStore()', () => {
  it.each([
    ['deleted', (file: string) => rmSync(file)],
    ['moved away', (file: string) => renameSync(file, `${file}.old`)],
    [
      'replaced by a copy',
      (file: string) => {
        copyFileSync(file, `${file}.copy`);
        renameSync(`${file}.copy`, file);
      },
    ],
  ])('refuses to write when the database was %s under it', async (_, attack) => {
    expect(await isWritable(store)).toBe(true);
    attack(path);
    later();
    let asked = false;
    const attempt = store.transaction(async () => {
      asked = true;
    });
    await expect(attempt).rejects.toMatchObject(degraded);
    expect(asked).toBe(false);
  });
  it('refuses to write when the log of the database was deleted', async () => {
    expect(existsSync(`${path}-wal`)).toBe(true);
    rmSync(`${path}-wal`);
    later();
    expect(await isWritable(store)).toBe(false);
  });
  it('notices within a tenth of a second', async () => {
    expect(await isWritable(store)).toBe(true);
    rmSync(path);
    test.clock.set(test.clock.now() + 100);
    expect(await isWritable(store)).toBe(false);
  });
  it('calls a database that refuses to write degraded', async () => {
    const attempt = store.transaction((tx) =>
      tx
        .insertInto('switch')
        .values({ name: 'other' as 'kill', since: null as unknown as number, reason: null })
        .execute(),
    );
    await expect(attempt).rejects.toMatchObject(degraded);
  });
  it("lets a refusal of the work's own through as it is", async () => {
    const refusal = new LatchkeyError('client_unknown', 'no');
    await expect(store.transaction(() => Promise.reject(refusal))).rejects.toBe(refusal);
  });
});

describe('Health.status()', () => {
  const health = (isSealed = false) =>
    new Health({
      store,
      clock: test.clock,
      isSealed: () => isSealed,
      killFile: () => isKillFilePresent(test.data.directory),
    });

  it('is sealed before anything else', async () => {
    writeFileSync(killFile(test.data.directory), '');
    expect(await health(true).status()).toBe('sealed');
  });
  it('is degraded when nothing can be written', async () => {
    rmSync(path);
    expect(await health().status()).toBe('degraded');
  });
  it('is killed by the switch and by the file, and well again without', async () => {
    expect(await health().status()).toBe('ok');
    writeFileSync(join(test.data.directory, 'KILL'), '');
    expect(await health().status()).toBe('killed');
    rmSync(join(test.data.directory, 'KILL'));
    expect(await health().status()).toBe('ok');
    await store.transaction((tx) => killAll(tx, null, someMoment));
    expect(await health().status()).toBe('killed');
  });
  it('writes once in two seconds, however often it is asked', async () => {
    let writes = 0;
    const counted: Store<Database> = {
      ...store,
      read: (work) => store.read(work),
      transaction: (work) => {
        writes += 1;
        return store.transaction(work);
      },
    };
    const one = new Health({ store: counted, clock: test.clock, isSealed: () => false, killFile: () => false });
    for (let count = 0; count < 10; count++) await one.status();
    expect(writes).toBe(1);
    test.clock.set(test.clock.now() + 1999);
    await one.status();
    expect(writes).toBe(1);
    test.clock.set(test.clock.now() + 1);
    await one.status();
    expect(writes).toBe(2);
  });
});
