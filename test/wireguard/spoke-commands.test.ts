import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemRandom } from '../../platform/clock.ts';
import { run } from '../../platform/run.ts';
import { addPeerCommands } from '../../wireguard/commands/peer.ts';
import { addProxmoxCommands } from '../../wireguard/commands/proxmox.ts';
import { addSpokeCommands } from '../../wireguard/commands/spoke.ts';
import { drawObfuscation } from '../../wireguard/obfuscation/levels.ts';
import { runHubCommand, type Said } from './command-runner.ts';
import { type HeardHub, startHeardHub } from './heard-hub.ts';
import { testInterface } from './hub-store.ts';

let hub: HeardHub;
const hidden = { name: 'wg1', networks: ['10.0.2.0/24'], addresses: ['10.0.2.1/24'], listenPort: 51821 };

let standIns: string;

beforeAll(async () => {
  const obfuscation = drawObfuscation('low', systemRandom);
  hub = await startHeardHub({ more: [testInterface({ ...hidden, level: 'low', obfuscation })] });
  standIns = makeStandIns(hub.folder);
});
afterAll(() => hub.stop());

/** Programs of a machine on which a command is pasted: none of them reaches anybody. */
function makeStandIns(folder: string): string {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  const curl = '#!/bin/sh\n[ "$3" = -o ] && echo exit >"$4" || echo "echo ran $*"\n';
  writeFileSync(join(bin, 'curl'), curl, { mode: 0o755 });
  writeFileSync(join(bin, 'sudo'), '#!/bin/sh\nexec "$@"\n', { mode: 0o755 });
  return bin;
}

const runOn = (group: 'spoke' | 'proxmox', args: readonly string[], typed?: readonly string[]): Promise<Said> =>
  runHubCommand(
    group === 'spoke' ? addSpokeCommands : addProxmoxCommands,
    [group, ...args, '--data', hub.data.directory],
    { clock: hub.clock, ...(typed === undefined ? {} : { typed }) },
  );
const spoke = (...args: string[]) => runOn('spoke', args);
const proxmox = (...args: string[]) => runOn('proxmox', args);
const invite = (name: string, ...args: string[]) => spoke('invite', name, '--keyfile', hub.keyfile, ...args);
// biome-ignore lint/suspicious/noExplicitAny: what a test expects of it says what it is
const json = ({ stdout }: Said): any => JSON.parse(stdout);
/** All that a refusal must leave as it was. */
const everything = async () =>
  JSON.stringify(
    await hub.data.store.read(async (db) => [
      await db.selectFrom('install_token').selectAll().execute(),
      await db.selectFrom('peer').selectAll().execute(),
      await db.selectFrom('free_range').selectAll().execute(),
      await db.selectFrom('proxmox_cluster').selectAll().execute(),
      await db.selectFrom('proxmox_node').selectAll().execute(),
      await db.selectFrom('audit').select('seq').execute(),
    ]),
  );
const widthOf = (text: string): number => Math.max(...text.split('\n').map((line) => [...line].length));

