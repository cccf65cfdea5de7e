import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createLog } from '../../platform/log.ts';
import { run } from '../../platform/run.ts';
import { addExportCommand } from '../../wireguard/commands/export.ts';
import { addInterfaceCommand } from '../../wireguard/commands/interface.ts';
import { readConfig } from '../../wireguard/config/read-config.ts';
import { hubConfig } from '../../wireguard/data/hub-config.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { exportText, writeExport } from '../../wireguard/hub/export-file.ts';
import { ExportKeeper } from '../../wireguard/hub/export-keeper.ts';
import { registerForCommands } from '../../wireguard/hub/register-for-commands.ts';
import { drawObfuscation } from '../../wireguard/obfuscation/levels.ts';
import { listInterfaceFacts } from '../../wireguard/store/interface-facts.ts';
import { hasProgram } from '../harness/programs.ts';
import { runCommand, type Said } from '../keyserver/command-runner.ts';
import { testInterface } from './hub-store.ts';
import { type RunningHub, startRunningHub } from './running-hub.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lk-export-'));
});
afterEach(() => rmSync(folder, { recursive: true }));
const place = (name = 'wg0.conf'): string => join(folder, name);

describe('writeExport()', () => {
  test('refuses a file that is no export, and leaves it', () => {
    writeFileSync(place(), '[Interface]\n');
    expect(() => writeExport(place(), exportText(testInterface(), []))).toThrowError(
      expect.objectContaining({ code: 'file_exists', exit: 3 }),
    );
    expect(readFileSync(place(), 'utf8')).toBe('[Interface]\n');
    expect(readdirSync(folder)).toEqual(['wg0.conf']);
  });

  test('writes for its owner alone, and once', () => {
    const text = exportText(testInterface(), []);
    expect(writeExport(place(), text)).toBe(true);
    expect(writeExport(place(), text)).toBe(false);
    expect(statSync(place()).mode & 0o777).toBe(0o600);
    expect(writeExport(place(), exportText(testInterface(), []))).toBe(true);
  });
});

test('exportText() of an obfuscated interface has its parameters and an MTU that fits', () => {
  const obfuscation = drawObfuscation('high', randomBytes);
  const config = readConfig(exportText(testInterface({ obfuscation, level: 'high' }), []));
  expect(config.interface).toMatchObject({ obfuscation, mtu: 1420 - (obfuscation.S4 ?? 0) });
});

test('an export folder is an absolute path', () => {
  const config = { version: 1 as const, name: 'hub', listen: { host: '127.0.0.1', port: 0 } };
  expect(hubConfig(config).exportFolder).toBeNull();
  expect(() => hubConfig({ ...config, exportFolder: 'wg' })).toThrowError(/"exportFolder" must be an absolute path/);
});

describe('of a hub', () => {
  let hub: RunningHub;
  beforeAll(async () => {
    hub = await startRunningHub();
  });
  afterAll(() => hub.stop());
  const exported = (...args: string[]): Promise<Said> =>
    runCommand(addExportCommand, ['export', '--data', hub.data.directory, '--keyfile', hub.keyfile, ...args]);
  const addPeer = async (name: string) => {
    const [facts] = await hub.data.store.read(listInterfaceFacts);
    if (facts === undefined) throw new Error('the hub has no interface');
    const { peers } = registerForCommands(hub.data, facts, { clock: hub.clock, random: randomBytes }, hub.vault);
    return peers.create({ name, kind: 'spoke', presharedKey: true }, COMMAND);
  };

  test('the command refuses what is not there and what it would destroy', async () => {
    expect(await exported('--interface', 'wg7')).toMatchObject({ exit: 2, stdout: '' });
    writeFileSync(place(), 'mine');
    expect(await exported('--out', place())).toMatchObject({
      exit: 3,
      stderr: expect.stringContaining('is no export'),
    });
    expect(readFileSync(place(), 'utf8')).toBe('mine');
    expect(await exported('--out', join(folder, 'no', 'where'))).toMatchObject({ exit: 1 });
  });

  test('the command writes a file that wg-quick takes', async () => {
    const { peer, presharedKey } = await addPeer('one');
    expect(await exported('--out', place())).toMatchObject({
      exit: 0,
      stdout: `wrote wg0 with 1 peer to ${place()}\n`,
    });
    const text = readFileSync(place(), 'utf8');
    expect(text).toMatch(/^# export of wghub: /);
    const config = readConfig(text);
    expect(config.peers).toMatchObject([{ publicKey: peer.publicKey, presharedKey, allowedIPs: peer.addresses }]);
    if (hasProgram('wg-quick')) {
      const { stdout } = await run(['wg-quick', 'strip', place()], { timeoutMs: 10_000 });
      expect(stdout.toString()).toContain(peer.publicKey);
    }
    expect((await exported()).stdout).toBe(text);
  });

  test('the keeper writes what has changed and nothing else', async () => {
    let log = '';
    const destination = new Writable({
      write(chunk: Buffer, _encoding, done) {
        log += chunk.toString();
        done();
      },
    });
    const parts = { store: hub.data.store, seal: hub.vault, log: createLog({ level: 'error', destination }) };
    const keeper = new ExportKeeper({ ...parts, folder, only: null });
    expect(await keeper.keep()).toBe(1);
    expect(await keeper.keep()).toBe(0);
    await addPeer('two');
    expect(await keeper.keep()).toBe(1);
    expect(readConfig(readFileSync(place(), 'utf8')).peers).toHaveLength(2);

    const command = (...args: string[]) =>
      runCommand(addInterfaceCommand, ['interface', ...args, '--data', hub.data.directory]);
    await command('add', 'wg1', '--keyfile', hub.keyfile, '--network', '10.5.0.0/24', '--endpoint', 'h:51821');
    expect(await keeper.keep()).toBe(1);
    expect(existsSync(place('wg1.conf'))).toBe(true);
    const second = mkdtempSync(join(tmpdir(), 'lk-export-'));
    expect(await new ExportKeeper({ ...parts, folder: second, only: ['wg1'] }).keep()).toBe(1);
    expect(readdirSync(second)).toEqual(['wg1.conf']);
    rmSync(second, { recursive: true });
    await command('remove', 'wg1');
    await keeper.keep();
    expect(existsSync(place('wg1.conf'))).toBe(false);

    writeFileSync(place(), 'mine now');
    await addPeer('three');
    expect(await keeper.keep()).toBe(0);
    expect(readFileSync(place(), 'utf8')).toBe('mine now');
    expect(log).toContain('interface was not exported');
    expect(log).toContain('file_exists');
    rmSync(place());
    expect(await keeper.keep()).toBe(1);
  });
});
