import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemRandom } from '../../platform/clock.ts';
import { addPeerCommands } from '../../wireguard/commands/peer.ts';
import { addStatusCommand } from '../../wireguard/commands/status.ts';
import { readConfig } from '../../wireguard/config/read-config.ts';
import { generateKeyPair, publicKeyOf } from '../../wireguard/keys.ts';
import { drawObfuscation } from '../../wireguard/obfuscation/levels.ts';
import { readQrPng, readQrText } from '../harness/qr-reader.ts';
import { runHubCommand, type Said } from './command-runner.ts';
import { testInterface } from './hub-store.ts';
import { type RunningHub, startRunningHub } from './running-hub.ts';

let hub: RunningHub;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lk-peer-commands-'));
  const level = 'extreme';
  hub = await startRunningHub({
    more: [
      testInterface({
        ...{ name: 'wg1', networks: ['10.0.2.0/24'], addresses: ['10.0.2.1/24'], listenPort: 51821 },
        ...{ level, obfuscation: drawObfuscation(level, systemRandom) },
      }),
    ],
  });
});
afterAll(async () => {
  await hub.stop();
  rmSync(folder, { recursive: true });
});

const peer = (args: readonly string[], typed?: readonly string[]): Promise<Said> =>
  runHubCommand(addPeerCommands, ['peer', ...args, '--data', hub.data.directory], {
    clock: hub.clock,
    ...(typed === undefined ? {} : { typed }),
  });
const add = (name: string, ...args: string[]) => peer(['add', name, '--keyfile', hub.keyfile, ...args]);
const qr = (name: string, ...args: string[]) => peer(['qr', name, '--keyfile', hub.keyfile, ...args]);
// biome-ignore lint/suspicious/noExplicitAny: what a test expects of it says what it is
const json = ({ stdout }: Said): any => JSON.parse(stdout);
const status = (...args: string[]) =>
  runHubCommand(addStatusCommand, ['status', '--data', hub.data.directory, ...args], { clock: hub.clock });
const everything = async () =>
  JSON.stringify(
    await hub.data.store.read(async (db) => [
      await db.selectFrom('peer').selectAll().execute(),
      await db.selectFrom('free_range').selectAll().execute(),
      await db.selectFrom('audit').select('seq').execute(),
      readdirSync(folder),
    ]),
  );

describe('wghub peer add refuses, and changes nothing:', () => {
  const { publicKey } = generateKeyPair();
  test.each<[string, string, string[], number, string]>([
    ['a name with an escape', 'a\u001b[2J', [], 2, '"NAME" must not hold control characters'],
    ['a kind that is none', 'x', ['--kind', 'toaster'], 2, '--kind'],
    ['a key that is none', 'x', ['--public-key', 'abc'], 2, '"--public-key" must be a key of WireGuard'],
    ['an address outside', 'x', ['--address', '10.9.9.9'], 2, '"--address" must be an address of the network'],
    ['the hub’s address', 'x', ['--address', '10.0.1.1'], 2, '"--address"'],
    ['everything behind it', 'x', ['--networks', '0.0.0.0/0'], 2, '"--networks"'],
    ['the network of another interface', 'x', ['--networks', '10.0.2.0/24'], 2, 'of the interface wg1'],
    ['a keepalive with a unit', 'x', ['--keepalive', '25s'], 2, '"--keepalive" must be an integer'],
    ['a time that is over', 'x', ['--expires', '2020-01-01T00:00:00Z'], 2, '"--expires" must be still to come'],
    ['a length without a unit', 'x', ['--expires', '30'], 2, '"--expires" must be a length'],
    ['an interface that nobody knows', 'x', ['--interface', 'wg7'], 2, 'there is no such interface'],
    ['a program that nobody knows', 'x', ['--client', 'openvpn'], 2, '"--client" must be one of'],
    [
      'a program for another interface',
      'x',
      ['--interface', 'wg1', '--client', 'wireguard'],
      3,
      'plain WireGuard only',
    ],
    ['a way that is none', 'x', ['--route', 'half'], 2, '--route'],
    ['a code for a key it has not', 'x', ['--qr', '--public-key', publicKey], 2, '"--qr" needs a private key'],
    ['a file in no folder', 'x', ['--out', '/nowhere/x.conf'], 1, 'could not be written (ENOENT)'],
  ])('%s', async (_, name, args, exit, words) => {
    const before = await everything();
    const said = await add(name, ...args);
    expect(said.stderr).toContain(words);
    expect(said).toMatchObject({ exit, stdout: '' });
    expect(await everything()).toBe(before);
    expect(json(await add(name, ...args, '--json')).error.message).toContain(words.replaceAll('\\', ''));
    expect(await everything()).toBe(before);
  });

  test('a file that is there, which keeps what is in it', async () => {
    const out = join(folder, 'there.conf');
    writeFileSync(out, 'mine', { mode: 0o644 });
    const before = await everything();
    expect(await add('x', '--out', out)).toMatchObject({ exit: 3, stdout: '' });
    expect(readFileSync(out, 'utf8')).toBe('mine');
    expect(await everything()).toBe(before);
  });

  test('what is refused by the store, and takes the file away that was made for it', async () => {
    const out = join(folder, 'taken.conf');
    expect((await add('first', '--address', '10.0.1.200')).exit).toBe(0);
    const before = await everything();
    expect(await add('second', '--address', '10.0.1.200', '--out', out)).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('the address is taken'),
    });
    expect(existsSync(out)).toBe(false);
    expect(await everything()).toBe(before);
  });

  test('without the secret of the vault', async () => {
    const before = await everything();
    expect(await peer(['add', 'x'])).toMatchObject({ exit: 2, stdout: '' });
    expect(await everything()).toBe(before);
  });
});