describe('wghub spoke invite', () => {
  test.each<[string, string, string[], number, string]>([
    ['a name with an escape', 'a\u001b[2J', [], 2, '"NAME" must not hold control characters'],
    ['an empty name', '', [], 2, '"NAME" must be 1 to 64 characters'],
    ['a platform that is none', 'x', ['--platform', 'beos'], 2, '--platform'],
    ['an address outside', 'x', ['--address', '10.9.9.9'], 2, '"--address" must be an address of the network'],
    ['the hub’s address', 'x', ['--address', '10.0.1.1'], 2, '"--address"'],
    ['no time', 'x', ['--hours', '0'], 2, '"--hours" must be an integer from 1 to 720'],
    ['more than a month', 'x', ['--hours', '721'], 2, '"--hours"'],
    ['a part of an hour', 'x', ['--hours', '1.5'], 2, '"--hours"'],
    ['more nodes than a cluster has', 'x', ['--cluster-members', '65'], 2, '"--cluster-members" must be an integer'],
    ['nodes of a Mac', 'x', ['--platform', 'macos', '--cluster-members', '2'], 2, 'for nodes of a Proxmox cluster'],
    ['an interface that nobody knows', 'x', ['--interface', 'wg7'], 2, 'there is no such interface'],
    ['an interface that plain WireGuard cannot join', 'x', ['--interface', 'wg1'], 3, 'plain WireGuard only'],
  ])('refuses %s, and makes nothing', async (_, name, args, exit, words) => {
    const before = await everything();
    const said = await invite(name, ...args);
    expect(said.stderr).toContain(words);
    expect(said).toMatchObject({ exit, stdout: '' });
    expect(json(await invite(name, ...args, '--json')).error.message).toContain(words);
    expect(await everything()).toBe(before);
  });

  test('refuses an address that is taken, and to be without the secret of the vault', async () => {
    expect((await invite('first', '--address', '10.0.1.200')).exit).toBe(0);
    const before = await everything();
    const taken = await invite('second', '--address', '10.0.1.200');
    expect(taken).toMatchObject({ exit: 2, stdout: '', stderr: expect.stringContaining('the address is taken') });
    expect(await spoke('invite', 'x')).toMatchObject({ exit: 2, stdout: '' });
    expect(await everything()).toBe(before);
  });

  test('refuses while the hub does not know what it is called from outside, and says how to tell it', async () => {
    const file = join(hub.data.directory, 'config.json');
    const config = readFileSync(file, 'utf8');
    const before = await everything();
    writeFileSync(file, JSON.stringify({ ...JSON.parse(config), publicUrl: null }));
    const said = await invite('x');
    expect(said).toMatchObject({ exit: 2, stdout: '' });
    expect(said.stderr).toContain('error: the hub does not know where spokes reach its API\n');
    expect(said.stderr).toContain(`hint: set "publicUrl" in ${hub.data.directory}/config.json`);
    expect(said.stderr).toContain('a web server with TLS before it');
    writeFileSync(file, JSON.stringify({ ...JSON.parse(config), publicUrl: null, tls: { source: 'own' } }));
    expect((await invite('x')).stderr).toMatch(/and start the hub anew\n$/);
    writeFileSync(file, config);
    expect(await everything()).toBe(before);
  });

  test('shows the short command and the one in two steps, for the very script that the hub then gives', async () => {
    const { stdout, stderr, exit } = await invite('attic', '--platform', 'linux', '--hours', '2');
    expect(exit).toBe(0);
    const until = new Date(hub.clock.now() + 7_200_000).toISOString().replace(/\.\d+Z$/, 'Z');
    expect(stdout).toContain(`until ${until}:`);
    expect(stderr).toContain('shown this once');
    expect(stderr).not.toContain('no hub runs here');
    const [, short, path = ''] = /^(curl -fsSL 'https:\/\/hub\.example([^']+)' \| sudo sh)$/m.exec(stdout) ?? [];
    expect(short).toBeDefined();
    const script = await hub.request('GET', path);
    expect(script.status).toBe(200);
    expect(stdout).toContain(createHash('sha256').update(script.text).digest('hex'));
    const token = path.split(/[/?]/)[4] ?? '';
    expect(token).toHaveLength(43);
    expect(JSON.stringify(await hub.audit()) + hub.log() + (await everything())).not.toContain(token);
  });

  test('without a platform shows a command for each, and tells programs what the API tells', async () => {
    const { stdout } = await invite('any');
    for (const platform of ['linux', 'macos', 'windows', 'proxmox']) {
      expect(stdout.match(new RegExp(`platform=${platform}'`, 'g'))).toHaveLength(2);
    }
    const told = json(await invite('any', '--json'));
    expect(told.token).toMatchObject({ spokeName: 'any', platform: null, used: false, clusterMembers: 0 });
    for (const part of ['installCommands', 'verifiedCommands', 'scripts']) {
      expect(Object.keys(told[part]), part).toEqual(['linux', 'macos', 'windows', 'proxmox']);
    }
    expect(told.signingKey).toBe((await hub.request('GET', '/api/installation/key')).text);
  });

  test.each([['linux'], ['macos'], ['proxmox', '--cluster-members', '3']])(
    'what it shows for %s is pasted whole into a shell: commands, and comments',
    async (platform, ...args) => {
      const { stdout } = await invite('it’s "$(mine)" `too`', '--platform', platform, ...args);
      const env = { PATH: `${standIns}:${process.env.PATH}`, HOME: hub.folder };
      const { stdout: echoed, stderr } = await run(['sh', '-c', stdout], { timeoutMs: 20_000, allowExit: 'any', env });
      const fetched = echoed.toString().trim().split('\n');
      expect(fetched).toHaveLength(args.length > 0 ? 2 : 1);
      for (const line of fetched) {
        expect(line).toMatch(/^ran -fsSL https:\/\/hub\.example\/api\/installation\/script\/[\w-]{43}\?platform=\w+$/);
      }
      // the stand-in of the hub gives another script than the one that was shown
      expect(stderr).toMatch(/^error: this is not the script that the hub has shown: its SHA-256 is another\nhint: /);
      expect(stdout.includes('| sh -s -- --cluster\n')).toBe(args.length > 0);
    },
  );
});

