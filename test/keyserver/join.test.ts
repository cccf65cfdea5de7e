import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openServerData } from '../../keyserver/server-data.ts';
import { serverIdentity } from '../../keyserver/server-secrets.ts';
import { systemRandom } from '../../platform/clock.ts';
import { hostsIn } from '../../platform/listening/identity.ts';
import { run } from '../../platform/run.ts';
import { keyfileMethod } from '../../platform/vault/unseal.ts';
import { unsealVault } from '../../platform/vault/vault-file.ts';
import { postgresMissing, TestPostgres } from '../harness/postgres.ts';

const root = resolve(import.meta.dirname, '../..');
const env = { NODE_COMPILE_CACHE: join(root, '.cache/compiled') };

interface Said {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

describe.skipIf(postgresMissing() !== null)('a key server whose state is in PostgreSQL', () => {
  let folder: string;
  let postgres: TestPostgres;
  let url: string;
  let urlFile: string;
  const at = (name: string): string => join(folder, name);

  async function keyserver(argv: readonly string[], more: Record<string, string> = {}): Promise<Said> {
    const node = [process.execPath, '--disable-warning=ExperimentalWarning', join(root, 'keyserver/main.ts')] as const;
    const options = { timeoutMs: 60_000, allowExit: 'any' as const, env: { ...env, ...more } };
    const { exit, stdout, stderr } = await run([...node, ...argv], options);
    return { exit, stdout: stdout.toString(), stderr };
  }
  const init = (name: string, port: number, ...more: string[]) =>
    keyserver([
      ...['init', '--data', at(name), '--listen', `127.0.0.1:${port}`],
      ...['--keyfile', at('keyfile'), '--database-url-file', urlFile, ...more],
    ]);
  const secretFile = (name: string, text: string): string => {
    writeFileSync(at(name), text, { mode: 0o600 });
    return at(name);
  };
  const vaultJson = () => at('first/vault.json');

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'latchkey-join-'));
    postgres = await TestPostgres.start();
    url = await postgres.newDatabase();
    urlFile = secretFile('url', `${url}\n`);
    expect(await init('first', 8443)).toMatchObject({ exit: 0, stderr: '' });
  });
  afterAll(async () => {
    await postgres.stop();
    rmSync(folder, { recursive: true });
  });

  it('keeps no database file and no password in its directory', async () => {
    expect(existsSync(at('first/keyserver.db'))).toBe(false);
    expect(JSON.parse(readFileSync(at('first/config.json'), 'utf8'))).toMatchObject({ database: { urlFile } });
    const { stdout } = await run(['grep', '-r', '-l', postgres.password, at('first')], {
      timeoutMs: 10_000,
      allowExit: 'any',
    });
    expect(stdout.toString()).toBe('');
  });

  it.each([
    ['a second vault in its database', () => init('other', 8444, '--json'), 'database_taken'],
    ['a vault that another secret opens', () => joinWith(secretFile('wrong', 'x'.repeat(32))), 'unseal_failed'],
    ['to join without its database', () => keyserver(withoutDatabase()), 'usage'],
    [
      'to join with a damaged vault',
      () => init('other', 8444, '--json', '--join', secretFile('v', '{}')),
      'vault_damaged',
    ],
    ['a URL that others may read', () => initWithUrl(openFile('open-url')), 'file_too_open'],
    ['a URL that is none', () => initWithUrl(secretFile('bad', 'postgresql://canary@')), 'invalid_request'],
    ['a password that is wrong', () => initWithUrl(secretFile('guess', guess())), 'store_not_opened'],
  ])('refuses %s, and leaves nothing', async (_, attempt, code) => {
    const said = await attempt();
    expect(said.exit).toBeGreaterThan(0);
    expect(JSON.parse(said.stdout || '{}') as object).toMatchObject({ error: { code } });
    expect(existsSync(at('other'))).toBe(false);
    for (const secret of [postgres.password, 'canary']) expect(said.stdout + said.stderr).not.toContain(secret);
  });
  const guess = (): string => url.replace(postgres.password, 'canary');
  const withoutDatabase = (): string[] =>
    ['init', '--data', at('other'), '--listen', '127.0.0.1:8444', '--join', vaultJson(), '--json'].concat([
      ...['--keyfile', at('keyfile')],
    ]);
  const joinWith = (keyfile: string) =>
    keyserver([
      ...['init', '--data', at('other'), '--listen', '127.0.0.1:8444', '--join', vaultJson(), '--json'],
      ...['--keyfile', keyfile, '--database-url-file', urlFile],
    ]);
  const initWithUrl = (file: string) =>
    keyserver([
      ...['init', '--data', at('other'), '--listen', '127.0.0.1:8444', '--json'],
      ...['--keyfile', at('keyfile'), '--database-url-file', file],
    ]);
  const openFile = (name: string): string => {
    const path = secretFile(name, url);
    chmodSync(path, 0o644);
    return path;
  };

  it('is joined by one more, which works on the same state', async () => {
    expect(await init('second', 8445, '--join', vaultJson())).toMatchObject({ exit: 0, stderr: '' });
    for (const name of ['vault.json', 'ca.pem', 'audit.pub'])
      expect(readFileSync(at(`second/${name}`), 'utf8')).toBe(readFileSync(at(`first/${name}`), 'utf8'));
    expect((await keyserver(['client', 'add', 'cloud', '--data', at('second')])).exit).toBe(0);
    expect((await keyserver(['client', 'list', '--data', at('first')])).stdout).toMatch(/^cloud +new/m);
    const tail = (await keyserver(['audit', 'tail', '--data', at('first')])).stdout;
    expect(tail).toMatch(/server_made.*server_joined.*client_added/s);
    expect((await keyserver(['audit', 'verify', '--data', at('second')])).exit).toBe(0);
    expect((await keyserver(['doctor', '--data', at('second'), '--keyfile', at('keyfile')])).exit).toBe(0);
  });

  it('says where its state is, and what does not back it up', async () => {
    const { stdout } = await keyserver(['status', '--data', at('first'), '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ state: `PostgreSQL, made_1 at 127.0.0.1:${postgres.port}` });
    const backup = [
      'backup',
      '--data',
      at('first'),
      '--out',
      at('backup'),
      '--backup-keyfile',
      at('keyfile'),
      '--json',
    ];
    const refused = await keyserver(backup);
    expect([refused.exit, JSON.parse(refused.stdout)]).toMatchObject([3, { error: { code: 'backup_elsewhere' } }]);
    expect(existsSync(at('backup'))).toBe(false);
  });

  it('refuses a database of another server', async () => {
    const elsewhere = await postgres.newDatabase();
    const kept = readFileSync(urlFile);
    secretFile('url', elsewhere);
    try {
      const empty = await keyserver(['status', '--data', at('first'), '--json']);
      expect(JSON.parse(empty.stdout)).toMatchObject({ error: { code: 'store_missing' } });
      expect((await init('foreign', 8446)).exit).toBe(0);
      for (const command of [['status'], ['client', 'add', 'x'], ['start', '--keyfile', at('keyfile')]]) {
        const said = await keyserver([...command, '--data', at('first'), '--json']);
        expect([said.exit, JSON.parse(said.stdout)]).toMatchObject([3, { error: { code: 'database_foreign' } }]);
      }
      const join = await init('other', 8444, '--join', vaultJson(), '--json');
      expect([join.exit, JSON.parse(join.stdout)]).toMatchObject([3, { error: { code: 'database_foreign' } }]);
      expect(existsSync(at('other'))).toBe(false);
    } finally {
      writeFileSync(urlFile, kept);
    }
  });

  it('takes its URL from the environment where it was made so, at every command', async () => {
    const argv = ['--data', at('third'), '--listen', '127.0.0.1:8447', '--keyfile', at('keyfile')];
    const database = { DATABASE_URL: url };
    const made = await keyserver(['init', ...argv, '--database-from-environment', '--join', vaultJson()], database);
    expect(made.exit).toBe(0);
    expect(readFileSync(at('third/config.json'), 'utf8')).not.toContain(postgres.password);
    expect((await keyserver(['status', '--data', at('third')], database)).exit).toBe(0);
    const without = await keyserver(['status', '--data', at('third'), '--json']);
    expect([without.exit, JSON.parse(without.stdout)]).toMatchObject([2, { error: { code: 'database_url_missing' } }]);
  });

  it('says so when DATABASE_URL is set and not asked for', async () => {
    const argv = ['--data', at('sqlite'), '--listen', '127.0.0.1:8448', '--keyfile', at('keyfile')];
    const made = await keyserver(['init', ...argv], { DATABASE_URL: url });
    expect([made.exit, existsSync(at('sqlite/keyserver.db'))]).toEqual([0, true]);
    expect(made.stderr).toContain('DATABASE_URL is set but not used');
    expect(made.stderr).not.toContain(postgres.password);
  });

  it('shares one certificate with the others, for the hosts of all, and they do not take turns', async () => {
    const data = await openServerData(at('first'));
    const vault = await unsealVault(at('first'), keyfileMethod(at('keyfile')), systemRandom);
    const look = (host: string) =>
      serverIdentity(data.store, vault, [host, 'localhost'], Date.now(), systemRandom, true);
    const first = await look('10.8.0.1');
    const second = await look('fd00::2');
    expect(second.certificate).not.toBe(first.certificate);
    const all = ['10.8.0.1', 'fd00::2', 'localhost', '127.0.0.1'];
    expect(hostsIn(second.certificate).sort()).toEqual(all.sort());
    for (const host of ['10.8.0.1', 'fd00::2', '127.0.0.1'])
      expect((await look(host)).certificate).toBe(second.certificate);
    await data.store.close();
  });
});
