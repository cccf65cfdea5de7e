import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { hubRuleset, spokeRuleset } from '../../wireguard/firewall/ruleset.ts';
import { networkFiles } from '../../wireguard/generate/network-files.ts';
import { generateKeyPair, generatePresharedKey } from '../../wireguard/keys.ts';
import { type ProvisionValues, STATE } from '../../wireguard/provision/script.ts';
import { readTunnelFile } from '../../wireguard/provision/tunnel-file.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { HubNetwork, type Machine } from '../harness/hub-network.ts';
import { InstallerMachine, SHELLS, type Shell } from '../harness/installer-machine.ts';
import { DISTRIBUTIONS } from '../harness/installer-stand-ins.ts';
import { hasProgram } from '../harness/programs.ts';
import { decided, everything, makeNew, provisionObstacle, provisionScript, WISH } from './provision-machine.ts';

const isThorough = process.env.LATCHKEY_THOROUGH === '1';
const obstacle = provisionObstacle() ?? (hasProgram('wireguard-go') ? null : 'wireguard-go not installed');
const CONF = '/etc/wireguard/wg0.conf';
const UNIT = 'wg-quick@wg0.service';
/** By this the stand-in of systemd has the unit for started. */
const STARTED = `/run/stand-in/${UNIT}`;