describe('wghub spoke invites and revoke', () => {
  test('tell what became of each, and end one that is unused, by its name or its id', async () => {
    const { token } = json(await invite('open', '--address', '10.0.1.150', '--json'));
    await hub.join('come', { platform: 'windows' });
    const listed = await spoke('invites');
    expect(widthOf(listed.stdout)).toBeLessThanOrEqual(80);
    expect(listed.stdout).toMatch(/^open +any +10\.0\.1\.150 +unused +until 20\S+Z$/m);
    expect(listed.stdout).toMatch(/^come +windows +10\.0\.1\.\d+ +joined +20\S+Z$/m);
    expect(listed.stdout).not.toContain(token.token);
    expect(json(await spoke('invites', '--status', 'used', '--json')).tokens[0]).toMatchObject({
      spokeName: 'come',
      status: 'used',
      fetchedFrom: '127.0.0.1',
    });
    const said = await spoke('revoke', 'open');
    expect(said).toMatchObject({ exit: 0, stdout: 'revoked the invitation of open; 10.0.1.150 is free\n' });
    expect((await hub.audit()).at(-1)).toMatchObject({ event: 'install_token_revoked', detail: { by: 'command' } });
    expect((await hub.request('GET', `/api/installation/script/${token.token}?platform=linux`)).status).toBe(404);
    const again = json(await invite('open', '--address', '10.0.1.150', '--json')); // the address is free again
    expect((await spoke('revoke', again.token.id)).exit).toBe(0);
    expect((await spoke('invites', '--status', 'revoked')).stdout).toMatch(/^open +any +10\.0\.1\.150 +revoked +20/m);
  });

  test('end one whose script is out when that is meant, and never one that a spoke came of', async () => {
    const { token } = json(await invite('lost', '--json'));
    await hub.request('GET', `/api/installation/script/${token.token}?platform=linux`);
    const before = await everything();
    const refused = await spoke('revoke', 'lost');
    expect(refused).toMatchObject({ exit: 1, stderr: expect.stringMatching(/used already.*\n.*--fetched/) });
    expect(await everything()).toBe(before);
    expect(await spoke('revoke', 'lost', '--fetched')).toMatchObject({
      exit: 0,
      stdout: expect.stringMatching(/^revoked the invitation of lost; 10\.0\.1\.\d+ is free\n$/),
    });
    expect((await hub.audit()).at(-1)).toMatchObject({ event: 'install_token_revoked', detail: { fetched: true } });
    await hub.join('joined');
    expect(await spoke('revoke', 'joined', '--fetched')).toMatchObject({
      exit: 1,
      stderr: expect.stringContaining('a spoke came of it'),
    });
  });

  test('refuse what is nobody’s, what is used and what is two, and change nothing', async () => {
    await hub.join('done');
    await invite('twin');
    await invite('twin');
    const before = await everything();
    expect(await spoke('revoke', 'nobody')).toMatchObject({
      exit: 1,
      stderr: expect.stringMatching(/no such install token\n.*hint: wghub spoke invites/),
    });
    expect(await spoke('revoke', 'done')).toMatchObject({ exit: 1, stderr: expect.stringContaining('used already') });
    const two = await spoke('revoke', 'twin');
    expect(two).toMatchObject({ exit: 2, stdout: '' });
    const ids = json(await spoke('invites', '--json'))
      .tokens.filter(({ spokeName }: { spokeName: string }) => spokeName === 'twin')
      .map(({ id }: { id: string }) => id);
    for (const id of ids) expect(two.stderr).toContain(id);
    expect(await everything()).toBe(before);
  });
});

