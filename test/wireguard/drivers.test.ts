import { existsSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { atOnce } from '../../platform/in-turns.ts';
import type { Driver, WantedPeer } from '../../wireguard/drivers/driver.ts';
import { parseDump } from '../../wireguard/drivers/dump.ts';
import { MemoryDriver } from '../../wireguard/drivers/memory.ts';
import { toolDriver } from '../../wireguard/drivers/tool.ts';
import { uapiDriver } from '../../wireguard/drivers/uapi.ts';
import { answerSteps, changeSteps, errnoOf } from '../../wireguard/drivers/uapi-text.ts';
import { generateKeyPair, keyToHex } from '../../wireguard/keys.ts';
import { type Argv, BackgroundProcess } from '../harness/background-process.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { tunnelObstacle } from '../harness/namespaces.ts';

const DEVICE = { privateKey: generateKeyPair().privateKey, listenPort: 0, fwMark: 0, obfuscation: {} };
const wanted = (change: Partial<WantedPeer> = {}): WantedPeer => ({
  publicKey: generateKeyPair().publicKey,
  presharedKey: null,
  allowedIPs: ['10.9.0.2/32', 'fd09::2/128'],
  endpoint: null,
  keepalive: 0,
  ...change,
});

/** What holds of every driver over an interface of its own. */
function contract(makeDriver: () => Driver): void {
  const shape = async (driver: Driver) =>
    [...(await driver.read()).peers.values()]
      .map(({ publicKey, presharedKey, allowedIPs, endpoint, keepalive }) => ({
        publicKey,
        presharedKey,
        allowedIPs,
        endpoint,
        keepalive,
      }))
      .sort((a, b) => (a.publicKey < b.publicKey ? -1 : 1));

  test('replace() makes the interface what is wanted, and what is not named is gone', async () => {
    const driver = makeDriver();
    const [one, two] = [wanted(), wanted({ allowedIPs: ['10.9.0.3/32'], endpoint: '192.0.2.1:51820', keepalive: 25 })];
    await driver.replace({ ...DEVICE, fwMark: 7 }, [wanted({ allowedIPs: ['10.9.0.9/32'] })]);
    await driver.replace({ ...DEVICE, fwMark: 0 }, [one, two]);
    const live = await driver.read();
    expect(live.privateKey).toBe(DEVICE.privateKey);
    expect(live.fwMark).toBe(0);
    expect(await shape(driver)).toEqual([one, two].sort((a, b) => (a.publicKey < b.publicKey ? -1 : 1)));
  });

  test('apply() sets and removes in one go, and leaves all others as they are', async () => {
    const driver = makeDriver();
    const [stays, goes, comes] = [
      wanted(),
      wanted({ allowedIPs: ['10.9.0.3/32'] }),
      wanted({ allowedIPs: ['10.9.0.4/32'] }),
    ];
    await driver.replace(DEVICE, [stays, goes]);
    await driver.apply({ set: [comes], remove: [goes.publicKey] });
    expect(await shape(driver)).toEqual([stays, comes].sort((a, b) => (a.publicKey < b.publicKey ? -1 : 1)));
  });

  test('apply() takes away what a peer no longer has: networks, preshared key, keepalive', async () => {
    const driver = makeDriver();
    const peer = wanted({ presharedKey: generateKeyPair().privateKey, keepalive: 25, endpoint: '192.0.2.1:51820' });
    await driver.replace(DEVICE, [peer]);
    expect(await shape(driver)).toEqual([peer]);
    await driver.apply({
      set: [{ ...peer, presharedKey: null, keepalive: 0, allowedIPs: ['10.9.0.7/32'], endpoint: null }],
      remove: [],
    });
    expect(await shape(driver)).toEqual([{ ...peer, presharedKey: null, keepalive: 0, allowedIPs: ['10.9.0.7/32'] }]);
  });

  test('a network goes to the peer that was given it last', async () => {
    const driver = makeDriver();
    const [first, second] = [wanted(), wanted()];
    await driver.replace(DEVICE, [first]);
    await driver.apply({ set: [second], remove: [] });
    const { peers } = await driver.read();
    expect(peers.get(first.publicKey)?.allowedIPs).toEqual([]);
    expect(peers.get(second.publicKey)?.allowedIPs).toEqual(second.allowedIPs);
  });

  test('an empty change and the removal of nobody are no errors', async () => {
    const driver = makeDriver();
    await driver.replace(DEVICE, []);
    await driver.apply({ set: [], remove: [] });
    await driver.apply({ set: [], remove: [generateKeyPair().publicKey] });
    expect(await shape(driver)).toEqual([]);
  });

  test('a thousand peers at once', async () => {
    const driver = makeDriver();
    const many = Array.from({ length: 1000 }, (_, at) =>
      wanted({ allowedIPs: [`10.${8 + (at >> 8)}.${at & 255}.1/32`] }),
    );
    await driver.replace(DEVICE, []);
    await driver.apply({ set: many, remove: [] });
    expect((await driver.read()).peers.size).toBe(1000);
    await driver.apply({ set: [], remove: many.map(({ publicKey }) => publicKey) });
    expect((await driver.read()).peers.size).toBe(0);
  });
}

describe('the memory driver', () => {
  contract(() => new MemoryDriver());

  test('says that the interface is down when it was destroyed', async () => {
    const driver = new MemoryDriver();
    driver.destroy();
    await expect(driver.read()).rejects.toMatchObject({ code: 'interface_down', status: 503 });
  });
});

describe.skipIf(tunnelObstacle() !== null)('on a real wireguard-go', () => {
  const cleanup = new Cleanup();
  const name = `lkd${process.pid % 1e6}`;
  const socket = `/var/run/wireguard/${name}.sock`;
  beforeAll(async () => {
    cleanup.add(socket, () => rmSync(socket, { force: true }));
    const argv: Argv = ['wireguard-go', '-f', name];
    const daemon = await BackgroundProcess.start(argv, {
      readyIf: () => existsSync(socket),
      env: { LOG_LEVEL: 'error' },
    });
    cleanup.add(name, () => daemon.stop());
  });
  afterAll(() => cleanup.run());

  describe('the driver of the control socket', () => contract(() => uapiDriver({ socket })));
  describe('the driver of wg', () => contract(() => toolDriver({ tool: 'wg', interface: name })));

  test('both read the same', async () => {
    const uapi = uapiDriver({ socket });
    await uapi.replace({ ...DEVICE, fwMark: 0x51 }, [
      wanted({ presharedKey: generateKeyPair().privateKey, keepalive: 15 }),
      wanted(),
    ]);
    expect(await toolDriver({ tool: 'wg', interface: name }).read()).toEqual(await uapi.read());
  });
});

describe('errors', () => {
  test('an interface that is not there is down, for either driver', async () => {
    await expect(uapiDriver({ socket: '/nonexistent/wg0.sock' }).read()).rejects.toMatchObject({
      code: 'interface_down',
    });
    await expect(toolDriver({ tool: 'wg', interface: 'lk-none' }).read()).rejects.toMatchObject({
      code: expect.stringMatching(/^(interface_down|driver_missing)$/),
    });
  });

  test('a tool that is not installed is named', async () => {
    await expect(
      toolDriver({ tool: 'awg', interface: 'awg0', inside: ['env', 'PATH=/nonexistent'] }).read(),
    ).rejects.toMatchObject({
      code: 'driver_failed',
    });
    await expect(toolDriver({ tool: 'nothing-like-wg' as 'wg', interface: 'wg0' }).read()).rejects.toMatchObject({
      code: 'driver_missing',
    });
  });

  test('a tool that hangs is given up', async () => {
    const hanging = toolDriver({
      tool: 'wg',
      interface: 'wg0',
      inside: ['sh', '-c', 'sleep 30', 'sh'],
      timeoutMs: 200,
    });
    await expect(hanging.read()).rejects.toMatchObject({ code: 'interface_down' });
  });

  describe('of a control socket', () => {
    const path = join(tmpdir(), `lk-uapi-${process.pid}.sock`);
    async function served(
      answer: (server: Server) => void,
      work: () => Promise<void>,
      said: string | null,
    ): Promise<void> {
      const server = createServer((line) => {
        line.on('error', () => undefined);
        if (said !== null) line.end(said);
      });
      answer(server);
      await new Promise<void>((done) => server.listen(path, done));
      try {
        await work();
      } finally {
        await new Promise((done) => {
          server.close(done);
          for (const line of lines) line.destroy();
        });
      }
    }
    const lines = new Set<{ destroy(): void }>();
    const keep = (server: Server): void => {
      server.on('connection', (line) => lines.add(line));
    };

    test('one that says nothing is given up', () =>
      served(
        keep,
        () =>
          expect(uapiDriver({ socket: path, timeoutMs: 100 }).read()).rejects.toMatchObject({ code: 'interface_down' }),
        null,
      ));
    test('one that is told of many peers is given longer than one that is told of few', () => {
      const slow = (server: Server): void => {
        server.on('connection', (line) => {
          lines.add(line);
          setTimeout(() => line.end('errno=0\n\n'), 300);
        });
      };
      const told = async (): Promise<void> => {
        const driver = uapiDriver({ socket: path, timeoutMs: 50 });
        const many = Array.from({ length: 2000 }, () => wanted());
        await driver.apply({ set: many, remove: [] });
        const few = driver.apply({ set: many.slice(0, 1), remove: [] });
        await expect(few).rejects.toMatchObject({ code: 'interface_down' });
      };
      return served(slow, told, null);
    });
    test('one that says nothing is given up at once by who stops', () =>
      served(
        keep,
        async () => {
          const driver = uapiDriver({ socket: path });
          const asked = [driver.read(), driver.apply({ set: [wanted()], remove: [] })];
          driver.abandon?.();
          for (const answer of await Promise.allSettled(asked)) {
            expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'interface_down' } });
          }
          await expect(driver.read()).rejects.toMatchObject({ code: 'interface_down' });
        },
        null,
      ));
    test('one that hangs up in the middle is down', () =>
      served(
        keep,
        () => expect(uapiDriver({ socket: path }).read()).rejects.toMatchObject({ code: 'interface_down' }),
        'private_key=00\n',
      ));
    test('one that refuses is quoted by its number', () =>
      served(
        keep,
        () =>
          expect(uapiDriver({ socket: path }).read()).rejects.toMatchObject({
            code: 'driver_failed',
            extra: { errno: 22 },
          }),
        'errno=-22\n\n',
      ));
    test('one that talks of something else is not understood', () =>
      served(
        keep,
        () => expect(uapiDriver({ socket: path }).read()).rejects.toMatchObject({ code: 'driver_failed' }),
        'listen_port=abc\nerrno=0\n\n',
      ));
  });
});

