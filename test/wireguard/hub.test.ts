import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Store } from '../../platform/store.ts';
import { MemoryDriver } from '../../wireguard/drivers/memory.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { trackHandshakes } from '../../wireguard/hub/handshake-tracker.ts';
import { Hub } from '../../wireguard/hub/hub.ts';
import { generateKeyPair, publicKeyOf } from '../../wireguard/keys.ts';
import { insertInterface } from '../../wireguard/store/hub-interface.ts';
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
  hub = new Hub(facts, driver, ensure, {
    store,
    seal,
    now: () => now,
    random: randomBytes,
    policy: 'strict',
    onTrouble: (error) => troubles.push(error),
  });
  await hub.reconciler.rebuild();
});
afterEach(() => close());

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

test('a hub that dies between commit and interface is healed by the next one', async () => {
  const made = await hub.peers.create(order, COMMAND);
  await driver.apply({ set: [], remove: [made.peer.publicKey] }); // as if it had never been told
  const next = new Hub(facts, driver, () => Promise.resolve(), {
    store,
    seal,
    now: () => now,
    random: randomBytes,
    policy: 'strict',
    onTrouble: () => undefined,
  });
  await next.reconciler.rebuild();
  expect((await live()).map(({ publicKey }) => publicKey)).toEqual([made.peer.publicKey]);
});

test('handshakes make a peer active, and silence inactive; totals outlive the interface', async () => {
  const { peer } = await hub.peers.create(order, COMMAND);
  const look = async () => trackHandshakes(store, 'wg0', await driver.read(), now);
  const shown = async () => (await hub.peers.list({}, null, 1))[0];
  expect(await look()).toEqual({ changed: 0, became: [] });
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
  expect(await look()).toEqual({ changed: 0, became: [] });
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
