import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { systemRandom } from '../../platform/clock.ts';
import { createLog } from '../../platform/log.ts';
import { addInitCommand } from '../../wireguard/commands/init.ts';
import { addStatusCommand } from '../../wireguard/commands/status.ts';
import { doorbellFile } from '../../wireguard/data/hub-data.ts';
import { MemoryDriver } from '../../wireguard/drivers/memory.ts';
import { hangDoorbell } from '../../wireguard/hub/doorbell.ts';
import { Hub } from '../../wireguard/hub/hub.ts';
import { hubReport } from '../../wireguard/hub/hub-report.ts';
import { HubWatch } from '../../wireguard/hub/hub-watch.ts';
import { generateKeyPair } from '../../wireguard/keys.ts';
import { insertInterface } from '../../wireguard/store/hub-interface.ts';
import { runHubCommand } from './command-runner.ts';
import { sqlitePlace, testInterface, testSeal } from './hub-store.ts';

const NOW = 1_800_000_000_000;
let folder: string;
let data: string;
let unhang: (() => Promise<void>) | null = null;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lk-status-'));
  data = join(folder, 'hub');
  const sealed = ['--data', data, '--keyfile', join(folder, 'key')];
  const argv = ['init', ...sealed, '--endpoint', 'hub.example:51820', '--name', 'berlin', '--driver', 'memory'];
  expect((await runHubCommand(addInitCommand, argv)).exit).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(async () => {
  await unhang?.();
  unhang = null;
});

const answering = async (report: unknown): Promise<void> => {
  unhang = await hangDoorbell(
    doorbellFile(data),
    async () => 'live' as const,
    () => report,
  );
};
const status = (...more: string[]) =>
  runHubCommand(addStatusCommand, ['status', '--data', data, ...more], { clock: { now: () => NOW } });

test('no data directory is an error, and no empty status', async () => {
  const said = await runHubCommand(addStatusCommand, ['status', '--data', join(folder, 'nowhere')]);
  expect(said).toMatchObject({ exit: expect.any(Number), stdout: '' });
  expect(said.exit).not.toBe(0);
});

test('without a hub the store is told, and that it is the store', async () => {
  const { exit, stdout } = await status();
  expect(exit).toBe(0);
  expect(stdout).toContain('hub berlin: not running, this is what the store says');
  expect(stdout).toContain('peers      0: 0 pending, 0 active, 0 inactive, 0 disabled');
  expect(stdout).not.toMatch(/looked at|compared|foreign/);
});

test('what is no report of a hub is not taken for one', async () => {
  await answering({ pid: 7, interfaces: [{ name: 'wg0' }] });
  expect(JSON.parse((await status('--json')).stdout)).toMatchObject({ running: false, interfaces: [{ seen: null }] });
});

test('an interface that the running hub does not know is told as such', async () => {
  await answering({ pid: 7, interfaces: [] });
  expect((await status()).stdout).toContain('wg0  not taken up by the running hub yet');
});

test('what a hub saw of an interface is shown: peers of nobody, and that it went down', async () => {
  const { store, close } = await sqlitePlace().open();
  const [seal, facts, driver] = [testSeal(), testInterface(), new MemoryDriver()];
  await store.transaction((tx) => insertInterface(tx, facts, seal, NOW));
  let now = NOW - 90_000;
  const parts = { store, seal, now: () => now, random: systemRandom };
  const hub = new Hub(facts, driver, () => Promise.resolve(), {
    ...parts,
    policy: 'adopt',
    onTrouble: () => undefined,
  });
  const log = createLog({ level: 'error', destination: new PassThrough() });
  const watch = new HubWatch(hub, { ...parts, log, onComparison: () => undefined });
  await hub.reconciler.rebuild();
  const keys = Array.from({ length: 12 }, () => generateKeyPair().publicKey);
  const peer = (publicKey: string, at: number) => {
    return { publicKey, presharedKey: null, allowedIPs: [`10.9.9.${at}/32`], endpoint: null, keepalive: 0 };
  };
  await driver.apply({ set: keys.map(peer), remove: [] });
  await watch.tidy();
  driver.destroy();
  now = NOW - 5_000;
  await watch.look();
  await answering(hubReport([watch]));
  const { stdout } = await status();
  expect(stdout).toContain(`hub berlin: running, process ${process.pid}`);
  expect(stdout).toContain('wg0  DOWN');
  expect(stdout).toContain('looked at  5 s ago: it could not be asked, by memory');
  expect(stdout).toContain('compared   1 min ago: nothing differed');
  expect(stdout).toContain('foreign    12 peers that are not in the store');
  expect(keys.filter((key) => stdout.includes(key))).toHaveLength(10);
  const [seen] = JSON.parse((await status('--json')).stdout).interfaces;
  expect(seen.seen).toMatchObject({ up: false, peers: null, comparison: { outcome: 'settled' } });
  expect([...seen.seen.comparison.foreign].sort()).toEqual([...keys].sort());
  expect(JSON.stringify(seen)).not.toContain(facts.privateKey);
  await close();
});
