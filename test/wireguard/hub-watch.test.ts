import { randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createLog } from '../../platform/log.ts';
import type { Store } from '../../platform/store.ts';
import { MemoryDriver } from '../../wireguard/drivers/memory.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { Hub } from '../../wireguard/hub/hub.ts';
import { HubWatch, restAfter } from '../../wireguard/hub/hub-watch.ts';
import { generateKeyPair } from '../../wireguard/keys.ts';
import type { Comparison } from '../../wireguard/reconcile/reconciler.ts';
import { insertInterface } from '../../wireguard/store/hub-interface.ts';
import type { HubDatabase } from '../../wireguard/store/schema.ts';
import { sqlitePlace, testInterface, testSeal } from './hub-store.ts';

const facts = testInterface();
const seal = testSeal();
let store: Store<HubDatabase>;
let close: () => Promise<void>;
let driver: MemoryDriver;
let now: number;
let compared: Comparison[] = [];
let strangers = 0;
let logged = '';
let watch: HubWatch;

function watchOf(policy: 'strict' | 'adopt'): HubWatch {
  // as the system does it: an interface that is gone is made again, empty
  const ensure = async (): Promise<void> => {
    await driver.read().catch(() => driver.create());
  };
  const parts = { store, seal, now: () => now, random: randomBytes, policy, onTrouble: () => undefined };
  const destination = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      logged += chunk.toString();
      done();
    },
  });
  return new HubWatch(new Hub(facts, driver, ensure, parts), {
    store,
    now: () => now,
    log: createLog({ level: 'warn', destination }),
    onComparison: (_, comparison) => compared.push(comparison),
    onForeign: (_, count) => {
      strangers += count;
    },
  });
}

beforeEach(async () => {
  ({ store, close } = await sqlitePlace().open());
  [now, compared, strangers, logged] = [1_700_000_000_000, [], 0, ''];
  driver = new MemoryDriver();
  await store.transaction((tx) => insertInterface(tx, facts, seal, now));
  watch = watchOf('strict');
  await watch.start();
  await watch.turn();
  compared = [];
});
afterEach(async () => {
  await watch.stop();
  await close();
});

const order = { name: 'phone', kind: 'device' } as const;
const stranger = { publicKey: generateKeyPair().publicKey, presharedKey: null, endpoint: null, keepalive: 0 };
const keys = async (): Promise<string[]> => [...(await driver.read()).peers.keys()];
const audited = async (): Promise<string[]> => {
  const rows = await store.read((db) => db.selectFrom('audit').select('body').orderBy('seq').execute());
  return rows.map(({ body }) => body).filter((body) => body.includes('foreign_peers_found'));
};

test('a look that shows nothing strange compares nothing, until a minute is over', async () => {
  now += 59_999;
  await watch.turn();
  expect(compared).toEqual([]);
  now += 1;
  await watch.turn();
  expect(compared).toMatchObject([{ outcome: 'settled' }]);
});

test.each([
  [1, 10_000],
  [100, 10_000],
  [150, 15_000],
  [9_000, 30_000],
])('an interface that takes %d ms to tell of itself is left alone for %d ms', (telling, rest) => {
  expect(restAfter(telling, 10_000)).toBe(rest);
});

test('a clock that went back does not put the comparison off', async () => {
  now -= 60_000;
  await watch.turn();
  expect(compared).toHaveLength(1);
});

test('an interface that is gone is made again by the look that misses it, and is seen to be there', async () => {
  const { peer } = await watch.hub.peers.create(order, COMMAND);
  driver.destroy();
  await watch.turn();
  expect(compared).toMatchObject([{ outcome: 'rebuilt', changed: 1 }]);
  expect(await keys()).toEqual([peer.publicKey]);
  expect(watch.last.live?.peers.size).toBe(1);
});

test('peers that come and go while the interface is looked at are nothing strange', async () => {
  const { peer: leaving } = await watch.hub.peers.create(order, COMMAND);
  const read = driver.read.bind(driver);
  vi.spyOn(driver, 'read').mockImplementationOnce(async () => {
    const live = await read();
    await watch.hub.peers.create(order, COMMAND);
    await watch.hub.peers.remove(leaving.id, COMMAND);
    return live;
  });
  await watch.turn();
  expect(compared).toEqual([]);
  expect(await keys()).toHaveLength(1);
});

test('what mended is compared once more by the next look', async () => {
  driver.destroy();
  for (let turn = 0; turn < 3; turn++) await watch.turn();
  expect(compared.map(({ outcome }) => outcome)).toEqual(['rebuilt', 'settled']);
});

test.each([
  ['made by another hub', async () => void (await insertByOther())],
  ['taken off by hand', async () => driver.apply({ set: [], remove: await keys() })],
])('a peer that was %s is put on by the next look', async (_, happen) => {
  const { peer } = await watch.hub.peers.create(order, COMMAND);
  await happen();
  await watch.turn();
  expect(compared).toMatchObject([{ outcome: 'changed', changed: 1 }]);
  expect(await keys()).toContain(peer.publicKey);
  const listed = await watch.hub.peers.list({}, null, 9);
  expect((await keys()).sort()).toEqual(listed.map(({ publicKey }) => publicKey).sort());
});

