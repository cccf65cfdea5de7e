import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LatchkeyError } from '../../platform/errors.ts';
import type { Driver, LiveInterface, WantedPeer } from '../../wireguard/drivers/driver.ts';
import { MemoryDriver } from '../../wireguard/drivers/memory.ts';
import { generateKeyPair, type WireGuardKey } from '../../wireguard/keys.ts';
import { ACTIVE_MS, INACTIVE_MS, statusAfter } from '../../wireguard/peers/peer-status.ts';
import { trafficAfter } from '../../wireguard/peers/traffic.ts';
import { differenceOf, type ForeignPolicy } from '../../wireguard/reconcile/difference.ts';
import { Reconciler } from '../../wireguard/reconcile/reconciler.ts';

const DEVICE = { privateKey: generateKeyPair().privateKey, listenPort: 51820, fwMark: 0, obfuscation: {} };
let number = 1;
const wanted = (change: Partial<WantedPeer> = {}): WantedPeer => ({
  publicKey: generateKeyPair().publicKey,
  presharedKey: null,
  allowedIPs: [`10.0.${++number >> 8}.${number & 255}/32`],
  endpoint: null,
  keepalive: 0,
  ...change,
});

const NONE = { device: false, change: { set: [], remove: [] }, foreign: [] };
const STRICT = { policy: 'strict', retired: new Set<WireGuardKey>() } as const;

describe('differenceOf()', () => {
  const live = (peers: readonly WantedPeer[], change: Partial<LiveInterface> = {}): LiveInterface => ({
    ...DEVICE,
    peers: new Map(peers.map((peer) => [peer.publicKey, { ...peer, lastHandshake: null, rx: 0, tx: 0 }])),
    ...change,
  });
  const byKey = (...peers: readonly WantedPeer[]) => new Map(peers.map((peer) => [peer.publicKey, peer]));

  test('is none between equals, whatever the order of networks and wherever a peer has roamed', () => {
    const peer = wanted({ allowedIPs: ['10.0.0.9/32', '10.0.0.10/32'] });
    const runs = live([{ ...peer, allowedIPs: ['10.0.0.10/32', '10.0.0.9/32'], endpoint: '192.0.2.7:4242' }]);
    expect(differenceOf(DEVICE, byKey(peer), runs, STRICT)).toEqual(NONE);
  });

  test.each([
    ['networks', { allowedIPs: ['10.9.9.9/32'] }],
    ['a preshared key', { presharedKey: generateKeyPair().privateKey }],
    ['a keepalive', { keepalive: 25 }],
  ])('sets a peer with other %s, and only that one', (_, change) => {
    const [same, other] = [wanted(), wanted()];
    const found = differenceOf(DEVICE, byKey(same, { ...other, ...change }), live([same, other]), STRICT);
    expect(found.change).toEqual({ set: [{ ...other, ...change }], remove: [] });
  });

  test('takes a foreign peer off, or by policy only tells of it', () => {
    const [own, foreign] = [wanted(), wanted()];
    const strict = differenceOf(DEVICE, byKey(own), live([own, foreign]), STRICT);
    expect(strict.change.remove).toEqual([foreign.publicKey]);
    const adopting = differenceOf(DEVICE, byKey(own), live([own, foreign]), { ...STRICT, policy: 'adopt' });
    expect(adopting).toEqual({ ...NONE, foreign: [foreign.publicKey] });
  });

  test('takes off who was switched off or removed, by either policy, and calls nobody foreign for it', () => {
    const [own, removed, foreign] = [wanted(), wanted(), wanted()];
    const retired = new Set([removed.publicKey]);
    const runs = live([own, removed, foreign]);
    const adopting = differenceOf(DEVICE, byKey(own), runs, { policy: 'adopt', retired });
    expect(adopting).toMatchObject({ change: { remove: [removed.publicKey] }, foreign: [foreign.publicKey] });
    const strict = differenceOf(DEVICE, byKey(own), runs, { policy: 'strict', retired });
    expect(strict).toMatchObject({
      change: { remove: [removed.publicKey, foreign.publicKey] },
      foreign: [foreign.publicKey],
    });
  });

  test.each([
    ['private key', { privateKey: generateKeyPair().privateKey }],
    ['private key at all', { privateKey: null }],
    ['port', { listenPort: 1 }],
    ['mark', { fwMark: 9 }],
  ])('sees that the interface has another %s', (_, change) => {
    expect(differenceOf(DEVICE, byKey(), live([], change), STRICT).device).toBe(true);
  });
});

