import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemRandom } from '../../platform/clock.ts';
import { run } from '../../platform/run.ts';
import { addFirewallCommands } from '../../wireguard/commands/firewall.ts';
import { hubWish } from '../../wireguard/firewall/hub-wish.ts';
import { hubRuleset, spokeRuleset } from '../../wireguard/firewall/ruleset.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { PeerRegister } from '../../wireguard/hub/peer-register.ts';
import { tunnelObstacle } from '../harness/namespaces.ts';
import { hasProgram } from '../harness/programs.ts';
import { runHubCommand } from './command-runner.ts';
import { testInterface } from './hub-store.ts';
import { type RunningHub, startRunningHub } from './running-hub.ts';

const facts = [
  testInterface(),
  testInterface({ name: 'wg1', networks: ['10.0.2.0/24'], addresses: ['10.0.2.1/24'], listenPort: 51821 }),
];
const wanted = { sshPorts: [22], publicPorts: [80], talking: 'none' } as const;
const at = (host: string, interfaces: string[] | null = null) =>
  hubWish({ listen: { host, port: 8090 }, interfaces }, facts, wanted);

describe('hubWish()', () => {
  test.each([
    ['on loopback', '127.0.0.1', [80], []],
    ['on loopback of IPv6', '::1', [80], []],
    ['in the tunnel', '10.0.1.1', [80], [8090]],
    ['everywhere', '0.0.0.0', [80, 8090], []],
    ['on an address of the machine', '192.0.2.7', [80, 8090], []],
  ])('opens the API of a hub that listens %s to those who are to reach it', (_, host, publicPorts, tunnelPorts) => {
    expect(at(host)).toMatchObject({ publicPorts, tunnelPorts, talking: [] });
  });
  test('is of the interfaces that this hub keeps', () => {
    expect(at('127.0.0.1').tunnels).toEqual([
      { name: 'wg0', port: 51820 },
      { name: 'wg1', port: 51821 },
    ]);
    expect(at('127.0.0.1', ['wg1'])).toMatchObject({
      tunnels: [{ name: 'wg1', port: 51821 }],
      networks: ['10.0.2.0/24'],
    });
  });
});

describe.skipIf(tunnelObstacle() !== null || !hasProgram('nft'))('the rules', () => {
  const hub = { ...at('10.0.1.1'), talking: ['10.0.1.5', 'fd42:4242:1::/64'] };
  const spoke = {
    tunnel: 'wg0',
    networks: ['10.0.1.0/24'],
    hubAddresses: ['10.0.1.1'],
    sshPorts: [22],
    publicPorts: [],
  };
  test.each([
    ['of a hub', hubRuleset(hub, 'hub')],
    [
      'of a hub that opens nothing but SSH',
      hubRuleset({ ...hub, publicPorts: [], tunnelPorts: [], talking: [] }, 'hub'),
    ],
    ['of a spoke', spokeRuleset(spoke, 'spoke')],
    [
      'of a spoke of both families',
      spokeRuleset(
        { ...spoke, networks: ['10.0.1.0/24', 'fd00::/64'], hubAddresses: ['10.0.1.1', 'fd00::1'] },
        'spoke',
      ),
    ],
  ])('%s are what nft takes, twice', async (_, text) => {
    const argv = [
      'unshare',
      '--net',
      'sh',
      '-c',
      'cat >"$1"; nft -f "$1" && nft -f "$1" && nft list ruleset; rm "$1"',
      'sh',
      `/tmp/lk-rules-${process.pid}.nft`,
    ] as const;
    const { stdout } = await run(argv, { timeoutMs: 20_000, input: text });
    expect(stdout.toString('utf8').match(/^table /gm)).toHaveLength(1);
  });
});

describe('wghub firewall', () => {
  let running: RunningHub;
  beforeAll(async () => {
    running = await startRunningHub({ config: { listen: { host: '127.0.0.1', port: 0 } } });
    const parts = {
      store: running.data.store,
      seal: running.vault,
      now: Date.now,
      random: systemRandom,
      tell: async () => true,
    };
    const peers = new PeerRegister(testInterface(), parts);
    await peers.create({ name: 'office', kind: 'spoke', extraNetworks: ['192.168.7.0/24'] }, COMMAND);
    await peers.create({ name: 'phone', kind: 'device' }, COMMAND);
  });
  afterAll(() => running.stop());
  const hub = (...options: string[]) =>
    runHubCommand(addFirewallCommands, ['firewall', 'hub', '--data', running.data.directory, ...options]);
  const spoke = (...options: string[]) => runHubCommand(addFirewallCommands, ['firewall', 'spoke', ...options]);

  test('prints the rules of this hub, in which nobody talks to another peer unless told', async () => {
    const { exit, stdout } = await hub('--ssh-port', '22', '2222', '--open', '443');
    expect(exit).toBe(0);
    expect(stdout).toContain('udp dport { 51820 } accept');
    expect(stdout).toContain('tcp dport { 22, 2222 } accept');
    expect(stdout).toContain('tcp dport { 443 } accept');
    expect(stdout).not.toContain('elements = { 10.0.1');
    expect((await hub('--talking', 'all')).stdout).toContain('elements = { 10.0.1.0/24 }');
    const { stdout: named } = await hub('--talking', 'office');
    expect(named).toContain('elements = { 10.0.1.2/32, 192.168.7.0/24 }');
    expect(JSON.parse((await hub('--json')).stdout).ruleset).toContain('table inet latchkey');
  });
  test.each([
    [['--talking', 'nobody'], 1, 'there is no such peer'],
    [['--open', '0'], 2, '"--open" must be'],
    [['--ssh-port', 'ssh'], 2, '"--ssh-port" must be'],
  ])('refuses %s', async (options, exit, words) => {
    const answer = await hub(...options);
    expect([answer.exit, answer.stdout]).toEqual([exit, '']);
    expect(answer.stderr).toContain(words);
  });
  test('prints the rules of a spoke from its tunnel’s facts', async () => {
    const { exit, stdout } = await spoke(
      '--network',
      '10.0.1.0/24',
      'fd00::/64',
      '--hub-address',
      '10.0.1.1',
      'fd00::1',
    );
    expect(exit).toBe(0);
    expect(stdout).toContain('iifname "wg0" ip saddr 10.0.1.1 counter drop');
    expect(stdout).toContain('iifname "wg0" ip6 saddr fd00::/64 accept');
  });
  test.each([
    [['--network', '10.0.1.0/24'], '--hub-address'],
    [['--network', '10.0.1.5/24', '--hub-address', '10.0.1.1'], '--network'],
    [['--network', '10.0.1.0/24', '--hub-address', 'hub'], '--hub-address'],
    [['--network', '10.0.1.0/24', '--hub-address', '10.0.1.1', '10.0.2.1'], '"--hub-address" must be inside'],
    [['--network', '10.0.1.0/24', '--hub-address', 'fd00::1'], '"--hub-address" must be inside'],
    [['--network', '10.0.1.0/24', '--hub-address', '10.0.1.1', '--interface', 'wg0" accept; #'], '--interface'],
  ])('refuses %s', async (options, field) => {
    const answer = await spoke(...options);
    expect([answer.exit, answer.stdout]).toEqual([2, '']);
    expect(answer.stderr).toContain(field);
  });
});
