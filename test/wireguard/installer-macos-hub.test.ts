import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../platform/run.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { answers, HubNetwork, type Machine } from '../harness/hub-network.ts';
import { HubProcess } from '../harness/hub-process.ts';
import { InstallerMachine, installerObstacle } from '../harness/installer-machine.ts';
import { MacMachine } from '../harness/mac-machine.ts';

const obstacle = installerObstacle();
const HUB = '10.205.0.1';

describe.skipIf(obstacle !== null)(`one command on a mac${obstacle === null ? '' : ` (${obstacle})`}`, () => {
  const cleanup = new Cleanup();
  const unguard = cleanup.guard();
  const folder = mkdtempSync(join(tmpdir(), 'lk-mac-hub-'));
  let machine: Machine;
  let hub: HubProcess;
  let token: string;
  let mac: MacMachine;

  beforeAll(async () => {
    cleanup.add(folder, () => rmSync(folder, { recursive: true }));
    const network = await HubNetwork.build(cleanup);
    machine = await network.machine('hub', 1);
    hub = new HubProcess(machine, join(folder, 'hub'), join(folder, 'hub.key'), cleanup);
    const networks = ['--network', '10.77.0.0/24', '--network6', 'fd77::/64'];
    await hub.init([
      '--interface',
      'wg0',
      ...networks,
      '--name',
      'berlin',
      '--listen',
      `${HUB}:8443`,
      '--tls-own',
      HUB,
    ]);
    ({ token } = (await hub.command(['token', 'add', 'ops', '--scopes', 'peers:read', 'peers:write'])) as {
      token: string;
    });
    await hub.start();
    mac = await MacMachine.build({
      machine: async (distribution, without) =>
        InstallerMachine.build(await network.machine('mac', 2), distribution, without),
    });
  });
  afterAll(async () => {
    unguard();
    await cleanup.run();
  });

  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of it says what it is
  async function call(method: string, path: string, body?: object): Promise<any> {
    const settings = [`url = "https://${HUB}:8443${path}"`, `header = "Authorization: Bearer ${token}"`];
    const sent = body === undefined ? [] : ['-H', 'Content-Type: application/json', '-d', JSON.stringify(body)];
    const argv = machine.inside(['curl', '-sSk', '-X', method, '-K', '-', ...sent]);
    const { stdout } = await run(argv, { timeoutMs: 20_000, input: settings.join('\n') });
    return JSON.parse(stdout.toString('utf8'));
  }

  test('in two steps: checked, run by launchd over IPv4 and IPv6, run again without a change, and taken away', async () => {
    const { verifiedCommands } = await call('POST', '/api/installation/token', {
      spokeName: 'laptop',
      platform: 'macos',
    });
    const { exit, stdout, stderr } = await mac.paste(verifiedCommands.macos);
    expect([exit, stdout], stderr).toEqual([0, expect.stringContaining('the spoke "laptop" of "berlin"')]);
    const pings = (): Promise<boolean[]> =>
      Promise.all(['10.77.0.1', 'fd77::1'].map((address) => answers(mac.base.machine, address)));
    expect(await pings()).toEqual([true, true]);
    const { spokes } = await call('GET', '/api/spoke/list?os=macos');
    expect(spokes).toMatchObject([{ name: 'laptop', os: 'macOS 15.1 (Darwin 24.1.0 arm64)', osFamily: 'macos' }]);
    const [, script = ''] = /^checked; the script is kept as (.+)$/m.exec(stdout) ?? [];
    expect((await mac.paste(`sudo sh ${script}`)).stdout).toContain('nothing was changed');
    expect((await mac.paste(`sudo sh ${script} --uninstall`)).exit).toBe(0);
    expect(await pings()).toEqual([false, false]);
  });

  test('in one line, of which nothing is left, here or at the hub, when launchd refuses', async () => {
    const order = { spokeName: 'failing', platform: 'macos' };
    const { installCommands } = await call('POST', '/api/installation/token', order);
    mac.base.failAt('launchctl bootstrap *');
    const before = await mac.base.state();
    const { exit, stderr } = await mac.paste(installCommands.macos);
    expect([exit, stderr]).toEqual([1, expect.stringContaining('the hub has forgotten this spoke')]);
    expect(await mac.base.state()).toEqual(before);
    expect(await hub.differences()).toEqual([]);
  });
});