test('answerSteps() passes over what newer versions add', () => {
  const { privateKey, publicKey } = generateKeyPair();
  const text = `private_key=${keyToHex(privateKey)}\nlisten_port=1\njc=4\nrandom_trailers=true\npublic_key=${keyToHex(publicKey)}\nprotocol_version=1\nsomething_new=1\nlast_handshake_time_sec=1700000000\nlast_handshake_time_nsec=999999999\nallowed_ip=10.0.0.0/8\nerrno=0\n\n`;
  expect(errnoOf(text)).toBe(0);
  expect(atOnce(answerSteps(text)).peers.get(publicKey)).toMatchObject({
    lastHandshake: 1_700_000_000_999,
    allowedIPs: ['10.0.0.0/8'],
  });
});

test('changeSteps() removes before it sets, so that a network can change hands', () => {
  const [gone, peer] = [generateKeyPair().publicKey, wanted()];
  expect(atOnce(changeSteps({ set: [peer], remove: [gone] }))).toBe(
    `set=1\npublic_key=${keyToHex(gone)}\nremove=true\npublic_key=${keyToHex(peer.publicKey)}\npreshared_key=${'0'.repeat(64)}\npersistent_keepalive_interval=0\nreplace_allowed_ips=true\nallowed_ip=10.9.0.2/32\nallowed_ip=fd09::2/128\n\n`,
  );
});

test.each(['', 'x', 'k\tk\tabc\toff', `k\tk\t1\toff\n${'A'.repeat(43)}=\t(none)`])('parseDump() refuses %j', (text) => {
  expect(() => parseDump(text)).toThrowError(/not known/);
});
