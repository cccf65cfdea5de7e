import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { appendAudit } from '../../platform/audit-chain.ts';
import { digestOf } from '../../platform/backup/archive.ts';
import { secretEnvelope, secretOpener } from '../../platform/backup/envelope.ts';
import { systemRandom } from '../../platform/clock.ts';
import { runProgram } from '../../platform/command-line.ts';
import type { DatabaseChoice } from '../../platform/database-choice.ts';
import { openPostgres } from '../../platform/postgres.ts';
import { parsePostgresUrl } from '../../platform/postgres-url.ts';
import { keyfileMethod } from '../../platform/vault/unseal.ts';
import { fillDatabase } from '../../wireguard/backup/filled-database.ts';
import { makeHubBackup } from '../../wireguard/backup/hub-backup.ts';
import { migrateHub } from '../../wireguard/backup/hub-migration.ts';
import { restoreHub } from '../../wireguard/backup/hub-restore.ts';
import { digestTables, isEmptyStore, type TableDigest } from '../../wireguard/backup/table-copy.ts';
import { addMigrateCommand } from '../../wireguard/commands/migrate.ts';
import { addStartCommand } from '../../wireguard/commands/start.ts';
import { readConfig, writeConfig } from '../../wireguard/data/hub-config.ts';
import { doorbellFile, openHubData, withHubData } from '../../wireguard/data/hub-data.ts';
import { hangDoorbell, ringDoorbell } from '../../wireguard/hub/doorbell.ts';
import { FellowHubs } from '../../wireguard/hub/fellow-hubs.ts';
import { type HubDatabase, migrations } from '../../wireguard/store/schema.ts';
import { BackgroundProcess } from '../harness/background-process.ts';
import { postgresMissing, TestPostgres } from '../harness/postgres.ts';
import { runCommand } from '../keyserver/command-runner.ts';
import { eventsOf, type MadeHub, makeHub, momentOf, urlFileIn } from './made-hub.ts';

const main = new URL('../../wireguard/main.ts', import.meta.url).pathname;
const NOW = 1_790_000_000_000;

describe('wghub start', () => {
  it('ends when the state was moved while it started', async () => {
    const hub = await makeHub();
    const stop = new AbortController();
    const io = {
      terminal: { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough(), env: {} },
      random: systemRandom,
      stopSignal: () => stop.signal,
      clock: {
        // asked when the old store is open already
        now: () => {
          writeConfig(hub.at('hub'), { ...hub.data.config, database: { urlFile: hub.at('url') } });
          return Date.now();
        },
      },
    };
    const argv = ['start', '--data', hub.at('hub'), '--keyfile', hub.keyfile];
    const exit = await runProgram('wghub', (program) => addStartCommand(program, io), argv, io.terminal);
    expect(exit).toBe(1);
    expect(String(io.terminal.stderr.read())).toContain('the state of the hub was moved while it started');
    expect(io.terminal.stdout.read()).toBeNull();
    expect(await ringDoorbell(doorbellFile(hub.at('hub')), { interface: 'wg0', publicKeys: [] })).toBe('none');
    await hub.remove();
  });
});