describe('wghub spoke list, show and remove', () => {
  test('show who joined, in 80 columns, by status and by family of systems', async () => {
    await hub.join('laptop', { platform: 'macos', os: 'macOS 15.6 with a long name after it' });
    const node = (await hub.join('pve1', { node: 'pve1', cluster: 'homelab' })).body.spoke;
    const at = hub.clock.now();
    hub.heard(node.publicKey, at - 1000);
    await hub.at(at);
    const all = await spoke('list', '--interface', 'wg0');
    expect(widthOf(all.stdout)).toBeLessThanOrEqual(80);
    expect(all.stdout).toMatch(/^NAME +ADDRESS +STATUS +HANDSHAKE +RUNS$/m);
    expect(all.stdout).toMatch(/^laptop +10\.0\.1\.\d+ +pending +never +macOS 15\.6 with a lo…$/m);
    expect(all.stdout).toMatch(/^pve1 +10\.0\.1\.\d+ +active +1 s +Proxmox homelab$/m);
    expect(all.stdout).toMatch(/\n\n\d+ spokes: \d+ pending, 1 active, 0 inactive, 0 disabled\n$/);
    expect(widthOf((await spoke('list')).stdout)).toBeLessThanOrEqual(80);
    expect((await spoke('list', '--os', 'proxmox')).stdout).not.toContain('laptop');
    // who was heard, or came long ago, is not waited for
    expect(all.stderr).toBe('wghub: hint: who has just joined is pending until the hub looks, every 60 s\n');
    expect((await spoke('list', '--status', 'active')).stderr).toBe('');
    await hub.data.store.transaction((tx) =>
      tx.updateTable('peer').set({ created_at: 1 }).where('name', '=', 'laptop').execute(),
    );
    expect((await spoke('list', '--os', 'macos')).stderr).toBe('');
    const { spokes, counts } = json(await spoke('list', '--status', 'active', '--json'));
    expect(spokes).toMatchObject([
      { name: 'pve1', os: 'proxmox', osFamily: 'proxmox', proxmox: { clusterName: 'homelab' } },
    ]);
    expect(counts.active).toBe(1);
    const none = await spoke('list', '--os', 'windows', '--status', 'disabled');
    expect(none).toMatchObject({ exit: 0, stdout: '', stderr: expect.stringContaining('no such spokes') });
    const shown = await spoke('show', 'pve1');
    expect(shown.stdout).toMatch(/^proxmox {4}node pve1, of the cluster homelab, version 9\.1\.6$/m);
    expect(json(await spoke('show', node.id, '--json')).spoke).toMatchObject({ id: node.id, status: 'active' });
  });

  test('remove asks, takes a spoke off the running hub, and no peer of another kind', async () => {
    const { body } = await hub.join('gone', { node: 'pve9', cluster: 'brief' });
    const { peer } = (await hub.request('POST', '/api/peers', { token: 'writer', body: { name: 'phone' } })).body;
    const before = await everything();
    expect(await runOn('spoke', ['remove', 'gone'], ['no'])).toMatchObject({ exit: 1, stdout: '' });
    expect(await spoke('remove', 'gone')).toMatchObject({ exit: 2, stdout: '' });
    for (const text of ['phone', peer.id, peer.publicKey]) {
      expect(await spoke('remove', text, '--yes')).toMatchObject({
        exit: 1,
        stderr: expect.stringMatching(/no such spoke\n.*hint: wghub spoke list/),
      });
      expect((await spoke('show', text)).exit).toBe(1);
    }
    expect(await everything()).toBe(before);
    const removed = await runOn('spoke', ['remove', 'gone'], ['yes']);
    expect(removed.stdout).toMatch(
      /^removed gone \(10\.0\.1\.\d+, \S+ on wg0\)\n {2}the running hub has taken it up\n$/,
    );
    expect((await hub.driver().read()).peers.has(body.spoke.publicKey)).toBe(false);
    expect((await hub.audit()).at(-1)).toMatchObject({
      event: 'peer_removed',
      detail: { by: 'command', name: 'gone' },
    });
    expect((await proxmox('list')).stdout).toMatch(/^brief +empty +0\/0 +-$/m);
  });
});

