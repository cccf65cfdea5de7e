import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LatchkeyError } from '../../platform/errors.ts';
import type { Store } from '../../platform/store.ts';
import { MemoryDriver } from '../../wireguard/drivers/memory.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { HandshakeTracker } from '../../wireguard/hub/handshake-tracker.ts';
import { Hub, type HubParts } from '../../wireguard/hub/hub.ts';
import { generateKeyPair, publicKeyOf } from '../../wireguard/keys.ts';
import { insertInterface } from '../../wireguard/store/hub-interface.ts';
import { retiredPeers } from '../../wireguard/store/retired-peers.ts';
import type { HubDatabase } from '../../wireguard/store/schema.ts';
import { sqlitePlace, testInterface, testSeal } from './hub-store.ts';

const START = 1_700_000_000_000;
const facts = testInterface();
const seal = testSeal();
let store: Store<HubDatabase>;
let close: () => Promise<void>;
let driver: MemoryDriver;
let hub: Hub;
let now = START;
const troubles: unknown[] = [];

beforeEach(async () => {
  ({ store, close } = await sqlitePlace().open());
  now = START;
  troubles.length = 0;
  driver = new MemoryDriver();
  await store.transaction((tx) => insertInterface(tx, facts, seal, now));
  const ensure = (): Promise<void> => Promise.resolve();
  hub = new Hub(facts, driver, ensure, parts());
  await hub.reconciler.rebuild();
});
afterEach(() => close());

function parts(): HubParts {
  return {
    store,
    seal,
    now: () => now,
    random: randomBytes,
    policy: 'strict',
    onTrouble: (error) => troubles.push(error),
    patience: 50,
  };
}

const live = async () => [...(await driver.read()).peers.values()];
const order = { name: 'phone', kind: 'device' } as const;

test('a peer is on the interface before its maker hears of it, with the keys that only the maker is told', async () => {
  const made = await hub.peers.create({ ...order, presharedKey: true }, COMMAND);
  expect(made.live).toBe(true);
  expect(publicKeyOf(made.privateKey ?? '')).toBe(made.peer.publicKey);
  expect(await live()).toMatchObject([
    { publicKey: made.peer.publicKey, presharedKey: made.presharedKey, allowedIPs: [...made.peer.addresses].sort() },
  ]);
  const rows = JSON.stringify(await store.read((db) => db.selectFrom('peer').selectAll().execute()));
  expect(rows).not.toContain(made.privateKey);
  expect(rows).not.toContain(made.presharedKey);
});

test('a key of the peer’s own is taken, and no private one is made', async () => {
  const { publicKey } = generateKeyPair();
  expect(await hub.peers.create({ ...order, publicKey }, COMMAND)).toMatchObject({
    privateKey: null,
    peer: { publicKey },
  });
});

test.each([
  ['no key', 'abc', 'invalid_key'],
  ['a point of low order', Buffer.alloc(32).toString('base64'), 'invalid_key'],
  ['the hub’s own', facts.publicKey, 'invalid_key'],
])('refuses %s as a public key, and changes nothing', async (_, publicKey, code) => {
  await expect(hub.peers.create({ ...order, publicKey }, COMMAND)).rejects.toMatchObject({ code });
  expect(await live()).toEqual([]);
  expect(await hub.peers.list({}, null, 10)).toEqual([]);
});

test('what is removed or switched off leaves the interface, and switched on it is back', async () => {
  const [one, two] = [(await hub.peers.create(order, COMMAND)).peer, (await hub.peers.create(order, COMMAND)).peer];
  await hub.peers.switch(one.id, false, COMMAND);
  expect((await live()).map(({ publicKey }) => publicKey)).toEqual([two.publicKey]);
  await hub.peers.switch(one.id, true, COMMAND);
  expect(await live()).toHaveLength(2);
  await hub.peers.remove(two.id, COMMAND);
  expect((await live()).map(({ publicKey }) => publicKey)).toEqual([one.publicKey]);
  expect(await hub.peers.find(two.publicKey)).toBeNull();
});

test('while the interface is down peers are made all the same, and are on it after the next comparison', async () => {
  driver.destroy();
  const made = await hub.peers.create(order, COMMAND);
  expect(made.live).toBe(false);
  expect(troubles).toHaveLength(1);
  driver.create();
  await hub.reconciler.compare();
  expect((await live()).map(({ publicKey }) => publicKey)).toEqual([made.peer.publicKey]);
});

test('a change waits for an interface that hangs no longer than it has patience, and is carried out when it goes on', async () => {
  let goOn = (): void => undefined;
  const apply = driver.apply.bind(driver);
  driver.apply = async (change) => {
    await new Promise<void>((resolve) => {
      goOn = resolve;
    });
    await apply(change);
  };
  const made = await hub.peers.create(order, COMMAND);
  expect(made).toMatchObject({ live: false, peer: { status: 'pending' } });
  expect(made.privateKey).not.toBeNull();
  expect(await live()).toEqual([]);
  goOn();
  await vi.waitFor(async () => expect(await live()).toHaveLength(1));
  expect(troubles).toEqual([]);
});

test('whoever made a change is not told that it failed when the store cannot be read after it was committed', async () => {
  const read = store.read.bind(store);
  store.read = () => Promise.reject(new LatchkeyError('store_unreachable', 'x', { status: 503 }));
  const made = await hub.peers.create(order, COMMAND);
  expect(made.live).toBe(false);
  expect(troubles).toMatchObject([{ code: 'store_unreachable' }]);
  store.read = read;
  expect((await hub.peers.find(made.peer.publicKey))?.id).toBe(made.peer.id);
  await hub.compare();
  expect(await live()).toHaveLength(1);
});