async function insertByOther(): Promise<void> {
  const other = new Hub(facts, new MemoryDriver(), async () => undefined, {
    ...{ store, seal, now: () => now, random: randomBytes, policy: 'strict' as const, onTrouble: () => undefined },
  });
  await other.peers.create(order, COMMAND);
}

test('an interface with another key, port or mark is put right by the next look', async () => {
  for (const change of [{ privateKey: generateKeyPair().privateKey }, { listenPort: 1 }, { fwMark: 7 }]) {
    const { privateKey, listenPort, fwMark } = facts;
    await driver.replace({ privateKey, listenPort, fwMark, obfuscation: {}, ...change }, []);
    await watch.turn();
    expect(compared.at(-1)).toMatchObject({ outcome: 'rebuilt' });
    expect(await driver.read()).toMatchObject({ privateKey, listenPort, fwMark });
    await watch.turn();
    compared = [];
  }
});

test('a stranger is taken off by the next look, and told of once each time that it comes', async () => {
  for (let time = 1; time <= 2; time++) {
    await driver.apply({ set: [{ ...stranger, allowedIPs: ['10.9.9.9/32'] }], remove: [] });
    await watch.turn();
    expect(compared.at(-1)).toMatchObject({ outcome: 'changed', foreign: [stranger.publicKey] });
    expect(await keys()).toEqual([]);
    await watch.turn();
    expect(strangers).toBe(time);
    expect(await audited()).toHaveLength(time);
  }
  expect((await audited())[0]).toContain(stranger.publicKey);
  expect(logged.match(/foreign peers were found/g)).toHaveLength(2);
});

test('a stranger that was adopted is told of once, and is no reason to compare again', async () => {
  await watch.stop();
  watch = watchOf('adopt');
  await driver.apply({ set: [{ ...stranger, allowedIPs: ['10.9.9.9/32'] }], remove: [] });
  await watch.start();
  for (let turn = 0; turn < 3; turn++) await watch.turn();
  expect(compared).toHaveLength(1);
  now += 60_000;
  await watch.turn();
  expect(compared).toHaveLength(2);
  expect(strangers).toBe(1);
  expect(await audited()).toHaveLength(1);
  expect(await keys()).toEqual([stranger.publicKey]);
  expect(watch.comparison?.foreign).toEqual([stranger.publicKey]);
});

test('a change that the interface could not be told of is on it after the next look', async () => {
  driver.apply = () => Promise.reject(new Error('x'));
  const { live, peer } = await watch.hub.peers.create(order, COMMAND);
  expect(live).toBe(false);
  expect(await keys()).toEqual([]);
  driver.apply = MemoryDriver.prototype.apply.bind(driver);
  await watch.turn();
  expect(await keys()).toEqual([peer.publicKey]);
});

test('a peer whose time is over leaves with the comparison', async () => {
  const { peer } = await watch.hub.peers.create({ ...order, expiresAt: now + 30_000 }, COMMAND);
  now += 60_000;
  await watch.turn();
  expect(await watch.hub.peers.get(peer.id)).toBeNull();
  expect(await keys()).toEqual([]);
});

test('what the interface shows is known while the database does not take it down', async () => {
  const { transaction } = store;
  const { peer } = await watch.hub.peers.create(order, COMMAND);
  driver.heard(peer.publicKey, { endpoint: null, lastHandshake: now, rx: 1, tx: 1 });
  store.transaction = () => Promise.reject(new Error('the disk is full'));
  await watch.turn();
  expect(watch.last.live?.peers.get(peer.publicKey)?.rx).toBe(1);
  expect(logged).toContain('handshakes were not written down');
  store.transaction = transaction;
  await watch.turn();
  expect(await watch.hub.peers.get(peer.id)).toMatchObject({ status: 'active', rx: 1 });
});

test('a stop gives up what hangs', async () => {
  let giveUp = (_: Error): void => undefined;
  driver.read = () =>
    new Promise((_, reject) => {
      giveUp = reject;
    });
  Object.assign(driver, { abandon: () => giveUp(new Error('given up')) });
  const turning = watch.turn();
  await watch.stop();
  await turning;
  expect(compared).toEqual([]);
});

test('the next look begins ten seconds after the last one ended, however long that took, and none after a stop', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  try {
    const timed = watchOf('strict');
    await timed.start();
    const held: (() => void)[] = [];
    let looks = 0;
    const read = driver.read.bind(driver);
    driver.read = async () => {
      looks++;
      await new Promise<void>((resolve) => held.push(resolve));
      return read();
    };
    const pass = async (ms: number): Promise<number> => {
      vi.advanceTimersByTime(ms);
      await settle();
      return looks;
    };
    expect(await pass(9_999)).toBe(0);
    expect(await pass(1)).toBe(1);
    expect(await pass(100_000)).toBe(1);
    held.pop()?.(); // the look, which was the second of this interface and not yet settled
    await settle();
    held.pop()?.(); // and the comparison that follows
    await settle();
    const before = looks;
    expect(await pass(9_999)).toBe(before);
    expect(await pass(1)).toBe(before + 1);
    held.pop()?.();
    await settle();
    await timed.stop();
    expect(await pass(100_000)).toBe(before + 1);
  } finally {
    vi.useRealTimers();
  }
});