describe('wghub proxmox', () => {
  test('lists clusters, shows their nodes, and says what people said of them', async () => {
    for (const node of ['n1', 'n2']) await hub.join(node, { node, cluster: 'office' });
    const said = await proxmox('edit', 'office', '--datacenter', 'Köln 2', '--description', 'in the cellar');
    expect(said.stdout).toMatch(/^datacenter {2}Köln 2$/m);
    expect((await hub.audit()).at(-1)).toMatchObject({
      event: 'cluster_changed',
      detail: { by: 'command', name: 'office' },
    });
    const listed = await proxmox('list');
    expect(widthOf(listed.stdout)).toBeLessThanOrEqual(80);
    expect(listed.stdout).toMatch(/^office +critical +0\/2 +Köln 2$/m);
    const { clusters } = json(await proxmox('list', '--json'));
    const { id } = clusters.find(({ name }: { name: string }) => name === 'office');
    const shown = await proxmox('show', id);
    expect(widthOf(shown.stdout)).toBeLessThanOrEqual(80);
    expect(shown.stdout).toMatch(/^nodes {7}2: 2 pending, 0 active, 0 inactive, 0 disabled$/m);
    expect(shown.stdout).toMatch(/^n1 +10\.0\.1\.\d+ +pending +never +9\.1\.6$/m);
    expect(json(await proxmox('show', 'office', '--json')).cluster.members).toMatchObject([
      { nodeName: 'n1' },
      { nodeName: 'n2' },
    ]);
    expect(json(await proxmox('edit', 'office', '--datacenter', '', '--json')).cluster).toMatchObject({
      datacenter: null,
      description: 'in the cellar',
    });
  });

  test('removes a cluster when its last node is gone, and not before', async () => {
    await hub.join('last', { node: 'last', cluster: 'old' });
    const before = await everything();
    expect(await proxmox('remove', 'old')).toMatchObject({
      exit: 3,
      stderr: expect.stringContaining('the cluster has 1 node'),
    });
    expect(await proxmox('remove', 'nobody')).toMatchObject({
      exit: 1,
      stderr: expect.stringContaining('no such cluster'),
    });
    expect(await proxmox('edit', 'old')).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('nothing to change'),
    });
    expect(await proxmox('edit', 'old', '--datacenter', 'x'.repeat(65))).toMatchObject({ exit: 2 });
    expect(await everything()).toBe(before);
    // by the door for all peers
    const removed = ['peer', 'remove', 'last', '--yes', '--data', hub.data.directory];
    expect((await runHubCommand(addPeerCommands, removed)).exit).toBe(0);
    expect(await proxmox('remove', 'old')).toMatchObject({ exit: 0, stdout: 'removed the cluster old\n' });
    expect((await proxmox('list')).stdout).not.toContain('old');
  });
});