test('a file that cannot be filled leaves neither a peer that nobody could use nor the file', async () => {
  const out = join(folder, 'full.conf');
  const inTheWay = `${out}.${process.pid}.new`;
  mkdirSync(inTheWay);
  const living = async () => json(await peer(['list', '--json'])).peers;
  const before = await living();
  expect(await add('lost', '--out', out)).toMatchObject({
    exit: 1,
    stdout: '',
    stderr: expect.stringContaining('could not be written'),
  });
  expect(await living()).toEqual(before);
  expect(existsSync(out)).toBe(false);
  rmSync(inTheWay, { recursive: true });
  expect((await hub.audit()).slice(-2).map(({ event }) => event)).toEqual(['peer_created', 'peer_removed']);
});

describe('wghub peer add', () => {
  test('prints the configuration alone on stdout, and says on stderr what the running hub did', async () => {
    const said = await add('phone', '--preshared-key', '--keepalive', '0', '--route', 'all');
    expect(said.exit).toBe(0);
    const { interface: own, peers } = readConfig(said.stdout);
    expect(peers[0]).toMatchObject({ allowedIPs: ['0.0.0.0/0', '::/0'], keepalive: 0 });
    const shown = json(await peer(['show', publicKeyOf(own.privateKey ?? ''), '--json'])).peer;
    expect(shown).toMatchObject({ name: 'phone', kind: 'device', preshared: true, addresses: own.addresses });
    expect(said.stderr).toContain('the running hub has taken it up');
    for (const secret of [own.privateKey ?? '?', peers[0]?.presharedKey ?? '?']) {
      expect(said.stderr).not.toContain(secret);
      expect(JSON.stringify(await hub.audit()) + hub.log()).not.toContain(secret);
      const kept = readdirSync(hub.data.directory).map((file) =>
        file.endsWith('.sock') ? '' : readFileSync(join(hub.data.directory, file), 'latin1'),
      );
      expect(kept.join()).not.toContain(secret);
    }
  });

  test('puts it into a new file that only its owner can read, and not on the terminal', async () => {
    const out = join(folder, 'laptop.conf');
    const said = await add(
      'laptop',
      '--out',
      out,
      '--owner',
      'ann',
      '--expires',
      '30d',
      '--networks',
      '172.30.0.0/16',
      '172.31.0.0/16',
    );
    expect(said).toMatchObject({ exit: 0, stdout: expect.stringContaining('added laptop: 10.0.1.') });
    expect(statSync(out).mode & 0o777).toBe(0o600);
    const { privateKey } = readConfig(readFileSync(out, 'utf8')).interface;
    expect(said.stdout + said.stderr).not.toContain(privateKey);
    const { peer: shown } = json(await peer(['show', 'laptop', '--json']));
    expect(shown).toMatchObject({ owner: 'ann', networks: ['172.30.0.0/16', '172.31.0.0/16'] });
    const lasts = Date.parse(shown.expiresAt) - Date.parse(shown.createdAt);
    expect(Math.round(lasts / 60_000)).toBe(30 * 24 * 60);
  });

  test('shows a QR code with the very configuration, and as a picture for programs', async () => {
    const said = await add('tablet', '--qr');
    const config = readQrText(said.stdout);
    expect(publicKeyOf(readConfig(config).interface.privateKey ?? '')).toBe(
      json(await peer(['show', 'tablet', '--json'])).peer.publicKey,
    );
    const told = json(await add('watch', '--qr', '--json'));
    expect(readQrPng(told.qrCode)).toBe(told.config);
    expect(told).toMatchObject({ hub: 'live', peer: { name: 'watch' } });
  });

  test('makes no key for a peer that has its own', async () => {
    const { publicKey } = generateKeyPair();
    const said = await add('office', '--public-key', publicKey, '--kind', 'spoke');
    expect(readConfig(said.stdout).interface.privateKey).toBeNull();
    expect(said.stderr).toContain('PrivateKey is missing in it');
    expect(json(await peer(['show', publicKey, '--json'])).peer).toMatchObject({ name: 'office', kind: 'spoke' });
    expect(await add('again', '--public-key', publicKey)).toMatchObject({ exit: 2, stdout: '' });
  });

  test('gives an obfuscated interface’s parameters to a program that knows them', async () => {
    const said = await add('van', '--interface', 'wg1');
    expect(readConfig(said.stdout).interface.obfuscation).toHaveProperty('Jc');
  });
});

