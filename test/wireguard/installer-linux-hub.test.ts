import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../platform/run.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { answers } from '../harness/hub-network.ts';
import { InstallerMachine, installerObstacle } from '../harness/installer-machine.ts';
import { DISTRIBUTIONS } from '../harness/installer-stand-ins.ts';
import { InstallingHub } from './installing-hub.ts';

const obstacle = installerObstacle();
const TOOLS = ['wireguard-tools', 'wireguard-go'];

describe.skipIf(obstacle !== null)(`one command on a linux machine${obstacle === null ? '' : ` (${obstacle})`}`, () => {
  const cleanup = new Cleanup();
  const unguard = cleanup.guard();
  let berlin: InstallingHub;

  beforeAll(async () => {
    berlin = await InstallingHub.build(cleanup, ['--network6', 'fd77::/64', '--dns', '10.77.0.1']);
  });
  afterAll(async () => {
    unguard();
    await cleanup.run();
  });

  const spokes = async (): Promise<{ id: string; name: string; os: string }[]> =>
    (await berlin.call('GET', '/api/spoke/list')).spokes;
  const pasted = (spoke: InstallerMachine, line: string) =>
    run(spoke.inside(['bash', '-c', line]), { timeoutMs: 60_000, allowExit: 'any', env: { HOME: '/root' } });
  const spokeMachine = async (host: number): Promise<InstallerMachine> => {
    const spoke = await InstallerMachine.build(
      await berlin.network.machine(`spoke${host}`, host),
      DISTRIBUTIONS.debian,
      TOOLS,
    );
    spoke.program('sudo', '#!/bin/sh\nexec "$@"\n');
    return spoke;
  };

  test('the short one: from nothing to a tunnel that pings, by IPv4 and IPv6, and its hub knows the spoke', async () => {
    const spoke = await spokeMachine(2);
    const { short } = await berlin.commandsFor('linux', "it's $(here)");
    const began = performance.now();
    const { exit, stderr, stdout } = await pasted(spoke, short);
    const took = performance.now() - began;
    expect([exit, stdout.toString('utf8')]).toEqual([
      0,
      expect.stringContaining('the spoke "it\'s $(here)" of "berlin"'),
    ]);
    expect(stderr).toContain('the name servers of the hub (10.77.0.1) are left out');
    expect([await answers(spoke.machine, '10.77.0.1'), await answers(spoke.machine, 'fd77::1')]).toEqual([true, true]);
    const [made] = await spokes();
    expect(made).toMatchObject({ name: "it's $(here)", os: expect.stringMatching(/^Debian GNU\/Linux 12/) });
    process.stdout.write(`from nothing to a pinging tunnel: ${Math.round(took)} ms\n`);

    const again = await pasted(spoke, short);
    expect([again.exit, again.stderr]).toEqual([0, expect.stringContaining('410')]);
    expect(await answers(spoke.machine, '10.77.0.1')).toBe(true);
  });

  test('the long one: checked, run, kept, run again without a change, and taken away by what was kept', async () => {
    const spoke = await spokeMachine(3);
    const { checked } = await berlin.commandsFor('linux', 'long');
    const { exit, stdout } = await pasted(spoke, checked);
    expect([exit, await answers(spoke.machine, '10.77.0.1')]).toEqual([0, true]);
    const [, script = ''] = /^checked; the script is kept as (.+)$/m.exec(stdout.toString('utf8')) ?? [];
    const after = await spoke.state();
    expect((await pasted(spoke, `sh ${script}`)).stdout.toString('utf8')).toContain('nothing was changed');
    expect(await spoke.state()).toEqual(after);
    expect((await pasted(spoke, `sh ${script} --uninstall`)).exit).toBe(0);
    expect(await answers(spoke.machine, '10.77.0.1')).toBe(false);
  });

  test('one that fails behind the registration is nowhere afterwards, neither here nor at the hub', async () => {
    const spoke = await spokeMachine(4);
    const before = await spoke.state();
    const known = (await spokes()).length;
    const { short } = await berlin.commandsFor('linux', 'failing');
    spoke.failAt('systemctl restart*');
    const { exit, stderr } = await pasted(spoke, short);
    expect([exit, stderr]).toEqual([1, expect.stringContaining('the hub has forgotten this spoke')]);
    expect(stderr.endsWith('\neverything is as it was before\n')).toBe(true);
    expect(await spoke.state()).toEqual(before);
    expect([(await spokes()).length, await berlin.hub.differences()]).toEqual([known, []]);
  });

  test('a script whose token is revoked before it runs joins nobody, and its machine stays as it was', async () => {
    const spoke = await spokeMachine(7);
    const { short, tokenId } = await berlin.commandsFor('linux', 'lost');
    await pasted(spoke, short.replace(/ \| sudo sh$/, ' >/root/install.sh'));
    const before = await spoke.state();
    const known = (await spokes()).length;
    await berlin.hub.command(['spoke', 'revoke', tokenId, '--fetched']);
    const { exit, stderr } = await pasted(spoke, 'sh /root/install.sh');
    expect([exit, stderr]).toEqual([1, expect.stringMatching(/^error: not registered: .*no such install token\n/m)]);
    expect(stderr.endsWith('\neverything is as it was before\n')).toBe(true);
    expect(await spoke.state()).toEqual(before);
    expect((await spokes()).length).toBe(known);
  });

  test('the same script is refused on another machine, which stays as it was', async () => {
    const [first, second] = [await spokeMachine(5), await spokeMachine(6)];
    const { short } = await berlin.commandsFor('linux', 'once');
    await pasted(first, short.replace(/ \| sudo sh$/, ' >/root/install.sh'));
    second.write('/root/install.sh', first.read('/root/install.sh') ?? '');
    const before = await second.state();
    expect((await pasted(first, 'sh /root/install.sh')).exit).toBe(0);
    const { exit, stderr } = await pasted(second, 'sh /root/install.sh');
    expect([exit, stderr]).toEqual([1, expect.stringMatching(/^error: not registered: .*already.*\nhint: .+/m)]);
    expect(await second.state()).toEqual(before);
    expect(await answers(first.machine, '10.77.0.1')).toBe(true);
  });
});
