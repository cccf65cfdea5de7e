import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../platform/run.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { answers, HubNetwork, type Machine } from '../harness/hub-network.ts';
import { HubProcess } from '../harness/hub-process.ts';
import { InstallerMachine, installerObstacle } from '../harness/installer-machine.ts';
import { DISTRIBUTIONS } from '../harness/installer-stand-ins.ts';

const obstacle = installerObstacle();
const HUB = '10.205.0.1';
const TOOLS = ['wireguard-tools', 'wireguard-go'];

describe.skipIf(obstacle !== null)(`one command on a linux machine${obstacle === null ? '' : ` (${obstacle})`}`, () => {
  const cleanup = new Cleanup();
  const unguard = cleanup.guard();
  const folder = mkdtempSync(join(tmpdir(), 'lk-linux-hub-'));
  let machine: Machine;
  let network: HubNetwork;
  let hub: HubProcess;
  let token: string;

  beforeAll(async () => {
    cleanup.add(folder, () => rmSync(folder, { recursive: true }));
    network = await HubNetwork.build(cleanup);
    machine = await network.machine('hub', 1);
    hub = new HubProcess(machine, join(folder, 'hub'), join(folder, 'hub.key'), cleanup);
    const networks = ['--network', '10.77.0.0/24', '--network6', 'fd77::/64'];
    const front = ['--listen', `${HUB}:8443`, '--tls-own', HUB, '--dns', '10.77.0.1'];
    await hub.init(['--interface', 'wg0', ...networks, '--name', 'berlin', ...front]);
    const made = await hub.command(['token', 'add', 'ops', '--scopes', 'peers:read', 'peers:write']);
    ({ token } = made as { token: string });
    await hub.start();
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
  const spokes = async (): Promise<{ id: string; name: string; os: string }[]> =>
    (await call('GET', '/api/spoke/list')).spokes;
  const pasted = (spoke: InstallerMachine, line: string) =>
    run(spoke.inside(['bash', '-c', line]), { timeoutMs: 60_000, allowExit: 'any', env: { HOME: '/root' } });
  const spokeMachine = async (host: number): Promise<InstallerMachine> => {
    const spoke = await InstallerMachine.build(
      await network.machine(`spoke${host}`, host),
      DISTRIBUTIONS.debian,
      TOOLS,
    );
    spoke.program('sudo', '#!/bin/sh\nexec "$@"\n');
    return spoke;
  };

  test('the short one: from nothing to a tunnel that pings, by IPv4 and IPv6, and its hub knows the spoke', async () => {
    const spoke = await spokeMachine(2);
    const { installCommands } = await call('POST', '/api/installation/token', {
      spokeName: "it's $(here)",
      platform: 'linux',
    });
    const began = performance.now();
    const { exit, stderr, stdout } = await pasted(spoke, installCommands.linux);
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

    const again = await pasted(spoke, installCommands.linux);
    expect([again.exit, again.stderr]).toEqual([0, expect.stringContaining('410')]);
    expect(await answers(spoke.machine, '10.77.0.1')).toBe(true);
  });

  test('the long one: checked, run, kept, run again without a change, and taken away by what was kept', async () => {
    const spoke = await spokeMachine(3);
    const { verifiedCommands } = await call('POST', '/api/installation/token', {
      spokeName: 'long',
      platform: 'linux',
    });
    const { exit, stdout } = await pasted(spoke, verifiedCommands.linux);
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
    const { installCommands } = await call('POST', '/api/installation/token', {
      spokeName: 'failing',
      platform: 'linux',
    });
    spoke.failAt('systemctl start*');
    const { exit, stderr } = await pasted(spoke, installCommands.linux);
    expect([exit, stderr]).toEqual([1, expect.stringContaining('the hub has forgotten this spoke')]);
    expect(stderr.endsWith('\neverything is as it was before\n')).toBe(true);
    expect(await spoke.state()).toEqual(before);
    expect([(await spokes()).length, await hub.differences()]).toEqual([known, []]);
  });

  test('a script whose token is revoked before it runs joins nobody, and its machine stays as it was', async () => {
    const spoke = await spokeMachine(7);
    const { installCommands, token } = await call('POST', '/api/installation/token', {
      spokeName: 'lost',
      platform: 'linux',
    });
    await pasted(spoke, installCommands.linux.replace(/ \| sudo sh$/, ' >/root/install.sh'));
    const before = await spoke.state();
    const known = (await spokes()).length;
    await hub.command(['spoke', 'revoke', token.id, '--fetched']);
    const { exit, stderr } = await pasted(spoke, 'sh /root/install.sh');
    expect([exit, stderr]).toEqual([1, expect.stringMatching(/^error: not registered: .*no such install token\n/m)]);
    expect(stderr.endsWith('\neverything is as it was before\n')).toBe(true);
    expect(await spoke.state()).toEqual(before);
    expect((await spokes()).length).toBe(known);
  });

  test('the same script is refused on another machine, which stays as it was', async () => {
    const [first, second] = [await spokeMachine(5), await spokeMachine(6)];
    const { installCommands } = await call('POST', '/api/installation/token', { spokeName: 'once', platform: 'linux' });
    await pasted(first, installCommands.linux.replace(/ \| sudo sh$/, ' >/root/install.sh'));
    second.write('/root/install.sh', first.read('/root/install.sh') ?? '');
    const before = await second.state();
    expect((await pasted(first, 'sh /root/install.sh')).exit).toBe(0);
    const { exit, stderr } = await pasted(second, 'sh /root/install.sh');
    expect([exit, stderr]).toEqual([1, expect.stringMatching(/^error: not registered: .*already.*\nhint: .+/m)]);
    expect(await second.state()).toEqual(before);
    expect(await answers(first.machine, '10.77.0.1')).toBe(true);
  });
});
