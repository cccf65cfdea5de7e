import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PairEnd } from '../../../wireguard/pair/pair-end.ts';
import { BackgroundProcess } from '../../harness/background-process.ts';
import type { InstallerMachine } from '../../harness/installer-machine.ts';
import { PairScene, pairObstacle } from './pair-scene.ts';

const obstacle = pairObstacle();
const COMMON = { interface: 'latchkey', network: '10.71.203.0/30' };
const [HOME, SERVER, LAN] = ['10.71.203.1', '10.71.203.2', '10.206.0.2'];
const TABLE = 'latchkey_pair_latchkey';

describe.skipIf(obstacle !== null)(`what a server may ask at home${obstacle === null ? '' : ` (${obstacle})`}`, () => {
  let scene: PairScene;
  let home: InstallerMachine;
  let server: InstallerMachine;
  let atHome: PairEnd;
  let onServer: PairEnd;
  let before: readonly [string[], string[]];
  const listeners: BackgroundProcess[] = [];

  /** True when something answers at the address and port, within a second. */
  const reached = async (from: InstallerMachine, address: string, port: number): Promise<boolean> => {
    const { exit } = await from.run(`busybox nc -w 1 ${address} ${port} </dev/null >/dev/null 2>&1\n`);
    return exit === 0;
  };

  beforeAll(async () => {
    scene = await PairScene.build();
    home = scene.home.machine;
    server = scene.server.machine;
    before = await scene.state();
    const endpoint = { host: server.machine.address, port: 51_820 };
    const own = { ...COMMON, ownAddress: HOME, otherAddress: SERVER, listen: null, endpoint, serves: 8443 };
    const other = { ...COMMON, ownAddress: SERVER, otherAddress: HOME, listen: 51_820, endpoint: null, serves: null };
    atHome = new PairEnd(scene.home.transport, 'linux', own);
    onServer = new PairEnd(scene.server.transport, 'linux', other);
    const [homeKey, serverKey] = [await atHome.key(), await onServer.key()];
    await onServer.up(homeKey);
    await atHome.up(serverKey);
    expect(await atHome.hears(30)).toBe(true);
    const text = `let left = 2; for (const port of [22, 8443]) {
      net.createServer((one) => one.on('error', () => undefined).end('x')).listen(port, () => --left || console.log('open'));
    }`;
    for (const machine of [home, server]) {
      const argv = machine.inside([process.execPath, '-e', text]);
      listeners.push(await BackgroundProcess.start(argv, { readyWhen: /^open$/m }));
    }
    // what somebody does who has come to own the server: the network at home goes through the tunnel too
    const peer = (await server.command('wg', 'show', 'latchkey', 'peers')).trim();
    await server.command('wg', 'set', 'latchkey', 'peer', peer, 'allowed-ips', `${HOME}/32,10.206.0.0/24`);
    await server.command('ip', 'route', 'add', '10.206.0.0/24', 'dev', 'latchkey');
    await home.command('sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward');
  });
  afterAll(async () => {
    for (const one of listeners) await one.stop();
    await scene.end();
  });

  test('is the key server, and ping', async () => {
    expect((await atHome.look()).guard).toBe('in-force');
    expect((await onServer.look()).guard).toBe('none');
    await expect.poll(() => reached(server, HOME, 8443), { timeout: 15_000 }).toBe(true);
    await expect.poll(async () => (await server.run(`ping -c 1 -W 1 ${HOME}\n`)).exit, { timeout: 15_000 }).toBe(0);
  });

  test.each([
    ['its sshd', HOME, 22],
    ['its sshd, by its address in the network at home', LAN, 22],
    ['what has the port of the key server there', LAN, 8443],
    ['the port of the key server on another machine there', '10.206.0.1', 8443],
  ])('is not %s', async (_, address, port) => {
    expect(await reached(server, address, port)).toBe(false);
  });

  test('says nothing of what home asks of the server', async () => {
    await expect.poll(() => reached(home, SERVER, 22), { timeout: 15_000 }).toBe(true);
  });

  test('is so again within a minute when somebody had nft forget it', async () => {
    await home.command('nft', 'flush', 'ruleset');
    await expect.poll(() => reached(server, HOME, 22), { timeout: 15_000 }).toBe(true);
    expect((await atHome.look()).guard).toBe('absent');
    await home.command('sh', '/usr/local/lib/latchkey/keep-latchkey');
    expect((await atHome.look()).guard).toBe('in-force');
    expect(await reached(server, HOME, 22)).toBe(false);
  });

  test('is gone with the tunnel, and nothing of it is left', async () => {
    await atHome.down();
    await onServer.down();
    expect(await home.command('nft', 'list', 'tables')).not.toContain(TABLE);
    for (const one of listeners) await one.stop();
    expect(await scene.state()).toEqual(before);
  });
});

describe.skipIf(obstacle !== null)('a file of that name that is not ours', () => {
  test('is left alone, and nothing is begun', async () => {
    const scene = await PairScene.build();
    try {
      scene.home.machine.write('/etc/wireguard/latchkey.nft', 'table inet mine {}\n');
      const before = await scene.state();
      const values = {
        ...COMMON,
        ownAddress: HOME,
        otherAddress: SERVER,
        listen: 51_820,
        endpoint: null,
        serves: 8443,
      };
      const end = new PairEnd(scene.home.transport, 'linux', values);
      await expect(end.key()).rejects.toMatchObject({ code: 'pair_conf_foreign', exit: 3 });
      expect(await scene.state()).toEqual(before);
    } finally {
      await scene.end();
    }
  });
});