describe('wghub peer', () => {
  test('show, disable, enable, qr and remove of nobody fail, and change nothing', async () => {
    const before = await everything();
    for (const command of ['show', 'disable', 'enable', 'remove', 'qr']) {
      const said = await peer([command, 'nobody', ...(command === 'remove' ? ['--yes'] : [])]);
      const refusal = /there is no such peer\n.*hint: wghub peer list/;
      expect(said).toMatchObject({ exit: 1, stdout: '', stderr: expect.stringMatching(refusal) });
    }
    expect(await everything()).toBe(before);
  });

  test('a name of two peers is not guessed at: both are told, and nothing changes', async () => {
    await add('twin');
    await add('twin', '--interface', 'wg1');
    const before = await everything();
    for (const command of ['show', 'disable', 'remove', 'qr']) {
      const said = await peer([command, 'twin', ...(command === 'remove' ? ['--yes'] : [])]);
      expect(said).toMatchObject({ exit: 2, stdout: '' });
      expect(said.stderr).toMatch(
        /[0-9a-f]{24} \(wg0, 10\.0\.1\.\d+, pending\), [0-9a-f]{24} \(wg1, 10\.0\.2\.\d+, pending\)/,
      );
    }
    expect(await everything()).toBe(before);
    expect((await peer(['show', 'twin', '--interface', 'wg1'])).stdout).toContain('interface  wg1');
  });

  test('disable and enable are told to the running hub, and are in the audit log', async () => {
    await add('desk');
    expect(await peer(['disable', 'desk'])).toMatchObject({
      exit: 0,
      stdout: expect.stringMatching(
        /^disabled desk \(10\.0\.1\.\d+, fd42:4242:1::[0-9a-f]+ on wg0\)\n {2}the running hub has taken it up\n$/,
      ),
    });
    expect(json(await peer(['list', '--status', 'disabled', '--json'])).peers).toMatchObject([{ name: 'desk' }]);
    expect(json(await peer(['enable', 'desk', '--json']))).toMatchObject({ hub: 'live', peer: { status: 'pending' } });
    expect((await hub.audit()).slice(-2).map(({ event, detail }) => [event, detail.by])).toEqual([
      ['peer_disabled', 'command'],
      ['peer_enabled', 'command'],
    ]);
  });

  test('remove asks on a terminal, and removes nothing without a yes', async () => {
    await add('old');
    const before = await everything();
    expect(await peer(['remove', 'old'])).toMatchObject({ exit: 2, stderr: expect.stringContaining('--yes') });
    for (const typed of ['no', '', 'y']) {
      expect(await peer(['remove', 'old'], [typed])).toMatchObject({ exit: 1, stdout: '' });
    }
    expect(await everything()).toBe(before);
    expect(await peer(['remove', 'old'], ['yes'])).toMatchObject({
      exit: 0,
      stdout: expect.stringContaining('removed old'),
    });
    await add('old');
    expect((await peer(['remove', 'old', '--yes'])).exit).toBe(0);
    expect((await peer(['show', 'old'])).exit).toBe(1);
  });

  test('qr says why there is no code to show, and changes nothing', async () => {
    await add('mobile');
    const before = await everything();
    const said = await qr('mobile');
    expect(said).toMatchObject({ exit: 3, stdout: '' });
    expect(said.stderr).toContain('the hub does not keep the private key of mobile');
    expect(said.stderr).toContain('--new-keys');
    expect(await everything()).toBe(before);
  });

  test('qr --new-keys shows a code that works in place of what the device had', async () => {
    const first = json(await add('fon', '--preshared-key', '--json'));
    const said = await qr('fon', '--new-keys');
    const config = readConfig(readQrText(said.stdout));
    const { peer: now } = json(await peer(['show', 'fon', '--json']));
    expect(now).toMatchObject({
      id: first.peer.id,
      addresses: first.peer.addresses,
      status: 'pending',
      preshared: true,
    });
    expect(publicKeyOf(config.interface.privateKey ?? '')).toBe(now.publicKey);
    expect(now.publicKey).not.toBe(first.peer.publicKey);
    expect(config.peers[0]?.presharedKey).not.toBe(readConfig(first.config).peers[0]?.presharedKey);
    expect((await peer(['show', first.peer.publicKey])).exit).toBe(1);
    expect((await hub.audit()).at(-1)).toMatchObject({
      event: 'peer_rekeyed',
      detail: { by: 'command', before: first.peer.publicKey, public_key: now.publicKey },
    });
  });

  test('qr --new-keys that could not be handed over leaves the device its keys', async () => {
    const { peer: made } = json(await add('kept', '--json'));
    const out = join(folder, 'kept.conf');
    writeFileSync(out, 'mine');
    const before = await everything();
    expect(await qr('kept', '--new-keys', '--out', out)).toMatchObject({ exit: 3, stdout: '' });
    expect(await qr('kept', '--new-keys', '--client', 'openvpn')).toMatchObject({ exit: 2, stdout: '' });
    expect(await everything()).toBe(before);
    expect(json(await peer(['show', 'kept', '--json'])).peer.publicKey).toBe(made.publicKey);
  });
});

