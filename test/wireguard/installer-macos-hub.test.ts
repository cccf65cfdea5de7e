import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cleanup } from '../harness/cleanup.ts';
import { answers } from '../harness/hub-network.ts';
import { InstallerMachine, installerObstacle } from '../harness/installer-machine.ts';
import { MacMachine } from '../harness/mac-machine.ts';
import { InstallingHub } from './installing-hub.ts';

const obstacle = installerObstacle();

describe.skipIf(obstacle !== null)(`one command on a mac${obstacle === null ? '' : ` (${obstacle})`}`, () => {
  const cleanup = new Cleanup();
  const unguard = cleanup.guard();
  let berlin: InstallingHub;
  let mac: MacMachine;

  beforeAll(async () => {
    berlin = await InstallingHub.build(cleanup, ['--network6', 'fd77::/64']);
    mac = await MacMachine.build({
      machine: async (distribution, without) =>
        InstallerMachine.build(await berlin.network.machine('mac', 2), distribution, without),
    });
  });
  afterAll(async () => {
    unguard();
    await cleanup.run();
  });

  test('in two steps: checked, run by launchd over IPv4 and IPv6, run again without a change, and taken away', async () => {
    const { checked } = await berlin.commandsFor('macos', 'laptop');
    const { exit, stdout, stderr } = await mac.paste(checked);
    expect([exit, stdout], stderr).toEqual([0, expect.stringContaining('the spoke "laptop" of "berlin"')]);
    const pings = (): Promise<boolean[]> =>
      Promise.all(['10.77.0.1', 'fd77::1'].map((address) => answers(mac.base.machine, address)));
    expect(await pings()).toEqual([true, true]);
    const { spokes } = await berlin.call('GET', '/api/spoke/list?os=macos');
    expect(spokes).toMatchObject([{ name: 'laptop', os: 'macOS 15.1 (Darwin 24.1.0 arm64)', osFamily: 'macos' }]);
    const [, script = ''] = /^checked; the script is kept as (.+)$/m.exec(stdout) ?? [];
    expect((await mac.paste(`sudo sh ${script}`)).stdout).toContain('nothing was changed');
    expect((await mac.paste(`sudo sh ${script} --uninstall`)).exit).toBe(0);
    expect(await pings()).toEqual([false, false]);
  });

  test('in one line, of which nothing is left, here or at the hub, when launchd refuses', async () => {
    const { short } = await berlin.commandsFor('macos', 'failing');
    mac.base.failAt('launchctl bootstrap *');
    const before = await mac.base.state();
    const { exit, stderr } = await mac.paste(short);
    expect([exit, stderr]).toEqual([1, expect.stringContaining('the hub has forgotten this spoke')]);
    expect(await mac.base.state()).toEqual(before);
    expect(await berlin.hub.differences()).toEqual([]);
  });
});
