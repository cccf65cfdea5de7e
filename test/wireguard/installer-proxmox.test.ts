import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Cleanup } from '../harness/cleanup.ts';
import { answers, HubNetwork } from '../harness/hub-network.ts';
import { StandInHub } from '../harness/installer-hub.ts';
import {
  type InstallerMachine,
  installerObstacle,
  type ScriptRun,
  SHELLS,
  type Shell,
} from '../harness/installer-machine.ts';
import { STAND_INS } from '../harness/installer-stand-ins.ts';
import { type NodeFacts, proxmoxNode, scriptFor, tell } from './proxmox-node.ts';
import * as samples from './proxmox-samples.ts';

const obstacle = installerObstacle();
const thorough = process.env.LATCHKEY_THOROUGH === '1';
const shells = Object.keys(SHELLS) as Shell[];

describe.skipIf(obstacle !== null)(`proxmox.sh, run on a node${obstacle === null ? '' : ` (${obstacle})`}`, () => {
  const cleanup = new Cleanup();
  const unguard = cleanup.guard();
  let hub: StandInHub;
  let node: InstallerMachine;

  beforeAll(async () => {
    const network = await HubNetwork.build(cleanup);
    hub = await StandInHub.start(await network.machine('hub', 1), cleanup);
    node = await proxmoxNode(network, 'pve1', 11);
  });
  beforeEach(() => {
    hub.reset();
    node.failAt();
    node.remove('/run/systemd/container');
    node.unknownPackages();
    node.takeCalls();
  });
  afterAll(async () => {
    unguard();
    await cleanup.run();
  });

  const run = (options: ScriptRun = {}, more: Parameters<typeof scriptFor>[1] = {}) =>
    node.run(scriptFor(hub.url, more), options);
  const asked = (path: string) =>
    hub.requests.filter((one) => one.path === path).map(({ body }) => JSON.parse(body) as Record<string, unknown>);

  /** Expects a run to end with these words on stderr, and to have asked and changed nothing. */
  async function expectRefusal(words: RegExp, options: ScriptRun = {}, more = {}): Promise<string> {
    const before = await node.state();
    const end = await run(options, more);
    expect([end.exit, end.stderr]).toEqual([1, expect.stringMatching(words)]);
    expect(await node.state()).toEqual(before);
    expect(node.takeCalls()).toEqual([]);
    expect(hub.requests).toEqual([]);
    return end.stderr;
  }

  async function uninstall(): Promise<void> {
    expect((await run({ args: ['--uninstall'] })).exit).toBe(0);
    node.takeCalls();
    hub.requests.length = 0;
    await hub.forget();
  }

  const seen: readonly [
    what: string,
    facts: NodeFacts & { container?: string },
    told: object,
    said: RegExp,
    shell: Shell,
  ][] = [
    [
      'a node that stands alone',
      { files: { '.members': samples.membersStandalone } },
      { proxmoxNodeName: 'pve1' },
      /^Proxmox VE 9\.1\.6, node pve1, in no cluster$/m,
      'dash',
    ],
    [
      'a member of a cluster, with one that is down',
      { files: { '.members': samples.membersOfThree } },
      { proxmoxNodeName: 'pve1', proxmoxClusterName: 'homelab' },
      /node pve1 of the cluster homelab, other nodes: pve2, pve3 \(down\)$/m,
      'bash',
    ],
    [
      'a node whose cluster has lost its quorum',
      { files: { '.members': samples.membersOfThree.replace('"quorate": 1', '"quorate": 0') } },
      { proxmoxNodeName: 'pve1', proxmoxClusterName: 'homelab' },
      /^the cluster has no quorum; nothing here needs it$/m,
      'ash',
    ],
    [
      'a nested node, in an LXC guest with /dev/net/tun, whose cluster file is all there is, and a QDevice in its quorum',
      {
        files: { 'corosync.conf': samples.corosyncOfThree.replace('pve13m', 'pve1') },
        status: samples.statusWithQDevice,
        container: 'lxc',
      },
      { proxmoxNodeName: 'pve1', proxmoxClusterName: 'homelab' },
      /node pve1 of the cluster homelab, other nodes: pve12t, pve13t$/m,
      'dash',
    ],
  ];

  test.each(seen.flatMap((one) => (thorough ? shells : [one[4]]).map((shell) => [one[0], shell, one] as const)))(
    '%s becomes a spoke, under %s; a second run changes nothing, and --uninstall takes it away',
    async (_what, shell, [, facts, told, said]) => {
      await tell(node, facts);
      if (facts.container !== undefined) node.write('/run/systemd/container', facts.container);
      node.program('uname', '#!/bin/sh\n[ "$1" = -n ] && echo pve1.example.org || exec /usr/bin/uname "$@"\n');
      const before = await node.state();
      const first = await run({ shell, piped: true });
      expect([first.exit, first.stderr]).toEqual([0, expect.not.stringMatching(/error|warning/)]);
      expect(first.stdout).toMatch(said);
      expect(asked('/api/spoke/register')).toEqual([
        {
          token: 'T'.repeat(43),
          publicKey: (await hub.peers())[0],
          os: expect.stringMatching(/^Proxmox VE 9\.1\.6 \(Linux .{1,24}\)$/),
          isProxmox: true,
          proxmoxVersion: '9.1.6',
          ...told,
        },
      ]);
      expect(await answers(node.machine, '10.77.0.1')).toBe(true);
      expect(node.takeCalls().join('\n')).toMatch(
        /^apt-get .* install wireguard-tools\nsystemctl enable wg-quick@lkp0/,
      );

      const installed = await node.state();
      const again = await run({ shell });
      expect([again.exit, again.stdout]).toEqual([0, expect.stringContaining('nothing was changed')]);
      expect(await node.state()).toEqual(installed);
      expect([node.takeCalls(), hub.requests.length]).toEqual([[], 1]);

      await uninstall();
      await node.command('apt-get', 'remove', 'wireguard-tools', 'libstandin0');
      expect(await node.state()).toEqual(before);
    },
  );

  test('lists of packages that cannot all be renewed, as without a subscription, are no obstacle', async () => {
    await tell(node, { files: { '.members': samples.membersStandalone } });
    const partly = 'update) rm -f $here/unknown; echo "E: enterprise.proxmox.com 401 Unauthorized" >&2; exit 100';
    const usual = String(STAND_INS['apt-get']);
    node.program('apt-get', usual.replace(/update \| refresh\).*(?= ;;)/, partly));
    node.unknownPackages('wireguard-tools');
    try {
      const end = await run();
      expect([end.exit, end.stderr]).toEqual([0, expect.stringMatching(/401[\s\S]*warning: /)]);
      expect(node.takeCalls().map((line) => line.replace(/ -\S+( DPkg\S+)?/g, ''))).toEqual([
        'apt-get install wireguard-tools',
        'apt-get update',
        'apt-get install wireguard-tools',
        'systemctl enable wg-quick@lkp0.service',
        'systemctl restart wg-quick@lkp0.service',
      ]);
    } finally {
      node.program('apt-get', usual);
    }
    await uninstall();
    await node.command('apt-get', 'remove', 'wireguard-tools', 'libstandin0');
  });

  describe('puts everything back', () => {
    const problem = (status: number, error: string) => ({ status, body: JSON.stringify({ error, recoveryHint: 'x' }) });
    const faults: readonly [what: string, arrange: () => void, words: RegExp][] = [
      ['packages cannot be installed', () => node.failAt('apt-get *install*'), /apt-get could not install/],
      [
        'the hub refuses',
        () => {
          hub.answering = () => problem(409, 'this key is there already');
        },
        /not registered: this key is there already/,
      ],
      [
        'the hub does not answer',
        () => {
          hub.answering = () => null;
        },
        /no answer from/,
      ],
      [
        'the hub answers what nobody asked for',
        () => {
          hub.rewrite = (text) => text.replace('[Peer]', 'PostUp = touch /etc/pve/ran\n\n[Peer]');
        },
        /the hub's answer is not a configuration/,
      ],
      ['it cannot be started at boot', () => node.failAt('systemctl enable*'), /does not start .* at boot/],
      ['it cannot be started', () => node.failAt('systemctl restart*'), /systemd could not start/],
      [
        'nobody answers through it',
        () => {
          hub.rewrite = (text) => text.replace(/within: \d+/, 'within: 1').replace(':51820', ':9');
        },
        /the hub did not answer through it/,
      ],
    ];

    test.each(
      faults.flatMap(([what, ...rest], at) => {
        const under = thorough ? shells : [shells[at % shells.length] ?? 'dash'];
        return under.map((shell) => [what, shell, ...rest] as const);
      }),
    )('when %s, under %s', async (_what, shell, arrange, words) => {
      await tell(node, { files: { '.members': samples.membersOfThree } });
      const before = await node.state();
      arrange();
      const end = await run({ shell, args: ['--cluster=run'] }, { members: 2 });
      expect([end.exit, end.stderr]).toEqual([1, expect.stringMatching(words)]);
      expect(await hub.peers()).toEqual([]);
      expect(asked('/api/proxmox/members')).toEqual([]);
      node.failAt();
      expect(await node.state()).toEqual(before);
    });

    test('when it is told to end', async () => {
      await tell(node, { files: { '.members': samples.membersOfThree } });
      const before = await node.state();
      node.hangAt('systemctl restart*');
      const end = await run({ signal: { name: 'SIGTERM', when: () => node.hangs() } });
      expect([end.exit, end.stderr]).toEqual([1, expect.stringMatching(/everything is as it was before/)]);
      node.hangAt();
      node.remove('/run/stand-in/hanging');
      expect(await hub.peers()).toEqual([]);
      expect(await node.state()).toEqual(before);
    });
  });

  describe('refuses before it does anything', () => {
    test('a machine without pveversion', async () => {
      node.hide('pveversion');
      await expectRefusal(/there is no pveversion, so this is not Proxmox VE\nhint: .*token made for linux/);
    });

    test.each(['', 'pve-manager/$(reboot)/x', samples.verboseVersion])('a pveversion that prints %j', async (text) => {
      node.program('pveversion', `#!/bin/sh\ncat <<'WORDS'\n${text}\nWORDS\n`);
      await expectRefusal(/pveversion does not print the version/);
    });

    test.each<[string, NodeFacts]>([
      ['a members file that is cut off', { files: { '.members': samples.membersOfThree.slice(0, 90) } }],
      ['a corosync.conf that is cut off', { files: { 'corosync.conf': samples.corosyncOfThree.slice(0, 90) } }],
      ['a cluster that this node is not in', { files: { 'corosync.conf': samples.corosyncOfThree } }],
    ])('%s', async (_what, facts) => {
      node.program('pveversion', `#!/bin/sh\necho '${samples.versions[1][1]}'\n`);
      await tell(node, facts);
      await expectRefusal(/cannot be told from \/etc\/pve\nhint: .*systemctl status pve-cluster/);
    });

    test.each(shells)(
      'an LXC guest without /dev/net/tun, with the lines that its host lacks, under %s',
      async (shell) => {
        node.write('/run/systemd/container', 'lxc\n');
        await node.command('mount', '-t', 'tmpfs', 'tun', '/dev/net');
        try {
          const words = await expectRefusal(/an LXC guest without \/dev\/net\/tun/, { shell });
          const lines = words.split('\n').map((line) => line.trim());
          expect(lines).toContain('dev0: /dev/net/tun');
          expect(lines).toContain('lxc.cgroup2.devices.allow: c 10:200 rwm');
          expect(lines).toContain('lxc.mount.entry: /dev/net/tun dev/net/tun none bind,create=file');
        } finally {
          await node.command('umount', '/dev/net');
        }
      },
    );

    test('an LXC guest that is no node', async () => {
      node.write('/run/systemd/container', 'lxc\n');
      node.hide('pveversion');
      await expectRefusal(
        /this is a guest of Proxmox VE, not one of its nodes\nhint: run this on the node, or .*linux/,
      );
    });

    test.each<[string, NodeFacts, string[], number, RegExp]>([
      [
        '--cluster on a node that stands alone',
        { files: { '.members': samples.membersStandalone } },
        ['--cluster'],
        9,
        /in no cluster/,
      ],
      [
        '--cluster with more nodes than may be invited',
        { files: { '.members': samples.membersOfThree } },
        ['--cluster=run'],
        1,
        /has 2 other nodes, and this script may invite 1\nhint: .*"clusterMembers": 2/,
      ],
    ])('%s', async (_what, facts, args, members, words) => {
      node.program('pveversion', `#!/bin/sh\necho '${samples.versions[1][1]}'\n`);
      await tell(node, facts);
      await expectRefusal(words, { args }, { members });
    });

    test('an option that there is not', async () => {
      const end = await run({ args: ['--cluster=all'] });
      expect([end.exit, end.stderr]).toEqual([2, expect.stringMatching(/there is no option --cluster=all/)]);
    });
  });
});