describe('wghub peer list', () => {
  test('refuses filters that are none', async () => {
    for (const args of [
      ['--status', 'deleted'],
      ['--kind', 'toaster'],
      ['--interface', 'wg7'],
    ]) {
      expect(await peer(['list', ...args])).toMatchObject({ exit: 2, stdout: '' });
    }
  });

  test('keeps to 80 columns whatever peers are called and how much they move', async () => {
    await add('☎'.repeat(64), '--owner', 'x'.repeat(128));
    await hub.data.store.transaction((tx) =>
      tx
        .updateTable('peer')
        .set({
          rx: 999 * 1024 ** 4,
          tx: 1023 * 1024,
          last_handshake: hub.clock.now() - 89 * 60_000,
          status: 'inactive',
        })
        .where('name', '=', 'laptop')
        .execute(),
    );
    for (const args of [[], ['--interface', 'wg0']]) {
      const { stdout } = await peer(['list', ...args]);
      const lines = stdout.trimEnd().split('\n');
      expect(Math.max(...lines.map((line) => [...line].length))).toBeLessThanOrEqual(80);
      expect(lines[0]).toMatch(args.length === 0 ? /^IFACE {2}NAME/ : /^NAME +ADDRESS +STATUS +HANDSHAKE +RX +TX$/);
      expect(stdout).toMatch(/laptop +10\.0\.1\.\d+ +inactive +89 min +999 TiB +1 MiB/);
    }
  });

  test('has the same peers for people and for programs, and says where there is none', async () => {
    const all = json(await peer(['list', '--json'])).peers;
    const lines = (await peer(['list'])).stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(all.length + 1);
    const kinds = json(await peer(['list', '--json', '--kind', 'spoke'])).peers;
    expect(kinds.map(({ name }: { name: string }) => name)).toEqual(['office']);
    const none = await peer(['list', '--status', 'active']);
    expect(none).toMatchObject({ exit: 0, stdout: '', stderr: expect.stringContaining('wghub peer add') });
    expect(json(await peer(['list', '--status', 'active', '--json']))).toEqual({ peers: [] });
  });
});

describe('wghub status', () => {
  test('tells what is stored and what the running hub sees, without a secret', async () => {
    const told = json(await status('--json'));
    expect(told).toMatchObject({ hub: 'hub', running: true, pid: process.pid });
    const [wg0, wg1] = told.interfaces;
    expect(wg0).toMatchObject({
      name: 'wg0',
      addresses: ['10.0.1.1/24', 'fd42:4242:1::1/64'],
      seen: { driver: 'memory', up: true, comparison: { foreign: [] } },
    });
    expect(wg1).toMatchObject({ name: 'wg1', level: 'extreme' });
    const counted = Object.values(wg0.peers as Record<string, number>).reduce((sum, one) => sum + one, 0);
    expect(wg0.freeAddresses).toBe(253 - counted);
    const { stdout } = await status();
    expect(stdout).toContain(`hub hub: running, process ${process.pid}`);
    expect(stdout).toMatch(/compared {3}\d+ s ago/);
    for (const text of [stdout, JSON.stringify(told)])
      expect(text).not.toMatch(/private|preshared|"Jc"|\bJc =|obfuscation/i);
  });
});
