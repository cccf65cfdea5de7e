import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../platform/run.ts';
import { BackgroundProcess } from '../harness/background-process.ts';

const root = resolve(import.meta.dirname, '../..');
const main = join(root, 'keyserver/main.ts');
/** As the launcher sets it: what was compiled once is kept. */
const env = { NODE_COMPILE_CACHE: join(root, '.cache/compiled') };
let folder: string;
let data: string;
let keyfile: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-commands-'));
  data = join(folder, 'data');
  keyfile = join(folder, 'keyfile');
  expect((await keyserver('init', '--data', data, '--listen', '127.0.0.1:8443', '--keyfile', keyfile)).exit).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Said {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function keyserver(...argv: string[]): Promise<Said> {
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', main] as const;
  const { exit, stdout, stderr } = await run([...node, ...argv], { timeoutMs: 60_000, allowExit: 'any', env });
  return { exit, stdout: stdout.toString(), stderr };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}

const json = (said: Said) => JSON.parse(said.stdout) as Record<string, unknown>;

function secretFile(name: string, text: string, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

describe('keyserver init', () => {
  const foreign = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .find((entry) => !entry.internal && entry.family === 'IPv4');

  it.each([
    ['no --data', ['--listen', '127.0.0.1:1'], 2, 'error: required option'],
    ['no --listen', ['--data', 'x'], 2, 'error: required option'],
    ['a name to listen on', ['--data', 'x', '--listen', 'keys:1'], 2, 'error: "--listen" must be IP:PORT'],
    ['every interface', ['--data', 'x', '--listen', '0.0.0.0:1'], 3, 'error: 0.0.0.0 means every interface'],
    ['every interface of IPv6', ['--data', 'x', '--listen', '[::]:1'], 3, 'error: :: means every interface'],
    ['no way to unseal and nobody to ask', ['--data', 'x', '--listen', '127.0.0.1:1'], 2, 'no terminal to ask'],
    ['an unknown option', ['--data', 'x', '--listen', '127.0.0.1:1', '--force'], 2, 'unknown option'],
  ])('refuses %s and makes nothing', async (_, argv, exit, words) => {
    const target = join(folder, 'none');
    const said = await keyserver('init', ...argv.map((word) => (word === 'x' ? target : word)));
    expect(said).toMatchObject({ exit, stdout: '' });
    expect(said.stderr).toContain(words);
    expect(existsSync(target) && readdirSync(target).length > 0).toBe(false);
  });
  it.runIf(foreign !== undefined)('refuses the address of an interface that is no tunnel', async () => {
    const said = await keyserver(
      'init',
      '--data',
      join(folder, 'none'),
      '--listen',
      `${foreign?.address}:1`,
      '--keyfile',
      keyfile,
    );
    expect(said.exit).toBe(3);
    expect(said.stderr).toContain('which is not a WireGuard interface');
    expect(existsSync(join(folder, 'none'))).toBe(false);
  });
  it('refuses two ways to unseal', async () => {
    const pass = secretFile('two.pass', 'correct horse battery\n');
    const said = await keyserver(
      'init',
      '--data',
      join(folder, 'none'),
      '--listen',
      '127.0.0.1:1',
      '--keyfile',
      keyfile,
      '--passphrase-file',
      pass,
    );
    expect(said.exit).toBe(2);
  });
  it('never touches a server that exists', async () => {
    const before = readFileSync(join(data, 'vault.json'), 'utf8');
    const said = await keyserver('init', '--data', data, '--listen', '127.0.0.1:1', '--keyfile', keyfile);
    expect(said.exit).toBe(3);
    expect(said.stderr).toBe(`keyserver: error: ${data} is not empty\nkeyserver: hint: choose a new directory\n`);
    expect(readFileSync(join(data, 'vault.json'), 'utf8')).toBe(before);
  });
  it('makes everything private', () => {
    expect(statSync(data).mode & 0o777).toBe(0o700);
    expect(statSync(keyfile).mode & 0o777).toBe(0o600);
    expect(readFileSync(keyfile)).toHaveLength(32);
    for (const name of ['config.json', 'vault.json', 'keyserver.db']) {
      expect(statSync(join(data, name)).mode & 0o777).toBe(0o600);
    }
  });
  it('says what it made, for programs', async () => {
    const target = join(folder, 'second');
    const pass = secretFile('pass', 'correct horse battery\n');
    const said = await keyserver(
      'init',
      '--data',
      target,
      '--listen',
      '127.0.0.1:8444',
      '--host',
      'keys.example',
      '10.8.0.1',
      '--passphrase-file',
      pass,
      '--json',
    );
    expect(json(said)).toMatchObject({
      data: target,
      url: 'https://keys.example:8444',
      hosts: ['keys.example', '10.8.0.1', '127.0.0.1', 'localhost'],
      sealedWith: 'passphrase',
    });
    const wrong = secretFile('wrong', 'correct horse batterx\n');
    const start = await keyserver('start', '--data', target, '--passphrase-file', wrong);
    expect(start).toMatchObject({ exit: 1, stdout: '' });
    expect(start.stderr).toBe(
      'keyserver: error: this passphrase does not open the vault\nkeyserver: hint: check that it is the one this data directory was made with\n',
    );
  });
});

describe('keyserver start', () => {
  it.each([
    ['no way to unseal', [], 2, 'this vault is sealed with a keyfile'],
    ['a key file that is missing', ['--keyfile', '/nonexistent/k'], 1, 'could not be read (ENOENT)'],
  ])('refuses %s', async (_, argv, exit, words) => {
    const said = await keyserver('start', '--data', data, ...argv);
    expect(said).toMatchObject({ exit, stdout: '' });
    expect(said.stderr).toContain(words);
  });
  it('refuses a key file that others may read', async () => {
    const open = secretFile('open', 'x'.repeat(32), 0o644);
    const said = await keyserver('start', '--data', data, '--keyfile', open);
    expect(said).toMatchObject({ exit: 3, stdout: '' });
  });
  it('refuses a data directory that others may enter', async () => {
    chmodSync(data, 0o750);
    const said = await keyserver('start', '--data', data, '--keyfile', keyfile);
    chmodSync(data, 0o700);
    expect(said).toMatchObject({ exit: 3, stdout: '' });
    expect(said.stderr).toContain(`hint: chmod 700 ${data}`);
  });
  it('never makes a data directory', async () => {
    const target = join(folder, 'absent');
    const said = await keyserver('start', '--data', target, '--keyfile', keyfile);
    expect(said.exit).toBe(1);
    expect(existsSync(target)).toBe(false);
  });
});

describe('keyserver start, when it serves', () => {
  it('signs its audit log at the end, however often it is told to stop', async () => {
    const target = join(folder, 'stopped');
    await keyserver('init', '--data', target, '--listen', `127.0.0.1:${await freePort()}`, '--keyfile', keyfile);
    const argv = [
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      main,
      'start',
      '--data',
      target,
      '--keyfile',
      keyfile,
    ] as const;
    const server = await BackgroundProcess.start(argv, { env, readyWhen: /^serving https:\S+\n$/ });
    await keyserver('client', 'add', 'late', '--data', target);
    for (let count = 0; count < 3; count++) process.kill(server.pid, 'SIGINT');
    await expect.poll(() => server.isRunning(), { timeout: 10_000 }).toBe(false);
    const report = json(await keyserver('audit', 'verify', '--data', target, '--json'));
    expect(report).toMatchObject({ ok: true, records: 2, signedTo: 2 });
  });
});

describe('keyserver client', () => {
  it.each([
    ['a name with capitals', ['client', 'add', 'Cloud'], 2],
    ['host bits in a network', ['client', 'add', 'bits', '--from', '10.8.0.5/24'], 2],
    ['a client nobody added', ['client', 'show', 'nobody'], 1],
    ['a rate without its hour', ['client', 'policy', 'nobody', '--rate', '60'], 2],
    ['a switch that is neither on nor off', ['client', 'policy', 'nobody', '--lockout', 'maybe'], 2],
    ['a command nobody knows', ['client', 'destroy', 'nobody'], 2],
  ])('refuses %s', async (_, argv, exit) => {
    const said = await keyserver(...argv, '--data', data);
    expect(said).toMatchObject({ exit, stdout: '' });
    expect(json(await keyserver('client', 'list', '--data', data, '--json'))).toEqual({ clients: [] });
  });
  it('tells an error to programs on stdout and to people on stderr', async () => {
    const said = await keyserver('client', 'show', 'nobody', '--data', data, '--json');
    expect(json(said)).toEqual({
      error: { code: 'client_unknown', message: 'there is no client of that name', hint: 'see keyserver client list' },
    });
    expect(said.stderr).toContain('keyserver: error: there is no client of that name');
  });
  it('lives from add to revoke', async () => {
    const added = json(
      await keyserver('client', 'add', 'cloud', '--from', '10.8.0.0/24', '10.9.0.7', '--data', data, '--json'),
    );
    expect(Object.keys(added)).toEqual(['clientId', 'code', 'url', 'ca', 'grant']);
    expect(added).toMatchObject({ url: 'https://127.0.0.1:8443', ca: readFileSync(join(data, 'ca.pem'), 'utf8') });
    expect((await keyserver('client', 'add', 'cloud', '--data', data)).exit).toBe(1);

    const policy = await keyserver(
      'client',
      'policy',
      'cloud',
      '--rate',
      '900/h',
      '--burst',
      '9',
      '--lockout',
      'off',
      '--data',
      data,
    );
    expect(policy.stdout).toMatch(
      /^cloud: 900\/h, burst 9, lockout off, ttl 3600 s, stale-if-error 86400 s, on fork lock\+purge, basic off,/,
    );
    expect(policy.stdout).toContain(', from 10.8.0.0/24, 10.9.0.7/32\n');
    expect(policy.stdout).toContain('gates balanced: fingerprint hold, ');
    const reset = json(await keyserver('client', 'reset', 'cloud', '--no-escrow', '--data', data, '--json'));
    expect(reset).toMatchObject({ clientId: added.clientId, grant: '' });
    expect(reset.code).not.toBe(added.code);

    expect((await keyserver('client', 'revoke', 'cloud', '--data', data)).exit).toBe(0);
    expect((await keyserver('client', 'reset', 'cloud', '--data', data)).exit).toBe(3);
    const tail = await keyserver('audit', 'tail', '--data', data, '--json');
    const events = (json(tail).records as { event: string }[]).map((record) => record.event);
    expect(events.slice(-4)).toEqual(['client_added', 'client_policy_changed', 'client_reset', 'client_revoked']);
    for (const secret of [added.code, added.grant, reset.code]) expect(tail.stdout).not.toContain(secret);
  });
});

describe('keyserver key', () => {
  it('demands that the vault be opened, and never overwrites', async () => {
    await keyserver('client', 'add', 'keys', '--data', data);
    const file = secretFile('k', 'canary key bytes');
    const sealed = await keyserver('key', 'import', 'keys', 'm.privateKey', '--file', file, '--data', data);
    expect(sealed.exit).toBe(2);
    const unseal = ['--data', data, '--keyfile', keyfile];
    expect((await keyserver('key', 'import', 'keys', '../m', '--file', file, ...unseal)).exit).toBe(2);
    expect((await keyserver('key', 'import', 'keys', 'm.privateKey', '--file', file, ...unseal)).exit).toBe(0);
    expect((await keyserver('key', 'import', 'keys', 'm.privateKey', '--file', file, ...unseal)).stdout).toMatch(
      /^already stored/,
    );
    const other = secretFile('k2', 'other bytes');
    expect((await keyserver('key', 'import', 'keys', 'm.privateKey', '--file', other, ...unseal)).exit).toBe(3);
    expect((await keyserver('key', 'list', '--data', data)).stdout).toContain('keys    m.privateKey');
    expect((await keyserver('key', 'export', 'keys', 'none', ...unseal)).exit).toBe(1);
    expect((await keyserver('key', 'export', 'keys', 'm.privateKey', ...unseal)).stdout).toBe('canary key bytes');
    const out = join(folder, 'exported');
    expect((await keyserver('key', 'export', 'keys', 'm.privateKey', '--out', out, ...unseal)).exit).toBe(0);
    expect((await keyserver('key', 'export', 'keys', 'm.privateKey', '--out', out, ...unseal)).exit).toBe(3);
    expect(statSync(out).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(data, 'keyserver.db')).includes('canary')).toBe(false);
  });
});

describe('keyserver kill and revive', () => {
  it('act once, say so, and name the file KILL that still stops everything', async () => {
    expect((await keyserver('kill', '--reason', 'drill', '--data', data)).stdout).toBe(
      'nothing is released to anybody\n',
    );
    expect((await keyserver('kill', '--data', data)).stdout).toBe('nothing is released to anybody, as before\n');
    expect(json(await keyserver('status', '--data', data, '--json'))).toMatchObject({ health: 'not running' });
    writeFileSync(join(data, 'KILL'), '');
    const revived = await keyserver('revive', '--data', data);
    rmSync(join(data, 'KILL'));
    expect(revived.stdout).toBe('the server is revived\n');
    expect(revived.stderr).toContain('the file KILL');
    expect((await keyserver('revive', '--client', 'nobody', '--data', data)).exit).toBe(1);
  });
});

describe('keyserver audit and doctor', () => {
  it('are content with a server that is well', async () => {
    expect((await keyserver('audit', 'verify', '--data', data)).stdout).toMatch(/^ok: \d+ records follow each other/);
    const doctor = json(await keyserver('doctor', '--data', data, '--keyfile', keyfile, '--json'));
    expect(doctor).toMatchObject({ ok: true });
  });
  it('keep their heads in every language of exit codes', async () => {
    expect((await keyserver('audit', 'tail', '-n', '0', '--data', data)).exit).toBe(2);
    expect((await keyserver()).exit).toBe(2);
    expect((await keyserver('--help')).exit).toBe(0);
  });
});
