import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createAuthority, issueServerIdentity } from '../../keyserver/certificates/issuing.ts';
import { systemRandom } from '../../platform/clock.ts';
import { privateKeyPem } from '../../platform/listening/identity.ts';
import { openPostgres, type PostgresOptions } from '../../platform/postgres.ts';
import { parsePostgresUrl } from '../../platform/postgres-url.ts';
import { run } from '../../platform/run.ts';
import type { Store } from '../../platform/store.ts';
import { postgresMissing, TestPostgres } from '../harness/postgres.ts';
import { CutLine } from './cut-line.ts';
import { type ContractTables, contractMigrations as migrations, testStoreContract } from './store-contract.ts';

const folder = mkdtempSync(join(tmpdir(), 'latchkey-postgres-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(postgresMissing() !== null)('PostgreSQL', () => {
  let postgres: TestPostgres;
  let url = '';
  const open = (options: Partial<PostgresOptions> = {}, at = url) =>
    openPostgres<ContractTables>(parsePostgresUrl(at, 'url'), { migrations, ...options });
  const renew = async (): Promise<void> => {
    if (url !== '') postgres.giveBack(url);
    url = await postgres.newDatabase();
  };
  const add = (store: Store<ContractTables>, n: number) =>
    store.transaction(async (tx) => void (await tx.insertInto('item').values({ n }).execute()));
  const all = (store: Store<ContractTables>) =>
    store.read(async (db) => (await db.selectFrom('item').select('n').orderBy('n').execute()).map((row) => row.n));

  beforeAll(async () => {
    const authority = await createAuthority('Test', Date.now(), systemRandom);
    const identity = await issueServerIdentity(authority, ['127.0.0.1'], Date.now(), systemRandom);
    writeFileSync(join(folder, 'ca.pem'), authority.certificate);
    const other = await createAuthority('Other', Date.now(), systemRandom);
    writeFileSync(join(folder, 'other.pem'), other.certificate);
    postgres = await TestPostgres.start({
      tls: { certificate: identity.certificate, key: privateKeyPem(identity.privateKey) },
    });
  });
  afterAll(() => postgres.stop());

  testStoreContract({ open: ({ create }) => open({ create }), renew });

  describe('openPostgres()', () => {
    beforeEach(renew);

    it('tells what is wrong, and never the password', async () => {
      const wrong = url.replace(postgres.password, 'canary-password');
      const failed = await open({}, wrong).catch((error: unknown) => error);
      expect(failed).toMatchObject({ code: 'store_not_opened', hint: expect.stringContaining('password') });
      const nowhere = await open({}, url.replace(/\/[^/]+$/, '/absent')).catch((error: unknown) => error);
      expect(nowhere).toMatchObject({ code: 'store_not_opened', hint: expect.stringContaining('createdb') });
      const address = parsePostgresUrl(wrong, 'url');
      for (const thing of [failed, nowhere, address]) {
        const everything = inspect(thing, { depth: 20, showHidden: true }) + JSON.stringify(thing);
        expect(everything).not.toContain('canary-password');
        expect(everything).not.toContain(postgres.password);
      }
    });

    it('refuses tables of a newer version', async () => {
      const more = { ...migrations, '002': { up: async () => undefined } };
      await (await open({ migrations: more, create: true })).close();
      await expect(open()).rejects.toMatchObject({ code: 'store_not_opened' });
    });

    it('makes the tables once when two servers begin at the same moment', async () => {
      const stores = await Promise.all([open({ create: true }), open({ create: true }), open({ create: true })]);
      await Promise.all(stores.map((store, n) => add(store, n)));
      expect(await all(stores[0])).toEqual([0, 1, 2]);
      await Promise.all(stores.map((store) => store.close()));
    });

    it.each(['fsync', 'synchronous_commit'])('refuses a server that has %s off', async (setting) => {
      await postgres.set(setting, 'off');
      try {
        const refused = { code: 'store_not_durable', exit: 3, message: expect.stringContaining(setting) };
        await expect(open({ create: true })).rejects.toMatchObject(refused);
      } finally {
        await postgres.set(setting, null);
      }
    });

    it('speaks TLS with a server that proves its name, and with no other', async () => {
      const tls = (authority: string) => `${url}?sslmode=verify-full&sslrootcert=${join(folder, authority)}`;
      const store = await open({ create: true }, tls('ca.pem'));
      const mine = `where datname = '${url.replace(/.*\//, '')}' and application_name = 'latchkey'`;
      const ask = () => postgres.sql(`select ssl from pg_stat_ssl natural join pg_stat_activity ${mine}`);
      await expect.poll(ask).toEqual([{ ssl: true }]);
      await store.close();
      await expect(open({}, tls('other.pem'))).rejects.toMatchObject({ code: 'store_not_opened' });
      await expect(open({}, tls('ca.pem').replace('@127.0.0.1', '@localhost'))).rejects.toMatchObject({
        code: 'store_not_opened',
        hint: expect.stringContaining('prove'),
      });
    });

    it('reaches it by its Unix socket', async () => {
      const [, user, database] = /\/\/([^@]*)@[^/]*\/(.*)$/.exec(url) ?? [];
      const socket = `postgresql://${user}@/${database}?host=${encodeURIComponent(postgres.folder)}&port=${postgres.port}`;
      await (await open({ create: true }, socket)).close();
    });

    it('takes no password from the environment', async () => {
      const without = url.replace(`:${postgres.password}`, '');
      process.env.PGPASSWORD = postgres.password;
      try {
        await expect(open({ create: true }, without)).rejects.toMatchObject({ code: 'store_not_opened' });
      } finally {
        delete process.env.PGPASSWORD;
      }
    });
  });

  describe('a transaction', () => {
    let store: Store<ContractTables>;
    let line: CutLine;
    beforeEach(async () => {
      await renew();
      await (await open({ create: true })).close();
      line = await CutLine.to(postgres.port);
      store = await open({}, url.replace(`:${postgres.port}/`, `:${line.port}/`));
    });
    afterEach(async () => {
      await store.close();
      await line.close();
    });

    it('is run again when the line broke before its commit was sent', async () => {
      line.cut('after', 'insert into');
      let runs = 0;
      await store.transaction(async (tx) => {
        runs += 1;
        await tx.insertInto('item').values({ n: 1 }).execute();
      });
      expect([line.waits, runs, await all(store)]).toEqual([false, 2, [1]]);
    });

    it.each([
      ['before the commit arrived', 'before', []],
      ['before its answer came back', 'after', [1, 2]],
    ] as const)('has an unknown outcome when the line broke %s, for all who shared it', async (_, moment, left) => {
      let runs = 0;
      line.cut(moment, 'commit\0');
      const jobs = [1, 2].map((n) =>
        store.transaction(async (tx) => {
          runs += 1;
          await tx.insertInto('item').values({ n }).execute();
        }),
      );
      const unknown = { status: 'rejected', reason: { code: 'store_outcome_unknown', status: 503 } };
      expect(await Promise.allSettled(jobs)).toMatchObject([unknown, unknown]);
      expect([line.waits, runs]).toEqual([false, 2]);
      expect(await all(store)).toEqual(left);
      await add(store, 3);
    });

    it('has an unknown outcome when the standby that must confirm it did not', async () => {
      const hasty = await open({ limits: { answer: 400 } });
      await postgres.set('synchronous_standby_names', 'nobody');
      try {
        await expect(add(hasty, 1)).rejects.toMatchObject({ code: 'store_outcome_unknown' });
      } finally {
        await postgres.set('synchronous_standby_names', null);
      }
      await add(hasty, 2);
      await hasty.close();
    });

    it('does not begin on a server that stopped being durable', async () => {
      await add(store, 1);
      await postgres.set('synchronous_commit', 'off');
      let runs = 0;
      const attempt = async () =>
        store.transaction(async () => {
          runs += 1;
        });
      try {
        // the server's processes hear of it one by one
        await expect.poll(() => attempt().catch((error: { code: string }) => error.code)).toBe('store_not_durable');
        const before = runs;
        await expect(attempt()).rejects.toMatchObject({ code: 'store_not_durable', status: 503 });
        expect(runs).toBe(before);
      } finally {
        await postgres.set('synchronous_commit', null);
      }
      await expect
        .poll(() =>
          attempt().then(
            () => 'done',
            () => 'refused',
          ),
        )
        .toBe('done');
    });

    it('waits for another server no longer than its limit, and does nothing then', async () => {
      const hasty = await open({ limits: { lock: 100 } });
      let release = (): void => undefined;
      let entered = (): void => undefined;
      const inside = new Promise<void>((resolve) => {
        entered = resolve;
      });
      const holding = store.transaction(async (tx) => {
        await tx.insertInto('item').values({ n: 1 }).execute();
        entered();
        await new Promise<void>((resolve) => {
          release = resolve;
        });
      });
      await inside;
      await expect(Promise.all([add(hasty, 2), add(hasty, 3)])).rejects.toMatchObject({ code: 'store_unreachable' });
      release();
      await holding;
      expect(await all(store)).toEqual([1]);
      await hasty.close();
    });

    it('that stands still is thrown out, holds nobody up, and is run again', async () => {
      const slow = await open({ limits: { idleInTransaction: 100 } });
      let runs = 0;
      const frozen = slow.transaction(async (tx) => {
        runs += 1;
        if (runs === 1) await delay(400);
        await tx.insertInto('item').values({ n: 1 }).execute();
      });
      await delay(50);
      await add(store, 2);
      await frozen;
      expect([runs, await all(store)]).toEqual([2, [1, 2]]);
      await slow.close();
    });

    it('commits nothing when one of its statements failed, even if it goes on', async () => {
      const careless = store.transaction(async (tx) => {
        await tx.insertInto('item').values({ n: 1 }).execute();
        await tx
          .insertInto('item')
          .values({ n: 1 })
          .execute()
          .catch(() => undefined);
      });
      await expect(careless).rejects.toMatchObject({ code: 'store_not_written' });
      expect(await all(store)).toEqual([]);
    });

    it('is over when its promise resolved: what is asked of it later goes nowhere', async () => {
      let late = (): Promise<unknown> => Promise.resolve();
      await store.transaction(async (tx) => {
        late = () => tx.insertInto('item').values({ n: 1 }).execute();
      });
      await expect(late()).rejects.toThrow(TypeError);
      expect(await all(store)).toEqual([]);
    });
  });

  describe('a store', () => {
    beforeEach(renew);

    it('outlives a restart of the database, and tells when it stays away', async () => {
      const store = await open({ create: true });
      await add(store, 1);
      await postgres.kill();
      await expect(add(store, 2)).rejects.toMatchObject({ code: 'store_unreachable', status: 503 });
      await expect(all(store)).rejects.toMatchObject({ code: 'store_unreachable' });
      await postgres.resume();
      await add(store, 3);
      expect(await all(store)).toEqual([1, 3]);
      await store.close();
    });

    it('reads again when the line broke', async () => {
      await (await open({ create: true })).close();
      const line = await CutLine.to(postgres.port);
      const store = await open({}, url.replace(`:${postgres.port}/`, `:${line.port}/`));
      line.cut('before', 'select "n"');
      expect(await all(store)).toEqual([]);
      expect(line.waits).toBe(false);
      await store.close();
      await line.close();
    });

    it('cannot be written by read()', async () => {
      const store = await open({ create: true });
      await expect(store.read((db) => db.insertInto('item').values({ n: 1 }).execute())).rejects.toMatchObject({
        code: 'store_not_written',
      });
      await store.close();
    });

    it('keeps what a process had committed that was killed right after', async () => {
      const store = await open({ create: true });
      const at = (file: string): string => JSON.stringify(join(import.meta.dirname, '../../platform', file));
      const child = `
        import { openPostgres } from ${at('postgres.ts')};
        import { parsePostgresUrl } from ${at('postgres-url.ts')};
        const migrations = { '001': { up: async () => undefined } };
        const store = await openPostgres(parsePostgresUrl(process.env.TEST_URL, 'url'), { migrations });
        await store.transaction((tx) => tx.insertInto('item').values({ n: 5 }).execute());
        process.kill(process.pid, 'SIGKILL');`;
      const ended = await run([process.execPath, '--input-type=module', '-e', child], {
        timeoutMs: 20_000,
        allowExit: 'any',
        env: { TEST_URL: url },
      });
      expect(ended.exit).toBe(128); // by a signal
      expect(await all(store)).toEqual([5]);
      await store.close();
    });

    it('refuses a number that it could not hold exactly', async () => {
      const store = await open({ create: true });
      await postgres.sql('insert into item values (9007199254740993)', url.replace(/.*\//, ''));
      await expect(all(store)).rejects.toThrow();
      await store.close();
    });
  });
});
