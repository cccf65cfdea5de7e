import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PairEnd } from '../../../wireguard/pair/pair-end.ts';
import type { PairValues } from '../../../wireguard/pair/pair-script.ts';
import { Cleanup } from '../../harness/cleanup.ts';
import { WholeMachine, wholeMachineObstacle } from '../../harness/whole-machine.ts';
import { WholeNetwork } from '../../harness/whole-network.ts';

const isThorough = process.env.LATCHKEY_THOROUGH === '1';
const obstacle = wholeMachineObstacle();
const KEEPER = 'latchkey-keep-latchkey';
const PATIENCE = { timeout: 150_000, interval: 500 };
const COMMON = { interface: 'latchkey', network: '10.71.203.0/30', serves: null };

describe.skipIf(obstacle !== null || !isThorough)(
  `a pair of machines with a real systemd each${obstacle === null ? '' : ` (${obstacle})`}`,
  () => {
    const cleanup = new Cleanup();
    let network: WholeNetwork;
    let home: WholeMachine;
    let server: WholeMachine;
    let atHome: PairEnd;
    let onServer: PairEnd;
    let before: ReadonlyMap<string, string>;

    const endOf = (machine: WholeMachine, values: Omit<PairValues, keyof typeof COMMON>): PairEnd =>
      new PairEnd({ label: machine.name, run: (argv, options) => machine.run(argv, options) }, 'linux', {
        ...COMMON,
        ...values,
      });
    const reaches = (): Promise<boolean> => home.tries('busybox ping -c 1 -W 1 10.71.203.2 >/dev/null 2>&1');
    const isBack = (): Promise<void> => expect.poll(reaches, PATIENCE).toBe(true);
    const nameOf = (address: string): void =>
      home.write('/etc/hosts', `127.0.0.1 localhost\n${address} cloud.example\n`);

    beforeAll(async () => {
      network = await WholeNetwork.build(cleanup);
      home = WholeMachine.build('home', { wire: network.home, cleanup });
      server = WholeMachine.build('server', { wire: network.server, cleanup });
      await Promise.all([home.boot(), server.boot()]);
      nameOf(server.address);
      before = home.changes();
      const [own, other] = ['10.71.203.1', '10.71.203.2'];
      const endpoint = { host: 'cloud.example', port: 51820 };
      atHome = endOf(home, { ownAddress: own, otherAddress: other, listen: null, endpoint });
      onServer = endOf(server, { ownAddress: other, otherAddress: own, listen: 51820, endpoint: null });
      const [homeKey, serverKey] = [await atHome.key(), await onServer.key()];
      await onServer.up(homeKey);
      await atHome.up(serverKey);
      expect([await atHome.hears(30), await onServer.hears(30)]).toEqual([true, true]);
      await Promise.all([atHome.settle(), onServer.settle()]);
    });
    afterAll(async () => expect(await cleanup.run()).toEqual([]));

    test('is looked after by a unit that may do what it has to, and little else', async () => {
      const { exit, stderr, stdout } = await home.run(['systemctl', 'start', `${KEEPER}.service`]);
      expect([exit, stderr, stdout.toString()]).toEqual([0, '', '']);
      await home.sh('ip link delete latchkey');
      await home.sh(`systemctl start ${KEEPER}.service`);
      expect(await atHome.look()).toMatchObject({ interface: 'ours', boot: true, keeper: true });
      await isBack();
      // its way to ask for names and to tell the interface
      nameOf('198.51.100.99');
      await home.sh(`sed -i s/^PATIENCE=150/PATIENCE=-1/ /usr/local/lib/latchkey/keep-latchkey`);
      await home.sh(`systemctl start ${KEEPER}.service`);
      expect(await home.sh('wg show latchkey endpoints')).toContain('198.51.100.99:51820');
      nameOf(server.address);
      await home.sh(`systemctl start ${KEEPER}.service`);
      await home.sh(`sed -i s/^PATIENCE=-1/PATIENCE=150/ /usr/local/lib/latchkey/keep-latchkey`);
      expect(await home.sh(`systemctl is-failed ${KEEPER}.service || :`)).not.toContain('failed');
      await isBack();
      expect(await home.sh(`systemd-analyze security --no-pager ${KEEPER}.service | tail -n 1`)).toMatch(
        /: [0-3]\.\d (OK|SAFE)/,
      );
    }, 120_000);

    test('is back when either had lost its power, and when a name was not found at boot, by the timer', async () => {
      await server.cutPower();
      await server.boot();
      await isBack();
      await home.cutPower();
      await home.boot();
      await isBack();
      home.write('/etc/hosts', '127.0.0.1 localhost\n');
      await home.cutPower();
      const booting = home.boot();
      const waits = (): Promise<boolean> => home.tries('systemctl is-active wg-quick@latchkey | grep -qx activating');
      await expect.poll(waits, PATIENCE).toBe(true);
      await home.sh(`systemctl start ${KEEPER}.service`);
      expect([await waits(), await reaches()]).toEqual([true, false]);
      nameOf(server.address);
      await booting;
      await isBack();
    }, 300_000);

    test('is taken away though it waits for a name', async () => {
      home.write('/etc/hosts', '127.0.0.1 localhost\n');
      await home.sh('systemctl stop wg-quick@latchkey; systemctl start --no-block wg-quick@latchkey');
      await expect.poll(() => home.tries('ip link show latchkey'), PATIENCE).toBe(true);
      expect(await atHome.look()).toMatchObject({ interface: 'ours' });
    });

    test('is gone without a trace when it is taken away', async () => {
      expect([await atHome.down(), await onServer.down()]).toEqual([
        { changed: true, stays: [] },
        { changed: true, stays: [] },
      ]);
      expect(await home.sh('wg show interfaces; systemctl list-units --all --no-legend "*latchkey*"')).toBe('');
      const left = [...home.changes().keys()].filter((path) => !before.has(path) && !/^\/(var|tmp|run)\//.test(path));
      expect(left.filter((path) => !/^\/etc\/(systemd|hosts)/.test(path))).toEqual([]);
    });
  },
);