describe.skipIf(obstacle !== null)(
  `a machine that is given its tunnel${obstacle === null ? '' : `: ${obstacle}`}`,
  () => {
    const cleanup = new Cleanup();
    const unguard = cleanup.guard();
    let network: HubNetwork;
    let hubMachine: Machine;
    let spoke: InstallerMachine;
    let hubText: string;
    let spokeText: string;

    beforeAll(async () => {
      network = await HubNetwork.build(cleanup);
      hubMachine = await network.machine('hub', 1);
      spoke = await InstallerMachine.build(await network.machine('spoke', 2), DISTRIBUTIONS.debian);
      const order = { spokes: ['attic'], networks: ['10.66.0.0/24'], interface: 'wg0', keepalive: 25, preshared: true };
      const files = networkFiles(
        { ...order, hub: `${hubMachine.address}:51820`, obfuscation: {} },
        generateKeyPair,
        () => generatePresharedKey(randomBytes),
      );
      [hubText = '', spokeText = ''] = files.map(({ text }) => text);
    });
    afterAll(async () => {
      unguard();
      await cleanup.run();
    });
    const takeAway = async (machine: InstallerMachine): Promise<void> => {
      await machine.command('sh', '-c', '[ ! -e /sys/class/net/wg0 ] || ip link delete dev wg0');
      for (const path of [CONF, STARTED]) machine.remove(path);
    };
    beforeEach(async () => {
      await makeNew(spoke);
      await takeAway(spoke);
    });

    const script = (text: string, more: Partial<ProvisionValues> = {}): string => {
      const wish = { tunnel: 'wg0', networks: ['10.66.0.0/24'], hubAddresses: [], sshPorts: [22], publicPorts: [] };
      const [ruleset, tunnel] = [spokeRuleset(wish, 'spoke'), readTunnelFile(text, 'wg0', '--interface-file')];
      return provisionScript({ role: 'spoke', ruleset, sysctls: [], services: [UNIT], tunnel, ...more });
    };
    const isUp = (machine = spoke): Promise<string> =>
      machine.command('sh', '-c', 'wg show wg0 public-key 2>/dev/null || echo none');
    const secrets = (): string[] =>
      [...spokeText.matchAll(/^(?:PrivateKey|PresharedKey) = (.+)$/gm)].map(([, key = '']) => key);

    test('has it on trial, from nothing that is on the disk, and not any more when nobody confirms', async () => {
      const before = await everything(spoke);
      const files = async () => (await spoke.state()).filter((line) => / (etc|lib|usr|var)\//.test(line));
      const onDisk = await files();
      const { exit, stdout, stderr } = await spoke.run(script(spokeText, { waitSeconds: 2 }), { piped: true });
      expect([exit, stdout]).toEqual([0, expect.stringContaining('waiting 2 seconds')]);
      expect((await isUp()).trim()).toBe(readTunnelFile(spokeText, 'wg0', '').publicKey);
      expect(await files()).toEqual(onDisk);
      for (const secret of secrets()) expect(stdout + stderr).not.toContain(secret);
      await decided(spoke);
      expect(await everything(spoke)).toEqual(before);
      expect(spoke.takeCalls()).toEqual([]);
    });

    test('keeps what was confirmed, as what starts it at boot has it, and reaches the hub through it', async () => {
      const hub = await InstallerMachine.build(hubMachine, DISTRIBUTIONS.debian);
      await makeNew(hub);
      for (const [machine, text] of [
        [hub, script(hubText, { role: 'hub', ruleset: hubRuleset(WISH, 'hub') })],
        [spoke, script(spokeText)],
      ] as const) {
        machine.write(STARTED, ''); // of an interface that somebody has taken away
        expect(await machine.run(text)).toMatchObject({ exit: 0 });
        expect(await machine.run(text, { args: ['--confirm'] })).toMatchObject({ exit: 0 });
        expect(machine.takeCalls()).toEqual([
          `systemctl enable ${UNIT}`,
          `systemctl restart ${UNIT}`,
          'systemctl enable nftables.service',
        ]);
      }
      expect(spoke.read(CONF)).toBe(spokeText);
      expect((await spoke.command('stat', '-c', '%a %U', CONF)).trim()).toBe('600 root');
      expect(spoke.read(STATE)).toBeNull();
      const reaches = () =>
        spoke.command('ping', '-c', '1', '-W', '1', '10.66.0.1').then(
          () => true,
          () => false,
        );
      await expect.poll(reaches, { timeout: 20_000 }).toBe(true);
      const before = await everything(spoke);
      expect(await spoke.run(script(spokeText))).toMatchObject({
        exit: 0,
        stderr: '',
        stdout: 'everything is in place: nothing was changed\n',
      });
      expect(await everything(spoke)).toEqual(before);
    });

    test.each<[name: string, says: string, prepare: () => Promise<unknown> | unknown]>([
      ['another file', 'is there already, and another one', () => spoke.write(CONF, '[Interface]\n', 0o600)],
      [
        'an interface of somebody else',
        'there is an interface wg0 already',
        () => spoke.command('wireguard-go', 'wg0'),
      ],
    ])('refuses it where there is %s', async (_, says, prepare) => {
      await prepare();
      const before = await everything(spoke);
      expect(await spoke.run(script(spokeText))).toMatchObject({
        exit: 3,
        stdout: '',
        stderr: expect.stringContaining(says),
      });
      expect(await everything(spoke)).toEqual(before);
      expect(spoke.takeCalls()).toEqual([]);
    });

    test.runIf(isThorough)('refuses one with name servers where nobody could be told of them', async () => {
      const text = spokeText.replace('[Peer]', 'DNS = 10.66.0.1\n\n[Peer]');
      const before = await everything(spoke);
      const refused = await spoke.run(script(text));
      expect(refused).toMatchObject({ exit: 3, stderr: expect.stringContaining('has no resolvconf that works') });
      expect(await everything(spoke)).toEqual(before);
    });

    test.runIf(isThorough).each(Object.keys(SHELLS) as Shell[])(
      'is as it was when wg-quick cannot bring it up (%s)',
      async (shell) => {
        const before = await everything(spoke);
        const text = spokeText.replace(/^Endpoint = .*$/m, 'Endpoint = nobody.invalid:51820');
        const failed = await spoke.run(script(text), { shell });
        expect(failed).toMatchObject({
          exit: 1,
          stdout: '',
          stderr: expect.stringContaining('could not bring up wg0'),
        });
        expect(await everything(spoke)).toEqual(before);
      },
    );

    test.runIf(isThorough)('is as it was when it was confirmed and systemd does not start it', async () => {
      const files = async () => (await spoke.state()).filter((line) => !line.includes(STATE));
      const before = await files();
      expect((await spoke.run(script(spokeText))).exit).toBe(0);
      spoke.failAt('systemctl restart*');
      const failed = await spoke.run(script(spokeText), { args: ['--confirm'] });
      expect(failed).toMatchObject({ exit: 1, stdout: '', stderr: expect.stringContaining(`could not start ${UNIT}`) });
      spoke.failAt();
      expect(await files()).toEqual(before);
    });

    test('is as it was when it was confirmed and what starts it does not bring it up', async () => {
      const files = async () => (await spoke.state()).filter((line) => !line.includes(STATE));
      const before = await files();
      expect((await spoke.run(script(spokeText))).exit).toBe(0);
      spoke.program('wg-quick', '#!/bin/sh\n[ "$1 $2" = "up wg0" ] || exec /usr/bin/wg-quick "$@"\n');
      const failed = await spoke.run(script(spokeText), { args: ['--confirm'] });
      spoke.remove('/usr/local/bin/wg-quick');
      expect(failed).toMatchObject({ exit: 1, stdout: '', stderr: expect.stringContaining('wg0 is not up, although') });
      expect(await files()).toEqual(before);
    });

    test.runIf(isThorough)(
      'that is down is tried with other rules, and down again when they are not kept',
      async () => {
        spoke.write(CONF, spokeText, 0o600);
        expect((await spoke.run(script(spokeText))).exit).toBe(0);
        expect((await isUp()).trim()).not.toBe('none');
        expect(await spoke.run(script(spokeText), { args: ['--roll-back'] })).toMatchObject({ exit: 0 });
        expect([(await isUp()).trim(), spoke.read(CONF)]).toEqual(['none', spokeText]);
      },
    );

    test.runIf(isThorough)('is put back by the next one who looks when the guard was killed', async () => {
      const before = await everything(spoke);
      await spoke.run(script(spokeText));
      process.kill(Number(spoke.read(`${STATE}/pid`)), 'SIGKILL');
      expect(await spoke.run(script(spokeText), { args: ['--confirm'] })).toMatchObject({ exit: 1 });
      expect(await everything(spoke)).toEqual(before);
    });

    test('has its key in memory alone while it is looked at, and takes away what a power cut has left half written', async () => {
      const half = `${CONF}.latchkey-new`;
      spoke.write(half, spokeText, 0o600);
      spoke.write(CONF, '[Interface]\n', 0o600); // by which the run is refused
      spoke.program(
        'mktemp',
        '#!/bin/sh\n. /usr/local/lib/stand-in.sh\nrecord mktemp "$@"\nexec /usr/bin/mktemp "$@"\n',
      );
      const { exit } = await spoke.run(script(spokeText), { env: { TMPDIR: '/tmp' } });
      spoke.remove('/usr/local/bin/mktemp');
      expect([exit, spoke.read(half)]).toEqual([3, null]);
      expect(spoke.takeCalls()).toEqual(['mktemp -d /run/latchkey.XXXXXXXX']);
    });

    test('looks for all that a tunnel is brought up by before the kernel is asked', async () => {
      const bare = await InstallerMachine.build(await network.machine('lacking', 5), DISTRIBUTIONS.debian);
      bare.hide('wg-quick', 'ip');
      const failed = await bare.run(script(spokeText));
      expect(failed).toMatchObject({ exit: 1, stderr: expect.stringContaining('there is no wg-quick, also after') });
      expect(bare.takeCalls()[0]).toMatch(/ install wireguard-tools iproute2( |$)/);
    });

    test.runIf(isThorough)('with OpenRC has a service for it, and nothing of it when nobody confirms', async () => {
      const alpine = await InstallerMachine.build(await network.machine('alpine', 3), DISTRIBUTIONS.alpine);
      await makeNew(alpine);
      alpine.write('/etc/init.d/nftables', '#!/sbin/openrc-run\n', 0o755);
      const before = await everything(alpine);
      const text = script(spokeText, { waitSeconds: 2 });
      expect((await alpine.run(text, { shell: 'ash' })).exit).toBe(0);
      await decided(alpine);
      expect(await everything(alpine)).toEqual(before);
      const kept = script(spokeText);
      expect((await alpine.run(kept, { shell: 'ash' })).exit).toBe(0);
      expect(await alpine.run(kept, { shell: 'ash', args: ['--confirm'] })).toMatchObject({ exit: 0 });
      expect(alpine.takeCalls()).toContain('rc-service wg-quick.wg0 start');
      expect((await alpine.run(kept, { shell: 'ash' })).stdout).toContain('nothing was changed');
    });

    test.runIf(isThorough)('without anything that starts at boot has it up, and its owner is told', async () => {
      const bare = await InstallerMachine.build(await network.machine('bare', 4), DISTRIBUTIONS.container);
      await makeNew(bare);
      expect(await bare.run(script(spokeText))).toMatchObject({
        exit: 0,
        stderr: expect.stringContaining('wg-quick up wg0'),
      });
      expect(await bare.run(script(spokeText), { args: ['--confirm'] })).toMatchObject({ exit: 0 });
      expect(bare.read(CONF)).toBe(spokeText);
      expect((await isUp(bare)).trim()).not.toBe('none');
    });
  },
);
