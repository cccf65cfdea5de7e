import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { run } from '../../platform/run.ts';
import { hubRuleset, spokeRuleset } from '../../wireguard/firewall/ruleset.ts';
import { networkFiles } from '../../wireguard/generate/network-files.ts';
import { generateKeyPair } from '../../wireguard/keys.ts';
import { BackgroundProcess } from '../harness/background-process.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { answers, bringUp, HubNetwork, type Machine, machinesObstacle } from '../harness/hub-network.ts';
import { hasProgram } from '../harness/programs.ts';

const missing = ['nft', 'python3'].filter((name) => !hasProgram(name));
const obstacle = machinesObstacle() ?? (missing.length === 0 ? null : `${missing.join(', ')} not installed`);
const PROBE = resolve(import.meta.dirname, '../harness/probe.py');
const PORTS = [22, 443, 8000, 8090];
/** In the tunnel. */
const HUB = ['10.66.0.1', 'fd66::1'] as const;
const A = ['10.66.0.11', 'fd66::b'] as const;
const B = ['10.66.0.12', 'fd66::c'] as const;

const PATIENCE = { timeout: 25_000, interval: 200 };

type Answer = 'open' | 'silent' | 'refused';

describe.skipIf(obstacle !== null)(
  `firewalls of a hub and two spokes${obstacle === null ? '' : `: ${obstacle}`}`,
  () => {
    const cleanup = new Cleanup();
    const unguard = cleanup.guard();
    const folder = mkdtempSync(join(tmpdir(), 'lk-firewall-'));
    let hub: Machine;
    let a: Machine;
    let b: Machine;
    let outside: Machine;

    beforeAll(async () => {
      cleanup.add(folder, () => rmSync(folder, { recursive: true }));
      const network = await HubNetwork.build(cleanup);
      hub = await network.machine('hub', 1);
      a = await network.machine('a', 2);
      b = await network.machine('b', 3);
      outside = await network.machine('outside', 4);
      const order = {
        hub: `${hub.address}:51820`,
        spokes: ['a', 'b'],
        networks: ['10.66.0.0/24', 'fd66::/64'],
        interface: 'wg0',
        keepalive: 5,
        preshared: false,
        obfuscation: {},
      };
      const files = networkFiles(order, generateKeyPair, () => '');
      const text = (path: string): string => files.find((file) => file.path === path)?.text ?? '';
      await hub.run(
        'sh',
        '-c',
        'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding',
      );
      await bringUp(hub, text('hub/wg0.conf'), cleanup);
      await bringUp(a, text('node-a/wg0.conf'), cleanup);
      await bringUp(b, text('node-b/wg0.conf'), cleanup);
      for (const machine of [hub, a, b]) {
        const listener = await BackgroundProcess.start(
          machine.inside(['python3', PROBE, 'listen', ...PORTS.map(String)]),
          {
            readyWhen: /^listening$/m,
          },
        );
        cleanup.add(`listener of ${machine.name}`, () => listener.stop());
      }
      for (const spoke of [a, b]) expect(await answers(spoke, HUB[0])).toBe(true); // both tunnels are there
    });
    afterAll(async () => {
      unguard();
      await cleanup.run();
    });

    /** What each port of each address answers. */
    async function probe(
      from: Machine,
      addresses: readonly string[],
      ports = PORTS,
    ): Promise<Record<string, Answer[]>> {
      const targets = addresses.flatMap((address) => ports.map((port) => ({ address, port })));
      const argv = from.inside(['python3', PROBE, 'reach']);
      const { stdout } = await run(argv, { timeoutMs: 30_000, input: JSON.stringify(targets) });
      const said = JSON.parse(stdout.toString('utf8')) as Answer[];
      return Object.fromEntries(
        addresses.map((address, at) => [address, said.slice(at * ports.length, (at + 1) * ports.length)]),
      );
    }
    /** What is open may take its time on a busy machine; a port that is open where it must not be stays so. */
    async function reach(
      from: Machine,
      addresses: readonly string[],
      wanted: Record<string, readonly Answer[]>,
      ports = PORTS,
    ) {
      await vi.waitFor(async () => expect(await probe(from, addresses, ports)).toEqual(wanted), PATIENCE);
    }
    const apply = async (machine: Machine, ruleset: string): Promise<void> => {
      const file = join(folder, `${machine.name}.nft`);
      writeFileSync(file, ruleset);
      await machine.run('nft', '-f', file);
    };
    const each = (addresses: readonly string[], ports: readonly Answer[]) =>
      Object.fromEntries(addresses.map((address) => [address, [...ports]]));
    const everything = ['open', 'open', 'open', 'open'] as const;
    const nothing = ['silent', 'silent', 'silent', 'silent'] as const;
    const networks = ['10.66.0.0/24', 'fd66::/64'];
    const hubWish = {
      tunnels: [{ name: 'wg0', port: 51820 }],
      networks,
      sshPorts: [22],
      publicPorts: [443],
      tunnelPorts: [8090],
      talking: [...A, ...B],
    };
    const spokeWish = { tunnel: 'wg0', networks, hubAddresses: [...HUB], sshPorts: [22], publicPorts: [443] };

    const isOpen = (answers: Record<string, Answer[]>) => Object.values(answers).flat().includes('open');

    test('without them everybody reaches everything', async () => {
      await reach(outside, [hub.address, a.address], each([hub.address, a.address], everything));
      await reach(hub, [...A], each(A, everything));
      await reach(a, [...B, ...HUB], each([...B, ...HUB], everything));
    });

    test('the hub is open for SSH, its API and its peers, and begins nothing towards a peer', async () => {
      await apply(hub, hubRuleset(hubWish, 'hub'));
      await reach(outside, [hub.address], { [hub.address]: ['open', 'open', 'silent', 'silent'] });
      await reach(a, [...HUB], each(HUB, ['open', 'open', 'silent', 'open']));
      expect(isOpen(await probe(hub, [...A, ...B]))).toBe(false);
      expect(await answers(hub, A[0])).toBe(false);
      expect(await answers(hub, A[1])).toBe(false);
      // outside of the tunnel it may: for updates, and for names
      await reach(hub, [a.address], { [a.address]: everything });
      for (const address of HUB) expect(await answers(a, address)).toBe(true);
    });

    test('peers reach each other through the hub when they are told so, and only those', async () => {
      await apply(hub, hubRuleset(hubWish, 'hub'));
      await reach(a, [...B], each(B, everything));
      await apply(hub, hubRuleset({ ...hubWish, talking: [...A] }, 'hub'));
      expect(await probe(a, [...B])).toEqual(each(B, nothing));
      expect(await probe(b, [...A])).toEqual(each(A, nothing));
      await apply(hub, hubRuleset({ ...hubWish, talking: ['10.66.0.0/24'] }, 'hub'));
      await reach(a, [...B], { [B[0]]: everything, [B[1]]: nothing });
    });

    test('a new ruleset cuts off no connection that may go on, and leaves rules of others alone', async () => {
      await hub.run('nft', 'add table inet others');
      await apply(hub, hubRuleset(hubWish, 'hub'));
      await apply(hub, hubRuleset(hubWish, 'hub again'));
      const tables = (await hub.run('nft', 'list', 'tables')).trim().split('\n').sort();
      expect(tables).toEqual(['table inet latchkey', 'table inet others']);
      await hub.run('nft', 'delete table inet others');
    });

    test('a spoke takes from the tunnel what other peers send, and from the hub itself answers only', async () => {
      await hub.run('nft', 'delete table inet latchkey'); // nothing on the hub keeps it from asking
      await apply(a, spokeRuleset(spokeWish, 'spoke'));
      expect(await probe(hub, [...A])).toEqual(each(A, nothing));
      for (const address of A) expect(await answers(hub, address)).toBe(false);
      await reach(b, [...A], each(A, everything));
      await reach(a, [...HUB], each(HUB, everything));
      await reach(outside, [a.address], { [a.address]: ['open', 'open', 'silent', 'silent'] });
      await a.run('nft', 'delete table inet latchkey');
    });

    test('nobody outside of the tunnel speaks with one of its addresses', async () => {
      await apply(hub, hubRuleset(hubWish, 'hub'));
      await outside.run(
        'sh',
        '-c',
        `ip address add 10.66.0.99/32 dev lo && ip route add ${HUB[0]}/32 via ${hub.address} src 10.66.0.99`,
      );
      await hub.run('ip', 'route', 'add', '10.66.0.99/32', 'via', outside.address);
      expect(await probe(outside, [HUB[0]], [443])).toEqual({ [HUB[0]]: ['silent'] });
      await hub.run('nft', 'delete table inet latchkey');
      await reach(outside, [HUB[0]], { [HUB[0]]: ['open'] }, [443]);
    });

    test('a thousand peers cost no rule more than one', async () => {
      const rules = async (count: number): Promise<number> => {
        const talking = Array.from({ length: count }, (_, at) => `10.66.${at >> 8}.${at & 255}`);
        await apply(hub, hubRuleset({ ...hubWish, networks: ['10.66.0.0/16'], talking }, 'hub'));
        const listed = JSON.parse(await hub.run('nft', '-j', 'list', 'ruleset')) as { nftables: object[] };
        return listed.nftables.filter((item) => 'rule' in item).length;
      };
      expect(await rules(1000)).toBe(await rules(1));
      await hub.run('nft', 'delete table inet latchkey');
    });
  },
);