describe.skipIf(postgresMissing() !== null)('a hub that moves', () => {
  let postgres: TestPostgres;
  let hub: MadeHub;
  let url: string;
  let there: DatabaseChoice;
  beforeAll(async () => {
    postgres = await TestPostgres.start();
  });
  afterAll(() => postgres.stop());
  beforeEach(async () => {
    url = await postgres.newDatabase('kept');
    hub = await makeHub();
    await hub.addPeers(12);
    there = { urlFile: urlFileIn(hub.folder, url) };
  });
  afterEach(async () => {
    await hub.remove();
    postgres.giveBack(url);
  });

  const at = (name: string) => hub.at(name);
  const migrate = (choice: DatabaseChoice) => migrateHub(at('hub'), choice, { now: NOW, env: {} });
  const command = (...words: string[]) => runCommand(addMigrateCommand, ['migrate', '--data', at('hub'), ...words]);
  const remote = async <T>(work: (store: Awaited<ReturnType<typeof openRemote>>) => Promise<T>): Promise<T> => {
    const store = await openRemote();
    try {
      return await work(store);
    } finally {
      await store.close();
    }
  };
  const openRemote = () => openPostgres<HubDatabase>(parsePostgresUrl(url, 'url'), { migrations, create: true });
  const inDatabase = (text: string) => postgres.sql(text, url.replace(/^.*\//, ''));
  const isEmptyThere = () => remote((store) => store.read(isEmptyStore));
  const moment = () => withHubData(at('hub'), {}, momentOf);
  const without = (list: readonly TableDigest[], ...names: string[]) =>
    list.filter(({ table }) => !names.includes(table));
  /** Nothing was changed: the old store is the hub's, and whole. */
  const assertStayed = async () => {
    expect(readConfig(at('hub')).database).toBeNull();
    expect(await hub.events()).not.toContain('store_moved');
    expect(await moment()).toEqual({ peers: 12, told: 12, places: true });
    expect(readdirSync(at('hub')).filter((name) => /url|migrating/.test(name))).toEqual([]);
  };

  it('comes to PostgreSQL and back with every row, tokens and clusters among them, and the old stores stay as they were', async () => {
    await hub.addSpokes();
    const wanted = await hub.data.store.read((db) => digestTables(db));
    await hub.data.store.close();
    const file = await digestOf(at('hub/hub.db'));
    const said = await command('--to', 'postgres', '--database-url-file', at('url'));
    expect(said.stdout).toContain('both sides hold the same');
    for (const [table, rows] of [
      ['peer', 13],
      ['install_token', 3],
      ['proxmox_cluster', 1],
      ['proxmox_node', 1],
    ]) {
      expect(said.stdout).toMatch(new RegExp(`^${table} +${rows} +[0-9a-f]{16}$`, 'm'));
    }
    expect(said.stderr).toContain(`the old store is as it was: ${at('hub/hub.db')}`);
    expect(await digestOf(at('hub/hub.db'))).toBe(file);
    expect(readConfig(at('hub')).database).toEqual(there);
    expect(await moment()).toEqual({ peers: 13, told: 13, places: true });
    await withHubData(at('hub'), {}, async (data) => {
      expect(without(await data.store.read((db) => digestTables(db)), 'audit')).toEqual(without(wanted, 'audit'));
      expect((await eventsOf(data)).at(-1)).toBe('store_moved');
      await data.store.transaction((tx) => appendAudit(tx, { time: 1, event: 'lived_there' }));
    });

    const refused = await command('--to', 'sqlite');
    expect(refused).toMatchObject({ exit: 3, stdout: '' });
    expect(readConfig(at('hub')).database).toEqual(there);
    renameSync(at('hub/hub.db'), at('old.db'));
    expect(await command('--to', 'sqlite')).toMatchObject({ exit: 0 });
    expect(readConfig(at('hub')).database).toBeNull();
    expect(statSync(at('hub/hub.db')).mode & 0o777).toBe(0o600);
    await withHubData(at('hub'), {}, async (data) => {
      expect(await momentOf(data)).toEqual({ peers: 13, told: 13, places: true });
      expect((await eventsOf(data)).slice(-3)).toEqual(['store_moved', 'lived_there', 'store_moved']);
    });
    expect(
      (await remote((store) => store.read((db) => digestTables(db)))).find(({ table }) => table === 'peer')?.rows,
    ).toBe(13);
    const again = await openHubData(at('hub'), {}); // for remove()
    Object.assign(hub.data, { store: again.store });
  });

  it('refuses to leave a database that another hub is at work on, and changes nothing', async () => {
    await migrate(there);
    const fellows = await FellowHubs.open({
      ...{ address: parsePostgresUrl(url, 'url'), hub: 'other', random: systemRandom },
      answer: async () => null,
      onUp: () => undefined,
      onTrouble: () => undefined,
    });
    expect(await fellows.take('wg0')).toBeNull();
    renameSync(at('hub/hub.db'), at('old.db'));
    const said = await command('--to', 'sqlite');
    expect(said).toMatchObject({ exit: 3, stdout: '' });
    expect(said.stderr).toContain('other is running and keeps wg0, and would go on in its old store');
    expect(readConfig(at('hub')).database).toEqual(there);
    expect(existsSync(at('hub/hub.db'))).toBe(false);
    await fellows.close();
    expect(await command('--to', 'sqlite')).toMatchObject({ exit: 0 });
  });

  it('refuses while the hub runs, and changes nothing', async () => {
    const unhang = await hangDoorbell(
      doorbellFile(at('hub')),
      async () => 'live' as const,
      () => null,
    );
    const said = await command('--to', 'postgres', '--database-url-file', at('url'));
    await unhang();
    expect(said).toMatchObject({ exit: 3, stdout: '' });
    expect(said.stderr).toContain('the hub is running');
    expect(await isEmptyThere()).toBe(true);
    await assertStayed();
  });

  it('stays when a hub was started while it moved', async () => {
    let asked = 0;
    let unhang: Promise<() => Promise<void>> | null = null;
    // the URL is looked up to be shown, and again when the target is opened, which is after the first look for a hub
    const env = {
      get DATABASE_URL() {
        asked += 1;
        if (asked === 2) {
          unhang = hangDoorbell(
            doorbellFile(at('hub')),
            async () => 'live' as const,
            () => null,
          );
        }
        return url;
      },
    };
    const moving = migrateHub(at('hub'), { urlFile: null }, { now: NOW, env });
    await expect(moving).rejects.toMatchObject({ code: 'hub_running', exit: 3 });
    await assertStayed();
    expect(asked).toBe(2);
    await (await (unhang as unknown as Promise<() => Promise<void>>))();
    await expect(migrate(there)).resolves.toMatchObject({ from: at('hub/hub.db') });
  });

  it.each<[string, () => string[], number, string]>([
    [
      'a password in the arguments',
      () => ['--to', 'postgres://u:CANARY-password@127.0.0.1/x'],
      2,
      'must not have a password',
    ],
    ['a URL it cannot read', () => ['--to', 'postgres://u:CANARY-password@'], 2, 'must be postgresql://'],
    ['another database', () => ['--to', 'mysql'], 2, 'must be sqlite or postgres'],
    ['where it is', () => ['--to', 'sqlite'], 2, 'the state is in SQLite'],
    ['SQLite with a URL', () => ['--to', 'sqlite', '--database-url-file', at('url')], 2, 'takes no URL'],
    ['PostgreSQL without one', () => ['--to', 'postgres'], 2, 'needs a URL'],
    ['two', () => ['--to', 'postgres://u@127.0.0.1/x', '--database-url-file', at('url')], 2, 'only one URL'],
    [
      'a variable that is not set',
      () => ['--to', 'postgres', '--database-from-environment'],
      2,
      '$DATABASE_URL is not set',
    ],
    ['a server that is not there', () => ['--to', 'postgres://u@127.0.0.1:9/x'], 1, 'could not be opened'],
  ])('refuses %s, and changes nothing', async (_, words, exit, text) => {
    const said = await command(...words());
    expect(said).toMatchObject({ exit, stdout: '' });
    expect(said.stderr).toContain(text);
    expect(said.stderr).not.toContain('CANARY');
    await assertStayed();
  });

  it('refuses a database with other rows in it, and leaves those alone', async () => {
    const row = { sha256: 'a', made_at: 1, size: 2, file: 'f', sealed_with: 'age' as const };
    await remote((store) => store.transaction((tx) => tx.insertInto('backup').values(row).execute()));
    await expect(migrate(there)).rejects.toMatchObject({ code: 'database_taken', exit: 3 });
    expect(await remote((store) => store.read((db) => db.selectFrom('backup').selectAll().execute()))).toEqual([row]);
    await assertStayed();
  });

  it('refuses a copy that is not the same, and takes it away again', async () => {
    await remote(async () => undefined); // makes the tables
    await inDatabase(`create function other() returns trigger language plpgsql as $$ begin new.rx = new.rx + 1; return new; end $$;
      create trigger other before insert on peer for each row execute function other()`);
    await expect(migrate(there)).rejects.toMatchObject({
      code: 'copy_differs',
      message: expect.stringContaining('"peer"'),
    });
    expect(await isEmptyThere()).toBe(true);
    await assertStayed();
    await inDatabase('drop trigger other on peer; drop function other');
  });

  it('has copied nothing when the target refuses a row in the middle', async () => {
    await remote(async () => undefined);
    await inDatabase('alter table audit add constraint short check (seq < 5)');
    await expect(migrate(there)).rejects.toMatchObject({ code: 'store_not_written' });
    expect(await isEmptyThere()).toBe(true);
    await assertStayed();
    await inDatabase('alter table audit drop constraint short');
    await expect(migrate(there)).resolves.toMatchObject({ from: at('hub/hub.db') });
  });

  const interruptedCopy = () =>
    hub.data.store.read((db) => fillDatabase(db, { choice: there, sqliteFile: '', env: {} }));

  it('takes a copy that an interrupted move left, if nothing has happened since', async () => {
    await interruptedCopy();
    await assertStayed();
    await migrate(there);
    expect(readConfig(at('hub')).database).toEqual(there);
    expect(await moment()).toEqual({ peers: 12, told: 12, places: true });
  });

  it('refuses such a copy when the hub has gone on since, and leaves it alone', async () => {
    await interruptedCopy();
    const before = await remote((store) => store.read((db) => digestTables(db)));
    await hub.addPeers(1);
    await expect(migrate(there)).rejects.toMatchObject({ code: 'database_taken' });
    expect(await remote((store) => store.read((db) => digestTables(db)))).toEqual(before);
    expect(readConfig(at('hub')).database).toBeNull();
  });

  it('killed at any moment, is where config.json says, whole; and moves when it is told again', async () => {
    const words = ['migrate', '--data', at('hub'), '--to', 'postgres', '--database-url-file', at('url')];
    const argv = [process.execPath, '--disable-warning=ExperimentalWarning', main, ...words] as const;
    for (const pause of [350, 500, 650, 800]) {
      const moving = await BackgroundProcess.start(argv);
      await delay(pause);
      if (moving.isRunning()) await moving.kill();
      expect(await moment()).toEqual({ peers: 12, told: 12, places: true });
      if (readConfig(at('hub')).database !== null) break;
    }
    if (readConfig(at('hub')).database === null) await migrate(there);
    expect(readConfig(at('hub')).database).toEqual(there);
    expect(await moment()).toEqual({ peers: 12, told: 12, places: true });
  });

  it('is not confused by a file that an interrupted move to SQLite left', async () => {
    await migrate(there);
    await hub.data.store.close();
    renameSync(at('hub/hub.db'), at('old.db'));
    writeFileSync(at('hub/hub.db.migrating'), 'half of it');
    await migrate(null);
    expect(readdirSync(at('hub')).filter((name) => name.includes('migrating'))).toEqual([]);
    expect(await moment()).toEqual({ peers: 12, told: 12, places: true });
    Object.assign(hub.data, { store: (await openHubData(at('hub'), {})).store });
  });

  it('is backed up out of PostgreSQL and restored to either, row by row the same', async () => {
    await migrate(there);
    const method = keyfileMethod(hub.backupKeyfile);
    const wanted = await withHubData(at('hub'), {}, async (data) => {
      const sealing = { envelope: secretEnvelope(method, systemRandom), sealedWith: 'keyfile' as const };
      const digests = await data.store.read((db) => digestTables(db));
      await makeHubBackup(data, at('one.backup'), sealing, NOW);
      return digests;
    });
    const second = await postgres.newDatabase();
    const urls = [null, { urlFile: at('url2') }];
    writeFileSync(at('url2'), second, { mode: 0o600 });
    for (const [index, database] of urls.entries()) {
      const path = at(`restored-${index}`);
      const order = { from: at('one.backup'), path, opener: secretOpener(method), sealedWith: 'keyfile' as const };
      await restoreHub({ ...order, database }, { now: NOW, env: {} });
      expect(readConfig(path).database).toEqual(database);
      expect(existsSync(`${path}/hub.db`)).toBe(database === null);
      await withHubData(path, {}, async (data) => {
        const changed = ['audit', 'backup', 'gateway'];
        expect(without(await data.store.read((db) => digestTables(db)), ...changed)).toEqual(
          without(wanted, ...changed),
        );
        expect(await momentOf(data)).toEqual({ peers: 12, told: 12, places: true });
        expect((await eventsOf(data)).at(-1)).toBe('hub_restored');
      });
    }
    const taken = restoreHub(
      {
        from: at('one.backup'),
        path: at('third'),
        opener: secretOpener(method),
        sealedWith: 'keyfile',
        database: { urlFile: at('url2') },
      },
      { now: NOW + 1, env: {} },
    );
    await expect(taken).rejects.toMatchObject({ code: 'database_taken', exit: 3 });
    expect(existsSync(at('third'))).toBe(false);
    rmSync(at('url2'));
  });

  it('keeps a URL without a password in the data directory, only for its owner', async () => {
    const bare = url.replace(/latchkey_test:[^@]*@/, 'bare@');
    expect(bare).not.toBe(url);
    const refused = await command('--to', bare);
    expect(refused).toMatchObject({ exit: 1, stderr: expect.stringContaining('could not be opened') });
    await assertStayed();

    const rules = `${postgres.folder}/data/pg_hba.conf`;
    writeFileSync(rules, `host all bare 127.0.0.1/32 trust\n${readFileSync(rules, 'utf8')}`);
    await postgres.sql('create role bare login superuser');
    await postgres.sql('select pg_reload_conf()');
    const file = at('hub/database.url');
    for (let tries = 0; tries < 50 && !existsSync(file); tries += 1) await command('--to', bare);
    expect(readConfig(at('hub')).database).toEqual({ urlFile: file });
    expect(readFileSync(file, 'utf8')).toBe(`${bare}\n`);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(await moment()).toEqual({ peers: 12, told: 12, places: true });

    // the file of before is nobody's to take away, whatever is refused later
    await hub.data.store.close();
    renameSync(at('hub/hub.db'), at('old.db'));
    expect(await command('--to', 'sqlite')).toMatchObject({ exit: 0 });
    expect(await command('--to', bare)).toMatchObject({ exit: 3 });
    expect(readFileSync(file, 'utf8')).toBe(`${bare}\n`);
    expect(await command('--to', bare.replace(/\w+$/, 'other'))).toMatchObject({ exit: 3 });
    expect(readFileSync(file, 'utf8')).toBe(`${bare}\n`);
    Object.assign(hub.data, { store: (await openHubData(at('hub'), {})).store });
  });
});
