import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemRandom } from '../../platform/clock.ts';
import { run } from '../../platform/run.ts';
import { readConfig } from '../../wireguard/config/read-config.ts';
import { parseDump } from '../../wireguard/drivers/dump.ts';
import { drawObfuscation } from '../../wireguard/obfuscation/levels.ts';
import { type Argv, BackgroundProcess } from '../harness/background-process.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { tunnelObstacle } from '../harness/namespaces.ts';
import { hasProgram } from '../harness/programs.ts';
import { testInterface } from './hub-store.ts';
import { type RunningHub, startRunningHub } from './running-hub.ts';

const missing = tunnelObstacle() ?? (hasProgram('wg-quick') ? null : 'wg-quick not installed');
// a name would be looked up, and in there is nobody to ask
const facts = testInterface({ dns: ['10.0.1.1'], mtu: 1400, endpoint: '192.0.2.1:51820' });
const low = testInterface({
  name: 'wg1',
  networks: ['10.1.0.0/24'],
  addresses: ['10.1.0.1/24'],
  listenPort: 51821,
  level: 'low',
  obfuscation: drawObfuscation('low', systemRandom),
});

// What is handed out, before the real tools: in a network namespace with a real wireguard-go.
describe.skipIf(missing !== null)(`a device's configuration${missing === null ? '' : ` (${missing})`}`, () => {
  const cleanup = new Cleanup();
  const name = `lkd${process.pid}`;
  const inside: Argv = ['ip', 'netns', 'exec', name];
  const folder = mkdtempSync(join(tmpdir(), 'lk-device-'));
  const file = join(folder, `${name}.conf`);
  let hub: RunningHub;

  beforeAll(async () => {
    cleanup.add(folder, () => rmSync(folder, { recursive: true }));
    hub = await startRunningHub({
      interface: facts,
      more: [low],
      tokens: [{ name: 'backend', scopes: ['devices'] }],
    });
    cleanup.add('hub', () => hub.stop());
    await run(['ip', 'netns', 'add', name], { timeoutMs: 10_000 });
    cleanup.add(name, async () => {
      await run(['ip', 'netns', 'delete', name], { timeoutMs: 10_000 });
    });
    const socket = `/var/run/wireguard/${name}.sock`;
    cleanup.add(socket, () => rmSync(socket, { force: true }));
    const daemon = await BackgroundProcess.start([...inside, 'wireguard-go', '-f', name], {
      readyIf: () => existsSync(socket),
      env: { LOG_LEVEL: 'error' },
    });
    cleanup.add('wireguard-go', () => daemon.stop());
  });
  afterAll(() => cleanup.run());

  async function download(more: object): Promise<string> {
    const body = { user_id: 'anna', device_name: 'phone', ...more };
    return (await hub.request('POST', '/api/create-peer?download=conf', { token: 'backend', body })).text;
  }
  /** What is left of it for `wg`, as wg-quick cuts it. */
  async function strip(text: string): Promise<string> {
    writeFileSync(file, text, { mode: 0o600 });
    return (await run(['wg-quick', 'strip', file], { timeoutMs: 10_000 })).stdout.toString();
  }
  async function setconf(text: string): Promise<{ readonly exit: number; readonly stderr: string }> {
    const bare = join(folder, 'bare.conf');
    writeFileSync(bare, text, { mode: 0o600 });
    return run([...inside, 'wg', 'setconf', name, bare], { timeoutMs: 10_000, allowExit: 'any' });
  }

  test('is stripped by wg-quick, taken by wg, and is then what runs', async () => {
    const text = await download({});
    expect(await setconf(await strip(text))).toMatchObject({ exit: 0 });
    const shown = await run([...inside, 'wg', 'show', name, 'dump'], { timeoutMs: 10_000 });
    const live = parseDump(shown.stdout.toString());
    const { interface: own, peers } = readConfig(text);
    const [peer] = peers;
    expect(live.privateKey).toBe(own.privateKey);
    expect([...live.peers.values()]).toMatchObject([
      {
        publicKey: facts.publicKey,
        presharedKey: peer?.presharedKey,
        allowedIPs: facts.networks,
        endpoint: '192.0.2.1:51820',
        keepalive: 25,
      },
    ]);
  });

  test('that is obfuscated is refused by plain wg, for which it is never made', async () => {
    const text = await download({ interface: 'wg1' });
    expect(text).toContain('Jc = ');
    const { exit, stderr } = await setconf(await strip(text));
    expect(exit).not.toBe(0);
    expect(stderr).toMatch(/Jc/);
  });
});