describe('a reconciler', () => {
  const store = new Map<WireGuardKey, WantedPeer>();
  let driver: MemoryDriver;
  let failure: LatchkeyError | null;
  let reconciler: Reconciler;
  const retired = new Set<WireGuardKey>();
  /** What the driver was told to set, in order. */
  let told: WantedPeer[] = [];
  let running = 0;
  let most = 0;
  let ensured = 0;
  /** What an answer of the interface waits for on its way. */
  let line: Promise<void> | null = null;

  function watched(inner: MemoryDriver): Driver {
    const one = async <T>(work: () => Promise<T>): Promise<T> => {
      most = Math.max(most, ++running);
      try {
        await new Promise((done) => setImmediate(done));
        if (failure !== null) throw failure;
        return await work();
      } finally {
        running--;
      }
    };
    return {
      name: 'memory',
      read: async () => {
        if (failure !== null) throw failure;
        const live = await inner.read();
        await line;
        return live;
      },
      apply: (change) => {
        told.push(...change.set);
        return one(() => inner.apply(change));
      },
      replace: (device, peers) => {
        told.push(...peers);
        return one(() => inner.replace(device, peers));
      },
    };
  }

  function reconcilerOf(policy: ForeignPolicy): Reconciler {
    return new Reconciler({
      desired: {
        device: () => Promise.resolve(DEVICE),
        peers: () => Promise.resolve(new Map(store)),
        some: (keys) => Promise.resolve(new Map([...store].filter(([key]) => keys.includes(key)))),
        retired: (keys) => Promise.resolve(new Set(keys.filter((key) => retired.has(key)))),
      },
      driver: watched(driver),
      policy,
      ensure: () => {
        ensured++;
        return Promise.resolve();
      },
    });
  }

  beforeEach(async () => {
    store.clear();
    driver = new MemoryDriver();
    [failure, running, most, ensured] = [null, 0, 0, 0];
    line = null;
    retired.clear();
    reconciler = reconcilerOf('strict');
    await reconciler.rebuild();
    driver.changes = 0;
    told = [];
  });
  afterEach(() => expect(most).toBeLessThanOrEqual(1));

  const keys = async (): Promise<string[]> => [...(await driver.read()).peers.keys()].sort();
  const stored = (): string[] => [...store.keys()].sort();
  function put(peer = wanted()): WantedPeer {
    store.set(peer.publicKey, peer);
    return peer;
  }

  test('carries a change to the interface before it says so', async () => {
    const { publicKey } = put();
    await reconciler.touch([publicKey]);
    expect(await keys()).toEqual([publicKey]);
    store.delete(publicKey);
    await reconciler.touch([publicKey]);
    expect(await keys()).toEqual([]);
  });

  test('carries out together what came while it was busy', async () => {
    const many = Array.from({ length: 100 }, () => put().publicKey);
    await Promise.all(many.map((key) => reconciler.touch([key])));
    expect(await keys()).toEqual(stored());
    expect(driver.changes).toBeLessThanOrEqual(2);
  });

  test('goes by the store and not by the order in which it is told', async () => {
    const { publicKey } = put();
    const first = reconciler.touch([publicKey]);
    store.delete(publicKey); // a second commit, told before the first was carried out
    await Promise.all([first, reconciler.touch([publicKey])]);
    expect(await keys()).toEqual([]);
  });

  test('carries changes out beside a whole comparison, which leaves alone what they were about', async () => {
    const [, leaving] = [put(), put(wanted({ endpoint: '192.0.2.7:4242' }))];
    await reconciler.compare();
    driver.changes = 0;
    let arrive = (): void => undefined;
    line = new Promise((resolve) => {
      arrive = resolve;
    });
    const comparison = reconciler.compare();
    await new Promise((done) => setImmediate(done)); // what it will see is of now
    const { publicKey } = put();
    await reconciler.touch([publicKey]);
    store.delete(leaving.publicKey);
    await reconciler.touch([leaving.publicKey]);
    arrive();
    expect(await comparison).toEqual({ outcome: 'settled', changed: 0, foreign: [] });
    expect(await keys()).toEqual(stored());
    expect(driver.changes).toBe(2);
    store.set(leaving.publicKey, leaving);
    told = [];
    await reconciler.touch([leaving.publicKey]);
    expect(told[0]).toMatchObject({ keepalive: 25 }); // it knows that this one had gone
  });

  test('mends beside changes what they are not about', async () => {
    const lost = put();
    await reconciler.compare();
    await driver.apply({ set: [], remove: [lost.publicKey] });
    let arrive = (): void => undefined;
    line = new Promise((resolve) => {
      arrive = resolve;
    });
    const comparison = reconciler.compare();
    await reconciler.touch([put().publicKey]);
    arrive();
    expect(await comparison).toMatchObject({ outcome: 'changed', changed: 1 });
    expect(await keys()).toEqual(stored());
  });

  test('is not settled by a comparison beside which a change failed', async () => {
    let arrive = (): void => undefined;
    line = new Promise((resolve) => {
      arrive = resolve;
    });
    const comparison = reconciler.compare();
    await new Promise((done) => setImmediate(done));
    failure = new LatchkeyError('interface_down', 'x');
    const { publicKey } = put();
    await expect(reconciler.touch([publicKey])).rejects.toThrowError();
    failure = null;
    arrive();
    expect(await comparison).toMatchObject({ outcome: 'settled' });
    expect(reconciler.isSettled).toBe(false);
    expect(await reconciler.compare()).toMatchObject({ outcome: 'changed', changed: 1 });
    expect(await keys()).toEqual([publicKey]);
  });

  test('tells whoever made a change that failed, and heals with the next comparison', async () => {
    const { publicKey } = put();
    failure = new LatchkeyError('interface_down', 'x');
    await expect(reconciler.touch([publicKey])).rejects.toMatchObject({ code: 'interface_down' });
    failure = null;
    expect(await reconciler.compare()).toMatchObject({ outcome: 'changed', changed: 1 });
    expect(await keys()).toEqual([publicKey]);
    expect(await reconciler.compare()).toMatchObject({ outcome: 'settled' });
  });

  test('goes on after a failure', async () => {
    failure = new LatchkeyError('driver_failed', 'x');
    await expect(reconciler.touch([put().publicKey])).rejects.toThrowError();
    failure = null;
    const { publicKey } = put();
    await reconciler.touch([publicKey]);
    expect(await keys()).toContain(publicKey);
  });

  test('takes off who was added by hand, and tells of it', async () => {
    put();
    await reconciler.compare();
    const foreign = wanted();
    await driver.apply({ set: [foreign], remove: [] });
    expect(await reconciler.compare()).toMatchObject({ outcome: 'changed', foreign: [foreign.publicKey] });
    expect(await keys()).toEqual(stored());
  });

  test('sets an interface anew that was made again behind its back', async () => {
    for (let i = 0; i < 20; i++) put();
    await reconciler.compare();
    driver.destroy();
    driver.create();
    expect(await reconciler.compare()).toMatchObject({ outcome: 'rebuilt', changed: 20 });
    expect(await keys()).toEqual(stored());
    expect(ensured).toBeGreaterThan(0);
  });

  /** By a keepalive for a moment, which makes it begin a handshake. */
  const called = (peer: WantedPeer): Partial<WantedPeer>[] => [
    { publicKey: peer.publicKey, endpoint: peer.endpoint, keepalive: 25 },
    { publicKey: peer.publicKey, endpoint: null, keepalive: 0 },
  ];

  test('calls every peer whose place is known when the interface was made anew', async () => {
    const known = put(wanted({ endpoint: '192.0.2.7:4242' }));
    driver.destroy();
    driver.create();
    await reconciler.compare();
    expect(told).toMatchObject(called(known));
    expect((await driver.read()).peers.get(known.publicKey)).toMatchObject({ keepalive: 0, endpoint: known.endpoint });
  });

  test('calls a peer that comes back to the interface, and leaves to roam who is on it', async () => {
    const known = put(wanted({ endpoint: '192.0.2.7:4242' }));
    await reconciler.compare();
    expect(told).toMatchObject(called(known));
    told = [];
    await reconciler.touch([known.publicKey]);
    expect(told).toMatchObject([{ endpoint: null, keepalive: 0 }]);
    store.delete(known.publicKey);
    await reconciler.touch([known.publicKey]);
    store.set(known.publicKey, known);
    told = [];
    await reconciler.touch([known.publicKey]);
    expect(told).toMatchObject(called(known));
  });

  test('calls nobody by a change after one that failed: where peers are by now, only the interface knows', async () => {
    const known = put(wanted({ endpoint: '192.0.2.7:4242' }));
    failure = new LatchkeyError('interface_down', 'x');
    await expect(reconciler.touch([known.publicKey])).rejects.toThrowError();
    failure = null;
    told = [];
    await reconciler.touch([known.publicKey]);
    expect(told).toMatchObject([{ endpoint: null, keepalive: 0 }]);
  });

  test('is settled when a comparison found nothing, and not after one that mended or failed', async () => {
    expect(reconciler.isSettled).toBe(false);
    await reconciler.compare();
    expect(reconciler.isSettled).toBe(true);
    await driver.apply({ set: [wanted()], remove: [] });
    await reconciler.compare();
    expect(reconciler.isSettled).toBe(false);
    await reconciler.compare();
    expect(reconciler.isSettled).toBe(true);
    failure = new LatchkeyError('interface_down', 'x');
    await expect(reconciler.touch([put().publicKey])).rejects.toThrowError();
    expect(reconciler.isSettled).toBe(false);
  });

  test('that adopts keeps strangers when it has to set the interface anew, and takes off whom it knows', async () => {
    const [foreign, removed] = [wanted({ endpoint: '192.0.2.9:1' }), wanted()];
    await driver.replace({ ...DEVICE, listenPort: 1 }, [foreign, removed]);
    retired.add(removed.publicKey);
    const own = put();
    const adopting = reconcilerOf('adopt');
    expect(await adopting.compare()).toMatchObject({ outcome: 'rebuilt', foreign: [foreign.publicKey] });
    const { peers, listenPort } = await driver.read();
    expect([...peers.keys()].sort()).toEqual([foreign.publicKey, own.publicKey].sort());
    expect(peers.get(foreign.publicKey)).toMatchObject({ endpoint: '192.0.2.9:1', allowedIPs: foreign.allowedIPs });
    expect(listenPort).toBe(DEVICE.listenPort);
    expect(await adopting.compare()).toMatchObject({ outcome: 'settled', foreign: [foreign.publicKey] });
  });

  test('gives a network back to its peer that was given to another by hand', async () => {
    const [victim, thief] = [put(), put()];
    await reconciler.compare();
    await driver.apply({
      set: [{ ...thief, allowedIPs: [...thief.allowedIPs, ...victim.allowedIPs] }],
      remove: [],
    });
    expect(await reconciler.compare()).toMatchObject({ outcome: 'changed', changed: 2 });
    expect((await driver.read()).peers.get(victim.publicKey)?.allowedIPs).toEqual(victim.allowedIPs);
    expect((await driver.read()).peers.get(thief.publicKey)?.allowedIPs).toEqual(thief.allowedIPs);
  });

  test('refuses to give one network to two peers', async () => {
    put(wanted({ allowedIPs: ['10.7.0.1/32'] }));
    put(wanted({ allowedIPs: ['10.7.0.1/32'] }));
    await expect(reconciler.rebuild()).rejects.toMatchObject({ code: 'networks_shared' });
  });
});

