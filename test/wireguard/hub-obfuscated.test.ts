import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { run } from '../../platform/run.ts';
import { readConfig } from '../../wireguard/config/read-config.ts';
import { writeBareConfig } from '../../wireguard/config/write-config.ts';
import { LEVEL_NEEDS, LEVELS } from '../../wireguard/obfuscation/levels.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { answers, HubNetwork, type Machine } from '../harness/hub-network.ts';
import { HubProcess } from '../harness/hub-process.ts';
import { tunnelObstacle } from '../harness/namespaces.ts';
import { hasProgram } from '../harness/programs.ts';

const isThere = tunnelObstacle() === null && hasProgram('awg') && hasProgram('amneziawg-go');
const PATIENCE = { timeout: 20_000, interval: 100 };

/** What each level needs is asked of the program by itself: it says no version that could be gone by. */
const PROBES: Readonly<Record<string, string>> = { '1.0': 'jc=4', '2.0': 's4=0', '3.1': 'random_trailers=0' };

/** Whether the program that runs behind `socket` takes this. */
function takes(socket: string, line: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let text = '';
    const asked = connect(socket, () => asked.write(`set=1\n${line}\n\n`));
    asked.on('error', reject);
    asked.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (text.endsWith('\n\n')) asked.end();
    });
    asked.on('close', () => resolve(text === 'errno=0\n\n'));
  });
}

describe.skipIf(!isThere)('a hub and a device that hide by a real amneziawg-go', { timeout: 60_000 }, () => {
  const cleanup = new Cleanup();
  const folder = mkdtempSync(join(tmpdir(), 'lk-obfuscated-'));
  let machines: { readonly hub: Machine; readonly device: Machine };
  const known = new Set<string>();

  beforeAll(async () => {
    cleanup.add(folder, () => rmSync(folder, { recursive: true }));
    const network = await HubNetwork.build(cleanup);
    machines = { hub: await network.machine('hub', 1), device: await network.machine('device', 2) };
    const probe = `lkq${process.pid % 1e6}`;
    await run(machines.hub.inside(['amneziawg-go', probe]), { timeoutMs: 10_000 });
    for (const [version, line] of Object.entries(PROBES)) {
      if (await takes(`/var/run/amneziawg/${probe}.sock`, line)) known.add(version);
    }
    await machines.hub.run('ip', 'link', 'delete', probe);
    for (const machine of Object.values(machines)) {
      await machine.run('sh', '-c', 'mkdir -p /run/amneziawg && mount -t tmpfs amneziawg /run/amneziawg');
    }
  });
  afterAll(() => cleanup.run());

  /** As awg-quick does, from the file that the hub gave. */
  async function bringUp(device: Machine, text: string): Promise<void> {
    const config = readConfig(text);
    const file = join(folder, 'device.conf');
    writeFileSync(file, writeBareConfig(config), { mode: 0o600 });
    await device.run('amneziawg-go', 'awg0');
    await device.run('awg', 'setconf', 'awg0', file);
    for (const address of config.interface.addresses) await device.run('ip', 'address', 'add', address, 'dev', 'awg0');
    await device.run('ip', 'link', 'set', 'awg0', 'mtu', String(config.interface.mtu), 'up');
    for (const { allowedIPs } of config.peers) {
      for (const one of allowedIPs) await device.run('ip', 'route', 'add', one, 'dev', 'awg0');
    }
  }

  test.for(LEVELS.slice(1))('reach each other at level %s', async (level, { skip }) => {
    skip(!known.has(LEVEL_NEEDS[level] ?? ''), 'the amneziawg-go that is installed is older');
    const hub = new HubProcess(machines.hub, join(folder, level), join(folder, `${level}.key`), cleanup);
    await hub.init(['--interface', 'wg0', '--network', '10.77.0.0/24', '--level', level]);
    await hub.start();
    const { config } = await hub.device(level);
    await bringUp(machines.device, config);
    await vi.waitFor(async () => expect(await answers(machines.device, '10.77.0.1')).toBe(true), PATIENCE);
    for (const [machine, name] of [
      [machines.hub, 'wg0'],
      [machines.device, 'awg0'],
    ] as const) {
      expect(Number(await machine.run('awg', 'show', name, 'jc'))).toBe(readConfig(config).interface.obfuscation.Jc);
    }
    const size = String((readConfig(config).interface.mtu ?? 0) - 28);
    const whole = `busybox ping -c 1 -W 2 -s ${size} 10.77.0.1`;
    expect(await machines.device.tries(whole)).toBe(true);
    await hub.stop();
    await hub.closeSide();
    await machines.device.run('ip', 'link', 'delete', 'awg0');
    await machines.hub.run('ip', 'link', 'delete', 'wg0');
  });
});
