import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hubRuleset, spokeRuleset } from '../../wireguard/firewall/ruleset.ts';
import { networkFiles } from '../../wireguard/generate/network-files.ts';
import { generateKeyPair } from '../../wireguard/keys.ts';
import { FORWARDING, provisionText } from '../../wireguard/provision/script.ts';
import { readTunnelFile } from '../../wireguard/provision/tunnel-file.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { WholeMachine, wholeMachineObstacle } from '../harness/whole-machine.ts';
import { WholeNetwork } from '../harness/whole-network.ts';
import { WISH } from './provision-machine.ts';

const isThorough = process.env.LATCHKEY_THOROUGH === '1';
const obstacle = wholeMachineObstacle();
const PATIENCE = { timeout: 90_000, interval: 500 };
const UNIT = 'wg-quick@wg0.service';

describe.skipIf(obstacle !== null || !isThorough)(
  `a hub and a spoke that were provisioned, with a real systemd each${obstacle === null ? '' : ` (${obstacle})`}`,
  () => {
    const cleanup = new Cleanup();
    let spoke: WholeMachine;
    let hub: WholeMachine;

    const reaches = (): Promise<boolean> => spoke.tries('busybox ping -c 1 -W 1 10.66.0.1 >/dev/null 2>&1');
    const isBack = (): Promise<void> => expect.poll(reaches, PATIENCE).toBe(true);
    const nameOf = (address: string | null): void =>
      spoke.write('/etc/hosts', `127.0.0.1 localhost\n${address === null ? '' : `${address} hub.example\n`}`);

    beforeAll(async () => {
      const network = await WholeNetwork.build(cleanup);
      spoke = WholeMachine.build('home', { wire: network.home, cleanup });
      hub = WholeMachine.build('server', { wire: network.server, cleanup });
      await Promise.all([spoke.boot(), hub.boot()]);
      nameOf(hub.address);
      const order = { spokes: ['attic'], networks: ['10.66.0.0/24'], interface: 'wg0', keepalive: 5, preshared: false };
      const files = networkFiles({ ...order, hub: 'hub.example:51820', obfuscation: {} }, generateKeyPair, () => '');
      const [ofHub, ofSpoke] = files.slice(0, 2).map(({ text }) => readTunnelFile(text, 'wg0', '--interface-file'));
      const common = { services: [UNIT], waitSeconds: 60 };
      const home = {
        tunnel: 'wg0',
        networks: order.networks,
        hubAddresses: ['10.66.0.1'],
        sshPorts: [],
        publicPorts: [],
      };
      for (const [machine, script] of [
        [
          hub,
          provisionText({
            ...common,
            role: 'hub',
            ruleset: hubRuleset(WISH, 'hub'),
            sysctls: FORWARDING,
            tunnel: ofHub ?? null,
          }),
        ],
        [
          spoke,
          provisionText({
            ...common,
            role: 'spoke',
            ruleset: spokeRuleset(home, 'spoke'),
            sysctls: [],
            tunnel: ofSpoke ?? null,
          }),
        ],
      ] as const) {
        expect(await machine.command(['sh', '-s'], { input: script })).toContain('waiting 60 seconds');
        expect(await machine.command(['sh', '-s', '--', '--confirm'], { input: script })).toContain('confirmed');
        expect(await machine.command(['sh', '-s'], { input: script })).toContain('nothing was changed');
      }
    }, 300_000);
    afterAll(async () => expect(await cleanup.run()).toEqual([]));

    test('reach each other, by units that systemd knows to run', async () => {
      await isBack();
      for (const machine of [hub, spoke]) {
        expect((await machine.sh(`systemctl is-active ${UNIT}; systemctl is-enabled nftables`)).trim()).toBe(
          'active\nenabled',
        );
        expect(await machine.sh('systemctl list-units --all --no-legend "latchkey-guard*"')).toBe('');
      }
      expect(await hub.tries('busybox ping -c 1 -W 1 10.66.0.11')).toBe(false);
    });

    test('are back with their rules when each had lost its power', async () => {
      for (const machine of [hub, spoke]) {
        await machine.cutPower();
        await machine.boot();
        expect(await machine.sh('nft list table inet latchkey')).toContain('policy drop');
        await isBack();
      }
    }, 200_000);

    test('come up without the name of the hub, and the tunnel once it is found', async () => {
      nameOf(null);
      await spoke.cutPower();
      await spoke.boot(); // this waits for whatever is still being started
      expect([await reaches(), await spoke.tries('ip link show wg0')]).toEqual([false, false]);
      nameOf(hub.address);
      await isBack();
      expect((await spoke.sh(`systemctl is-active ${UNIT}`)).trim()).toBe('active');
    }, 300_000);
  },
);