describe('statusAfter()', () => {
  const NOW = 1_700_000_000_000;
  test.each([
    ['pending', null, 'pending'],
    ['inactive', null, 'inactive'],
    ['pending', ACTIVE_MS - 1, 'active'],
    ['pending', ACTIVE_MS, 'pending'],
    ['active', ACTIVE_MS, 'active'],
    ['active', INACTIVE_MS - 1, 'active'],
    ['inactive', INACTIVE_MS - 1, 'inactive'],
    ['active', INACTIVE_MS, 'inactive'],
    ['pending', INACTIVE_MS, 'inactive'],
    ['inactive', ACTIVE_MS - 1, 'active'],
    ['disabled', 0, 'disabled'],
    ['deleted', 0, 'deleted'],
  ] as const)('%s with a handshake %s ms ago is %s', (before, age, after) => {
    expect(statusAfter(before, age === null ? null : NOW - age, NOW)).toBe(after);
  });
});

test('totals survive an interface that begins at zero again', () => {
  let traffic = { rx: 0, tx: 0, seenRx: 0, seenTx: 0 };
  for (const [rx, tx] of [
    [100, 10],
    [150, 10],
    [20, 5],
    [20, 5],
  ] as const)
    traffic = trafficAfter(traffic, { rx, tx });
  expect(traffic).toEqual({ rx: 170, tx: 15, seenRx: 20, seenTx: 5 });
});
