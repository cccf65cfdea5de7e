import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sha256Hex } from '../../platform/encoding.ts';
import { shQuote } from '../../wireguard/installers/quote.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { answers, HubNetwork } from '../harness/hub-network.ts';
import { type Answering, StandInHub } from '../harness/installer-hub.ts';
import { type InstallerMachine, installerObstacle, type ScriptRun } from '../harness/installer-machine.ts';
import { sshdMissing } from '../harness/sshd.ts';
import { ClusterSsh, membersFile, proxmoxNode, scriptFor, tell } from './proxmox-node.ts';

const obstacle = installerObstacle() ?? sshdMissing();
const nodes = { pve1: '10.205.0.11', pve2: '10.205.0.12', pve3: '10.205.0.13', pve4: '10.205.0.14' };
const KNOWN = '/etc/pve/nodes/pve2/ssh_known_hosts';

describe.skipIf(obstacle !== null)(`--cluster on one of four nodes${obstacle === null ? '' : ` (${obstacle})`}`, () => {
  const cleanup = new Cleanup();
  const unguard = cleanup.guard();
  let hub: StandInHub;
  let [pve1, pve2, pve3] = [] as unknown as [InstallerMachine, InstallerMachine, InstallerMachine];
  let own: string;
  /** The key that pve2 is known by. */
  let known: string;

  /** Tokens that the stand-in has given out, by node, and what their scripts are. */
  const invited = new Map<string, { readonly url: string; readonly script: string; fetched: boolean }>();
  const usual: Answering = ({ path, body }, otherwise) => {
    if (path === '/api/proxmox/members') {
      const { members } = JSON.parse(body) as { members: string[] };
      return { status: 201, body: members.map((name) => `${line(name).join('\t')}\n`).join('') };
    }
    const one = [...invited.values()].find(({ url }) => url === hub.url + path);
    if (one === undefined) return otherwise({ method: 'POST', path, headers: {}, body });
    if (one.fetched) return { status: 410, body: '{"error":"used"}' };
    one.fetched = true;
    return { status: 200, body: one.script };
  };
  function line(name: string): [name: string, url: string, sha256: string] {
    const token = `${name}${'_'.repeat(39)}`;
    const url = `${hub.url}/api/installation/script/${token}?platform=proxmox`;
    const script = scriptFor(hub.url, { token, spokeName: name });
    invited.set(name, { url, script, fetched: false });
    return [name, url, sha256Hex(script)];
  }
  const run = (args: readonly string[], options: ScriptRun = {}) => pve1.run(own, { args, ...options });
  const asked = (path: string): unknown[] =>
    hub.requests.filter((one) => one.path === path).map(({ body }) => JSON.parse(body) as unknown);
  /** Commands that a run showed, by node. */
  const shown = (stdout: string): Record<string, string> =>
    Object.fromEntries(
      [...stdout.matchAll(/^(\S+)( \(down now\))?:\n {2}(f=.*)$/gm)].map(([, name, , it]) => [name, it]),
    );
  const hasTunnel = (node: InstallerMachine): Promise<boolean> => answers(node.machine, '10.77.0.1');

  beforeAll(async () => {
    const network = await HubNetwork.build(cleanup);
    hub = await StandInHub.start(await network.machine('hub', 1), cleanup);
    [pve1, pve2, pve3] = await Promise.all([
      proxmoxNode(network, 'pve1', 11),
      proxmoxNode(network, 'pve2', 12, { files: { '.members': membersFile('pve2', nodes) } }),
      proxmoxNode(network, 'pve3', 13, { files: { '.members': membersFile('pve3', nodes) } }),
    ]);
    const ssh = new ClusterSsh(cleanup);
    ssh.allow(pve1);
    const [two] = await Promise.all([ssh.serve(pve2, 'pve2'), ssh.serve(pve3, 'pve3')]);
    known = two;
    await tell(pve1, {
      files: {
        '.members': membersFile('pve1', nodes, { down: ['pve4'] }),
        'nodes/pve2/ssh_known_hosts': two,
        // what is known of it is the key of another
        'nodes/pve3/ssh_known_hosts': two.replace('pve2', 'pve3'),
      },
    });
    pve1.program('ssh', '#!/bin/sh\nprintf "%s\\n" "$@" >>/run/stand-in/ssh-words\nexec /usr/bin/ssh "$@"\n');
    own = scriptFor(hub.url, { members: 3 });
    hub.answering = usual;
  });
  beforeEach(() => {
    hub.reset();
    hub.answering = usual;
    invited.clear();
  });
  afterAll(async () => {
    unguard();
    await cleanup.run();
  });

  test('joins itself and prints a command for each other node, good when it is run there', async () => {
    const end = await run(['--cluster'], { piped: true });
    expect([end.exit, end.stderr]).toEqual([0, expect.not.stringMatching(/error|warning/)]);
    expect(asked('/api/proxmox/members')).toEqual([{ token: 'T'.repeat(43), members: ['pve2', 'pve3', 'pve4'] }]);
    expect(hub.requests.map(({ path }) => path)).toEqual(['/api/spoke/register', '/api/proxmox/members']);
    const commands = shown(end.stdout);
    expect(Object.keys(commands)).toEqual(['pve2', 'pve3', 'pve4']);
    expect(end.stdout).toContain('\npve4 (down now):\n');
    expect(await hasTunnel(pve2)).toBe(false);

    await pve2.command('sh', '-c', String(commands.pve2));
    expect(await hasTunnel(pve2)).toBe(true);
    expect(asked('/api/spoke/register').at(-1)).toMatchObject({
      token: `pve2${'_'.repeat(39)}`,
      proxmoxNodeName: 'pve2',
      proxmoxClusterName: 'homelab',
    });
    await pve2.run(invited.get('pve2')?.script ?? '', { args: ['--uninstall'] });
  });

  test('=run joins what it reaches by the cluster’s SSH, and keeps the commands of the others', async () => {
    const end = await run(['--cluster=run'], { shell: 'bash' });
    expect([end.exit, end.stdout]).toEqual([1, expect.stringContaining('nothing was changed')]);
    expect(await Promise.all([pve2, pve3].map(hasTunnel))).toEqual([true, false]);
    expect(end.stderr).toMatch(/^warning: pve3 was not reached$/m);
    expect(end.stderr).toMatch(/^warning: pve4 is down$/m);
    expect(end.stderr).toMatch(/^warning: this node has joined, but not: pve3 pve4$/m);
    expect(end.stdout).toMatch(/^pve3: Host key verification failed\.\r?$/m);
    expect(end.stdout).toMatch(/^pve2: this machine is the spoke "pve2" of "hub": 10\.77\.0\.\d+\/24 on lkp0$/m);

    const words = pve1.read('/run/stand-in/ssh-words') ?? '';
    const options = ['BatchMode=yes', 'StrictHostKeyChecking=yes', 'HostKeyAlias=pve2', `UserKnownHostsFile=${KNOWN}`];
    for (const option of options) expect(words).toContain(`\n-o\n${option}\n`);
    expect(words).toContain('\nroot@10.205.0.12\nsh\n-s\n');
    expect(words).not.toContain('____');
    expect(words).not.toContain(nodes.pve4);
    expect(hub.requests.filter(({ path }) => path.startsWith('/api/installation')).map(({ path }) => path)).toEqual([
      expect.stringContaining('/pve2____'),
    ]);

    const commands = shown(end.stdout);
    expect(Object.keys(commands)).toEqual(['pve3', 'pve4']);
    await pve3.command('sh', '-c', String(commands.pve3));
    expect(await hasTunnel(pve3)).toBe(true);
  });

  test('=run is done with 0 when every other node has joined', async () => {
    await onlyTwo();
    await pve2.run(scriptFor(hub.url), { args: ['--uninstall'] });
    const end = await run(['--cluster=run'], { shell: 'ash' });
    expect([end.exit, end.stdout]).toEqual([0, expect.stringMatching(/^the whole cluster has joined$/m)]);
    expect(shown(end.stdout)).toEqual({});
    expect(await hasTunnel(pve2)).toBe(true);
    await pve2.run(scriptFor(hub.url), { args: ['--uninstall'] });
  });

  test('a cluster of one has nobody to invite', async () => {
    await tell(pve1, { files: { '.members': membersFile('pve1', { pve1: nodes.pve1 }) } });
    const end = await run(['--cluster=run']);
    expect([end.exit, end.stdout]).toEqual([0, expect.stringMatching(/^the cluster has no other nodes$/m)]);
    expect(hub.requests).toEqual([]);
  });

  test('a node that could not be joined is put back by itself, and its command is not shown again', async () => {
    await onlyTwo();
    const before = await pve2.state();
    pve2.failAt('systemctl restart*');
    const end = await run(['--cluster=run']);
    expect([end.exit, end.stderr]).toEqual([
      1,
      expect.stringMatching(/^warning: pve2 did not join, and its token is spent/m),
    ]);
    expect(end.stdout).toMatch(/^pve2: everything is as it was before$/m);
    expect(shown(end.stdout)).toEqual({});
    pve2.failAt();
    expect(await pve2.state()).toEqual(before);
    expect(await hasTunnel(pve1)).toBe(true);
  });

  test('a script that is not the announced one is not run', async () => {
    await onlyTwo();
    hub.answering = (request, otherwise) =>
      request.method === 'GET' ? { status: 200, body: 'touch /etc/pve-ran\n' } : usual(request, otherwise);
    const before = await pve2.state();
    const end = await run(['--cluster=run']);
    expect([end.exit, end.stdout]).toEqual([
      1,
      expect.stringMatching(/^pve2: error: the script is not the one that the hub has announced$/m),
    ]);
    expect(await pve2.state()).toEqual(before);

    // nor by whoever runs the command that is printed
    const printed = shown((await run(['--cluster'])).stdout);
    await expect(pve2.command('sh', '-c', String(printed.pve2))).rejects.toThrow();
    expect(pve2.read('/etc/pve-ran')).toBeNull();
    await pve2.command('sh', '-c', 'rm /root/latchkey.*');
  });

  test('when it is told to end, the commands of those that have not joined are shown', async () => {
    await onlyTwo();
    const ssh = String(pve1.read('/usr/local/bin/ssh'));
    pve1.program('ssh', '#!/bin/sh\n. /usr/local/lib/stand-in.sh\nrecord ssh\n');
    pve1.hangAt('ssh');
    const end = await run(['--cluster=run'], {
      signal: {
        name: 'SIGTERM',
        when: () => {
          if (!pve1.hangs()) return false;
          process.kill(Number(pve1.read('/run/stand-in/hanging')), 'SIGTERM'); // as a terminal does to all at once
          return true;
        },
      },
    });
    pve1.program('ssh', ssh);
    expect(end.exit).toBe(1);
    expect(Object.keys(shown(end.stdout))).toEqual(['pve2']);
    expect(await hasTunnel(pve1)).toBe(true);
  });

  test.each<[string, () => string | { readonly status: number; readonly body: string }, RegExp]>([
    [
      'refuses with words of its own',
      () => ({ status: 410, body: '{"error":"its cluster was invited already","recoveryHint":"ask"}' }),
      /but the others were not invited: its cluster was invited already\nhint: ask/,
    ],
    ['answers for fewer nodes', () => line('pve2').join('\t'), /answer about the others is not/],
    [
      'answers for another node',
      () => `${text('pve2')}${text('pve3')}${text('pve5')}`,
      /answer about the others is not/,
    ],
    ['answers twice for one', () => `${text('pve2')}${text('pve2')}${text('pve3')}`, /answer about the others is not/],
    ['sends somewhere else', () => all().replace(':8090/', ':8091/'), /answer about the others is not/],
    [
      'has more in an address',
      () => all().replace('=proxmox', "=proxmox'; touch ran; '"),
      /answer about the others is not/,
    ],
    ['has no sum', () => all().replace(/[0-9a-f]{64}/, 'x'.repeat(64)), /answer about the others is not/],
    ['answers with a page', () => '<html>Welcome</html>\n', /answer about the others is not/],
  ])('nobody else is joined when the hub %s', async (_what, answer, words) => {
    await tell(pve1, { files: { '.members': membersFile('pve1', nodes) } });
    const told = answer();
    hub.answering = () => (typeof told === 'string' ? { status: 201, body: told } : told);
    const before = await pve1.state();
    const end = await run(['--cluster=run']);
    expect([end.exit, end.stderr]).toEqual([1, expect.stringMatching(words)]);
    expect(shown(end.stdout)).toEqual({});
    expect(hub.requests.map(({ path }) => path)).toEqual(['/api/proxmox/members']);
    expect(await pve1.state()).toEqual(before);
  });

  test('a tunnel of another name is called so on every node', async () => {
    await onlyTwo();
    expect((await run(['--uninstall'])).exit).toBe(0);
    const { exit } = await run(['--tunnel', 'lkp9', '--cluster=run']);
    expect(exit).toBe(0);
    for (const node of [pve1, pve2]) expect(await node.command('wg', 'show', 'interfaces')).toBe('lkp9\n');
    expect(shown((await run(['--tunnel=lkp9', '--cluster'])).stdout).pve2).toMatch(/ && sh "\$f" --tunnel lkp9$/);
  });

  test('an address of the hub that a shell could read otherwise is one word everywhere', async () => {
    const odd = "/it's$(echo)`echo`";
    hub.answering = (request, otherwise) => {
      if (!request.path.startsWith(odd)) return usual(request, otherwise); // of the script that pve2 gets
      const path = request.path.slice(odd.length);
      const at = (url: string): string => url.replace(hub.url, hub.url + odd);
      if (path !== '/api/proxmox/members') return usual({ ...request, path }, (one) => otherwise({ ...one, path }));
      const [, url, sum] = line('pve2');
      return { status: 201, body: `pve2\t${at(url)}\t${sum}\n` };
    };
    for (const node of [pve1, pve2]) {
      expect((await node.run(own, { args: ['--uninstall', '--tunnel', 'lkp9'] })).exit).toBe(0);
    }
    const script = scriptFor(hub.url + odd, { members: 1 });
    expect((await pve1.run(script, { args: ['--cluster=run'] })).exit).toBe(0);
    expect(await hasTunnel(pve2)).toBe(true);
    const fetched = `${odd}/api/installation/script/pve2${'_'.repeat(39)}?platform=proxmox`;
    const paths = [`${odd}/api/spoke/register`, `${odd}/api/proxmox/members`, fetched, '/api/spoke/register'];
    expect(hub.requests.map(({ path }) => path)).toEqual(paths);
    const { stdout } = await pve1.run(script, { args: ['--cluster'] });
    expect(shown(stdout).pve2).toContain(` ${shQuote(hub.url + fetched)} && `);
  });

  const text = (name: string): string => `${line(name).join('\t')}\n`;
  const all = (): string => ['pve2', 'pve3', 'pve4'].map(text).join('');

  /** From now on the cluster has two nodes, each of which knows the other. */
  function onlyTwo(): Promise<void> {
    const members = membersFile('pve1', { pve1: nodes.pve1, pve2: nodes.pve2 });
    return tell(pve1, { files: { '.members': members, 'nodes/pve2/ssh_known_hosts': known } });
  }
});
