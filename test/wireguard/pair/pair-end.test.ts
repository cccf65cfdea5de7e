import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PairEnd } from '../../../wireguard/pair/pair-end.ts';
import type { PairValues } from '../../../wireguard/pair/pair-script.ts';
import { answers } from '../../harness/hub-network.ts';
import { type PairPlace, PairScene, pairObstacle } from './pair-scene.ts';
import { FIREWALL_CMD } from './pair-stand-ins.ts';

const isThorough = process.env.LATCHKEY_THOROUGH === '1';
const obstacle = pairObstacle();
const CONF = '/etc/wireguard/latchkey.conf';
const KEEPER = '/usr/local/lib/latchkey/keep-latchkey';
const OTHER = 'HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=';
const VALUES: PairValues = {
  interface: 'latchkey',
  network: '10.71.203.0/30',
  ownAddress: '10.71.203.2',
  otherAddress: '10.71.203.1',
  listen: 51820,
  endpoint: null,
  serves: null,
};

describe.skipIf(obstacle !== null)(`one end of a pair${obstacle === null ? '' : ` (${obstacle})`}`, () => {
  let scene: PairScene;
  let place: PairPlace;
  let end: PairEnd;
  beforeEach(async () => {
    scene = await PairScene.build();
    place = scene.server;
    end = endOf({});
  });
  afterEach(() => scene.end());

  const endOf = (values: Partial<PairValues>): PairEnd =>
    new PairEnd(place.transport, 'linux', { ...VALUES, ...values });

  test('undoes what it did when a step fails: the first time, and on the way to other settings', async () => {
    const untouched = await place.machine.state();
    await expect(end.up(OTHER)).rejects.toMatchObject({
      code: 'pair_failed',
      message: 'server: this end has no key yet',
    });
    expect(await place.machine.state()).toEqual(untouched);

    const key = await end.key();
    expect(await end.key()).toBe(key);
    const before = await place.machine.state();
    const failing = ['systemctl enable wg-quick*', 'systemctl restart wg-quick*', 'systemctl start *.timer'];
    for (const pattern of failing) {
      place.machine.failAt(pattern);
      await expect(end.up(OTHER)).rejects.toMatchObject({ code: 'pair_failed' });
      expect(await place.machine.state()).toEqual(before);
    }
    place.machine.failAt();
    expect(await end.up(OTHER)).toEqual({ changed: true, stays: [] });
    expect(await end.up(OTHER)).toEqual({ changed: false, stays: [] });

    const up = await place.machine.state();
    expect(await place.machine.command('wg', 'show', 'latchkey', 'listen-port')).toBe('51820\n');
    place.machine.write('/run/stand-in/once', '');
    place.machine.program('wg-quick', FAILS_ONCE);
    const fallen = await endOf({ listen: 51821 })
      .up(OTHER)
      .catch((error: unknown) => error);
    expect(fallen).toMatchObject({ code: 'pair_failed', message: expect.stringContaining('could not start') });
    place.machine.remove('/usr/local/bin/wg-quick');
    expect(await place.machine.state()).toEqual(up);
    expect(await place.machine.command('wg', 'show', 'latchkey', 'listen-port')).toBe('51820\n');

    expect(await endOf({ listen: 51821 }).up(OTHER)).toMatchObject({ changed: true });
    expect(await place.machine.command('wg', 'show', 'latchkey', 'listen-port')).toBe('51821\n');
    expect(await end.look()).toMatchObject({ conf: 'ours', publicKey: key, peerKey: OTHER, handshakeAge: null });
    expect(await end.hears(1)).toBe(false);
    expect(await end.undo()).toEqual({ changed: true, stays: [] });
    expect(await place.machine.state()).toEqual(untouched);
  });

  test('touches nothing of another’s that has the name of what looks after it', async () => {
    place.machine.write(KEEPER, '#!/bin/sh\n# of another\n', 0o755);
    const before = await place.machine.state();
    await expect(end.key()).rejects.toMatchObject({ code: 'pair_conf_foreign', exit: 3 });
    await expect(end.down()).resolves.toEqual({ changed: false, stays: [] });
    expect(await place.machine.state()).toEqual(before);
  });

  test('is brought back by what looks after it, and finds the other end where its name leads now', async () => {
    end = endOf({ listen: null, endpoint: { host: 'other.example', port: 51820 } });
    place.machine.write('/etc/hosts', '');
    await end.key();
    await expect(end.up(OTHER)).rejects.toMatchObject({
      message: expect.stringContaining('no address for the name other'),
    });
    expect(place.machine.read(CONF)).toBe(null);
    place.machine.write('/etc/hosts', '10.205.0.8 other.example\n');
    await end.up(OTHER);
    const endpoint = (): Promise<string> => place.machine.command('wg', 'show', 'latchkey', 'endpoints');
    expect(await endpoint()).toBe(`${OTHER}\t10.205.0.8:51820\n`);
    place.machine.write('/etc/hosts', '10.205.0.9 other.example\n');
    await place.machine.command('sh', KEEPER);
    expect(await endpoint()).toBe(`${OTHER}\t10.205.0.9:51820\n`);

    const up = await place.machine.state();
    await place.machine.command('ip', 'link', 'delete', 'latchkey');
    expect(await end.look()).toMatchObject({ interface: 'none', keeper: true });
    await place.machine.command('sh', KEEPER);
    expect(await place.machine.state()).toEqual(up);
    // at boot, when no name can be found yet, wg-quick fails and leaves nothing
    place.machine.write('/etc/hosts', '');
    await place.machine.command(
      'sh',
      '-c',
      `ip link delete latchkey; WG_ENDPOINT_RESOLUTION_RETRIES=1 sh ${KEEPER} || :`,
    );
    expect(await end.look()).toMatchObject({ interface: 'none' });
    place.machine.write('/etc/hosts', '10.205.0.9 other.example\n');
    await place.machine.command('sh', KEEPER);
    expect(await end.look()).toMatchObject({ interface: 'ours', conf: 'agreed' });
  });

  test.runIf(isThorough)(
    'that is dialled is heard again when its machine has another address, which nobody was told',
    async () => {
      await scene.router.run('nft', 'flush', 'ruleset');
      const { machine } = place;
      await machine.command('ip', 'route', 'add', '10.206.0.0/24', 'via', '10.205.0.3');
      end = endOf({ mayMove: true });
      const dialling = new PairEnd(scene.home.transport, 'linux', {
        ...VALUES,
        ownAddress: VALUES.otherAddress,
        otherAddress: VALUES.ownAddress,
        listen: null,
        endpoint: { host: '10.205.0.2', port: 51820 },
      });
      const [key, otherKey] = [await end.key(), await dialling.key()];
      await end.up(otherKey);
      await dialling.up(key);
      expect([await end.hears(20), await dialling.hears(20)]).toEqual([true, true]);
      const moves = [
        'ip address del 10.205.0.2/24 dev eth0',
        'ip address add 10.205.0.12/24 dev eth0',
        'ip route replace 10.206.0.0/24 via 10.205.0.3',
        `sed -i s/^PATIENCE=150/PATIENCE=-1/ ${KEEPER}`,
      ];
      await machine.command('sh', '-c', moves.join(' && '));
      const isHeard = (): Promise<boolean> => answers(scene.home.machine.machine, VALUES.ownAddress);
      expect(await isHeard()).toBe(false);
      await machine.command('sh', KEEPER);
      await expect.poll(isHeard, { timeout: 60_000, interval: 500 }).toBe(true);
    },
    120_000,
  );

  test.runIf(isThorough)('has firewalld let in what it needs, now and later, and takes just that away', async () => {
    place.machine.program('firewall-cmd', FIREWALL_CMD);
    const kept = (): string | null => place.machine.read('/run/stand-in/firewalld-kept');
    place.machine.write('/run/stand-in/firewalld-kept', 'external service=ssh\n');
    place.machine.write('/run/stand-in/firewalld-now', 'external service=ssh\n');
    end = endOf({ serves: 8443 });
    await end.key();
    await end.up(OTHER);
    const lines = [
      'external service=ssh',
      'external port=51820/udp',
      'public rich-rule=rule family="ipv4" source address="10.71.203.1" port port="8443" protocol="tcp" accept',
    ];
    expect(kept()).toBe(`${lines.join('\n')}\n`);
    expect(place.machine.read('/run/stand-in/firewalld-now')).toBe(kept());
    expect(await end.look()).toMatchObject({ firewall: 'firewalld', conf: 'agreed' });
    await end.down();
    expect(kept()).toBe('external service=ssh\n');
    expect(place.machine.read('/run/stand-in/firewalld-now')).toBe(kept());
    // what was open before stays open
    place.machine.write('/run/stand-in/firewalld-kept', `${lines.join('\n')}\n`);
    place.machine.write('/run/stand-in/firewalld-now', `${lines.join('\n')}\n`);
    await end.key();
    await end.up(OTHER);
    expect(place.machine.read(CONF)).not.toContain('opened for it');
    await end.down();
    expect(kept()).toBe(`${lines.join('\n')}\n`);
  });
});

const FAILS_ONCE = `#!/bin/sh
if [ "$1" = up ] && [ -e /run/stand-in/once ]; then rm /run/stand-in/once; echo 'wg-quick: told to fail' >&2; exit 1; fi
PATH=/usr/bin exec wg-quick "$@"
`;