test('a hub that starts leaves an interface as it is that runs on from its last life, and sets an obfuscated one anew', async () => {
  await hub.peers.create(order, COMMAND);
  const before = driver.changes;
  expect(await hub.begin()).toMatchObject({ outcome: 'settled' });
  expect(driver.changes).toBe(before);
  const other = new Hub(
    { ...facts, obfuscation: { Jc: 4, Jmin: 8, Jmax: 80 } },
    driver,
    async () => undefined,
    parts(),
  );
  expect(await other.begin()).toMatchObject({ outcome: 'rebuilt', changed: 1 });
});

test('peers that were switched off or removed are retired, those that came back under their key are not', async () => {
  const { publicKey } = generateKeyPair();
  const [off, gone] = [(await hub.peers.create(order, COMMAND)).peer, (await hub.peers.create(order, COMMAND)).peer];
  const before = (await hub.peers.create({ ...order, publicKey }, COMMAND)).peer;
  await hub.peers.switch(off.id, false, COMMAND);
  for (const { id } of [gone, before]) await hub.peers.remove(id, COMMAND);
  await hub.peers.create({ ...order, publicKey }, COMMAND);
  const keys = [off.publicKey, gone.publicKey, publicKey, generateKeyPair().publicKey];
  expect(await store.read((db) => retiredPeers(db, 'wg0', keys))).toEqual(new Set([off.publicKey, gone.publicKey]));
});

test('a hub that dies between commit and interface is healed by the next one', async () => {
  const made = await hub.peers.create(order, COMMAND);
  await driver.apply({ set: [], remove: [made.peer.publicKey] }); // as if it had never been told
  const next = new Hub(facts, driver, () => Promise.resolve(), parts());
  await next.reconciler.rebuild();
  expect((await live()).map(({ publicKey }) => publicKey)).toEqual([made.peer.publicKey]);
});

test('handshakes make a peer active, and silence inactive; totals outlive the interface', async () => {
  const { peer } = await hub.peers.create(order, COMMAND);
  const tracker = new HandshakeTracker(store, 'wg0');
  const look = async () => tracker.take(await driver.read(), now);
  const shown = async () => (await hub.peers.list({}, null, 1))[0];
  expect(await look()).toEqual({ changed: 0, became: [], missing: [], unwanted: [] });
  driver.heard(peer.publicKey, { endpoint: '192.0.2.7:4242', lastHandshake: START, rx: 1000, tx: 500 });
  now = START + 60_000;
  expect(await look()).toMatchObject({ became: [{ before: 'pending', after: 'active' }] });
  expect(await shown()).toMatchObject({
    status: 'active',
    endpoint: '192.0.2.7:4242',
    rx: 1000,
    tx: 500,
    lastHandshake: START,
  });
  expect(await look()).toEqual({ changed: 0, became: [], missing: [], unwanted: [] });
  driver.destroy();
  driver.create();
  await hub.reconciler.compare();
  driver.heard(peer.publicKey, { endpoint: null, lastHandshake: null, rx: 10, tx: 0 });
  now = START + 5 * 60_000;
  expect(await look()).toMatchObject({ became: [{ before: 'active', after: 'inactive' }] });
  expect(await shown()).toMatchObject({
    status: 'inactive',
    endpoint: '192.0.2.7:4242',
    rx: 1010,
    tx: 500,
    lastHandshake: START,
  });
});

test('two hubs on one database count what went through their own interface once, and the last that heard a peer says where it is', async () => {
  const { peer } = await hub.peers.create(order, COMMAND);
  const [here, there] = [new HandshakeTracker(store, 'wg0'), new HandshakeTracker(store, 'wg0')];
  const elsewhere = new MemoryDriver();
  await elsewhere.apply({ set: [{ ...peer, presharedKey: null, allowedIPs: peer.addresses }], remove: [] });
  driver.heard(peer.publicKey, { endpoint: '192.0.2.7:4242', lastHandshake: START, rx: 1000, tx: 500 });
  const shown = async () => (await hub.peers.list({}, null, 1))[0];
  for (let round = 0; round < 3; round++) {
    await here.take(await driver.read(), now);
    await there.take(await elsewhere.read(), now);
  }
  expect(await shown()).toMatchObject({ rx: 1000, tx: 500, endpoint: '192.0.2.7:4242' });
  elsewhere.heard(peer.publicKey, { endpoint: '192.0.2.8:1', lastHandshake: START + 1, rx: 10, tx: 5 });
  driver.heard(peer.publicKey, { endpoint: '192.0.2.7:4242', lastHandshake: START, rx: 1001, tx: 500 });
  for (let round = 0; round < 3; round++) {
    await there.take(await elsewhere.read(), now);
    await here.take(await driver.read(), now);
  }
  expect(await shown()).toMatchObject({ rx: 1011, tx: 505, endpoint: '192.0.2.8:1', lastHandshake: START + 1 });
});

test('a peer that was switched off while the interface was looked at stays off', async () => {
  const { peer } = await hub.peers.create(order, COMMAND);
  driver.heard(peer.publicKey, { endpoint: null, lastHandshake: now, rx: 1, tx: 1 });
  const read = store.read.bind(store);
  store.read = async (work) => {
    const rows = await read(work);
    store.read = read;
    await store.transaction((tx) =>
      tx.updateTable('peer').set({ status: 'disabled' }).where('id', '=', peer.id).execute(),
    );
    return rows;
  };
  await new HandshakeTracker(store, 'wg0').take(await driver.read(), now);
  expect((await hub.peers.get(peer.id))?.status).toBe('disabled');
});
