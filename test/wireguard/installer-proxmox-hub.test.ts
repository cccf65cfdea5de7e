import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { run } from '../../platform/run.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { answers, silentFrom } from '../harness/hub-network.ts';
import { type InstallerMachine, installerObstacle } from '../harness/installer-machine.ts';
import { sshdMissing } from '../harness/sshd.ts';
import { InstallingHub } from './installing-hub.ts';
import { ClusterSsh, membersFile, proxmoxNode, tell } from './proxmox-node.ts';

const obstacle = installerObstacle() ?? sshdMissing();
const nodes = { pve1: '10.205.0.11', pve2: '10.205.0.12', pve3: '10.205.0.13' };

describe.skipIf(obstacle !== null)(`a cluster of three joins a hub${obstacle === null ? '' : ` (${obstacle})`}`, () => {
  const cleanup = new Cleanup();
  const unguard = cleanup.guard();
  let berlin: InstallingHub;
  let [pve1, pve2, pve3] = [] as unknown as [InstallerMachine, InstallerMachine, InstallerMachine];

  beforeAll(async () => {
    berlin = await InstallingHub.build(cleanup, [], { lookSeconds: 1 });
    const { network } = berlin;
    [pve1, pve2, pve3] = await Promise.all([
      proxmoxNode(network, 'pve1', 11),
      proxmoxNode(network, 'pve2', 12, { files: { '.members': membersFile('pve2', nodes) } }),
      proxmoxNode(network, 'pve3', 13, { files: { '.members': membersFile('pve3', nodes, { quorate: false }) } }),
    ]);
    const ssh = new ClusterSsh(cleanup);
    ssh.allow(pve1);
    const members = membersFile('pve1', nodes, { down: ['pve3'] });
    await tell(pve1, {
      files: { '.members': members, 'nodes/pve2/ssh_known_hosts': await ssh.serve(pve2, 'pve2') },
    });
  });
  afterAll(async () => {
    unguard();
    await cleanup.run();
  });

  const commandFor = async (spokeName: string, clusterMembers = 0): Promise<string> =>
    (await berlin.commandsFor('proxmox', spokeName, { clusterMembers })).short;
  const shell = (node: InstallerMachine, line: string) =>
    run(node.inside(['sh', '-c', line]), { timeoutMs: 120_000, allowExit: 'any', env: { HOME: '/root' } });
  const cluster = async () => (await berlin.call('GET', '/api/proxmox/clusters')).clusters;

  test('the first node joins, and the second over SSH; the third, which was down, fails later and is nowhere', async () => {
    const fetch = (await commandFor('pve1', 2)).replace(/ \| sh$/, ' >/root/install.sh');
    const end = await shell(pve1, `${fetch} && sh /root/install.sh --cluster=run`);
    expect([end.exit, end.stderr]).toEqual([1, expect.stringMatching(/^warning: pve3 is down$/m)]);
    const [, command = ''] = /^pve3 \(down now\):\n {2}(f=.*)$/m.exec(end.stdout.toString()) ?? [];

    const before = await pve3.state();
    pve3.failAt('systemctl restart*');
    expect((await shell(pve3, command)).stderr).toMatch(/^everything is as it was before$/m);
    pve3.failAt();
    await pve3.command('sh', '-c', 'rm /root/latchkey.*');
    expect(await pve3.state()).toEqual(before);
    const reached = [pve1, pve2, pve3].map((node) => answers(node.machine, '10.77.0.1'));
    expect(await Promise.all(reached)).toEqual([true, true, false]);
    expect(await cluster()).toEqual([
      expect.objectContaining({ name: 'homelab', nodes: expect.objectContaining({ total: 2 }) }),
    ]);

    const again = await shell(pve1, 'sh /root/install.sh --cluster');
    expect([again.exit, again.stderr]).toEqual([1, expect.stringMatching(/its cluster was invited already/)]);
  });

  test('the third joins by a token of its own, and the cluster of three is active', async () => {
    const { exit, stderr } = await shell(pve3, await commandFor('pve3'));
    expect([exit, stderr]).toEqual([0, expect.not.stringMatching(/error|warning/)]);
    const { spokes } = await berlin.call('GET', '/api/spoke/list?os=proxmox');
    const addresses = spokes.map((one: { addresses: string[] }) => one.addresses[0]?.replace(/\/\d+$/, ''));
    expect(addresses).toHaveLength(3);
    expect(await silentFrom(berlin.machine, addresses)).toEqual([]);
    await vi.waitFor(
      async () =>
        expect(await cluster()).toEqual([
          expect.objectContaining({
            name: 'homelab',
            status: 'all-active',
            nodes: expect.objectContaining({ total: 3, active: 3 }),
          }),
        ]),
      { timeout: 20_000, interval: 300 },
    );
    const { members } = (await berlin.call('GET', `/api/proxmox/clusters/${(await cluster())[0].id}`)).cluster;
    expect(members.map(({ nodeName }: { nodeName: string }) => nodeName).sort()).toEqual(['pve1', 'pve2', 'pve3']);
  });
});
