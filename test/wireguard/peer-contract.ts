import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Store } from '../../platform/store.ts';
import { generateKeyPair } from '../../wireguard/keys.ts';
import { insertInterface, listInterfaces, poolOf } from '../../wireguard/store/hub-interface.ts';
import {
  deletePeer,
  findByKey,
  insertPeer,
  listPeers,
  type NewPeer,
  type Peer,
  switchPeer,
} from '../../wireguard/store/peers.ts';
import type { HubDatabase } from '../../wireguard/store/schema.ts';
import { wantedPeers } from '../../wireguard/store/wanted-peers.ts';
import { type HubStorePlace, newPeer, testInterface, testSeal } from './hub-store.ts';

const NOW = 1_700_000_000_000;

/** What holds of peers and their addresses, whatever the database. */
export function testPeers(makePlace: () => HubStorePlace | Promise<HubStorePlace>): void {
  let place: HubStorePlace;
  let store: Store<HubDatabase>;
  let close: () => Promise<void>;
  const seal = testSeal();
  const hub = testInterface();
  const pool = poolOf(hub);
  const add = (change: Partial<NewPeer> = {}, now = NOW): Promise<Peer> =>
    store.transaction((tx) => insertPeer(tx, { interface: 'wg0', pool, seal, now }, newPeer(change)));
  const drop = (id: string): Promise<Peer> => store.transaction((tx) => deletePeer(tx, 'wg0', id, NOW));
  const free = () =>
    store.read((db) => db.selectFrom('free_range').select(['first', 'last']).orderBy('first').execute());
  const everything = () =>
    store.read(async (db) =>
      JSON.stringify([
        await db.selectFrom('peer').selectAll().execute(),
        await db.selectFrom('free_range').selectAll().execute(),
      ]),
    );

  beforeAll(async () => {
    place = await makePlace();
  });
  afterAll(() => place.stop());
  beforeEach(async () => {
    ({ store, close } = await place.open());
    await store.transaction((tx) => insertInterface(tx, hub, seal, NOW));
  });
  afterEach(() => close());

  test('an interface comes back with its secrets, which are in clear in no row', async () => {
    expect(await store.read((db) => listInterfaces(db, seal))).toEqual([hub]);
    const row = await store.read((db) => db.selectFrom('interface').selectAll().executeTakeFirstOrThrow());
    const text = JSON.stringify(row) + Buffer.from(row.private_key_sealed).toString('latin1');
    expect(text).not.toContain(hub.privateKey);
  });

  test('an interface of the same name is refused, and changes nothing', async () => {
    const before = await everything();
    await expect(store.transaction((tx) => insertInterface(tx, testInterface(), seal, NOW))).rejects.toMatchObject({
      code: 'interface_exists',
    });
    expect(await everything()).toBe(before);
  });

  test('the lowest free address is handed out, as a pair, and the hub’s own never', async () => {
    expect((await add()).addresses).toEqual(['10.0.1.2/32', 'fd42:4242:1::2/128']);
    const second = await add();
    expect((await add()).addresses[0]).toBe('10.0.1.4/32');
    await drop(second.id);
    expect((await add()).addresses).toEqual(second.addresses);
    expect((await add()).addresses[0]).toBe('10.0.1.5/32');
  });

  test('a wished address is honoured or refused, and a refusal changes nothing', async () => {
    const wished = await add({ wishedAddress: '10.0.1.77' });
    expect(wished.addresses).toEqual(['10.0.1.77/32', 'fd42:4242:1::4d/128']);
    const before = await everything();
    await expect(add({ wishedAddress: 'fd42:4242:1::4d' })).rejects.toMatchObject({ code: 'ip_taken', status: 409 });
    await expect(add({ wishedAddress: '10.0.1.1' })).rejects.toMatchObject({ code: 'invalid_address' });
    await expect(add({ wishedAddress: '10.0.2.1' })).rejects.toMatchObject({
      code: 'invalid_address',
      field: 'customIP',
    });
    expect(await everything()).toBe(before);
  });

  test('a public key is there once among the living, and again after its peer was deleted', async () => {
    const { publicKey } = generateKeyPair();
    const first = await add({ publicKey });
    const before = await everything();
    await expect(add({ publicKey })).rejects.toMatchObject({ code: 'public_key_exists', status: 409 });
    expect(await everything()).toBe(before);
    await drop(first.id);
    expect((await add({ publicKey })).publicKey).toBe(publicKey);
  });

  test('a full pool is told as 503, and one address given back serves one more', async () => {
    const small = testInterface({ name: 'wg9', networks: ['10.9.0.0/30'], addresses: ['10.9.0.1/30'] });
    await store.transaction((tx) => insertInterface(tx, small, seal, NOW));
    const about = { interface: 'wg9', pool: poolOf(small), seal, now: NOW };
    const addSmall = () => store.transaction((tx) => insertPeer(tx, about, newPeer()));
    const only = await addSmall();
    await expect(addSmall()).rejects.toMatchObject({ code: 'pool_exhausted', status: 503 });
    await store.transaction((tx) => deletePeer(tx, 'wg9', only.id, NOW));
    expect((await addSmall()).addresses).toEqual(['10.9.0.2/32']);
  });

  test('two hundred created by fifty callers at once: no address twice, none lost', async () => {
    const made: Peer[] = [];
    const caller = async (): Promise<void> => {
      for (let i = 0; i < 4; i++) made.push(await add());
    };
    await Promise.all(Array.from({ length: 50 }, caller));
    const addresses = made.map(({ addresses: [first] }) => first);
    expect(new Set(addresses).size).toBe(200);
    expect(await free()).toEqual([expect.objectContaining({})]);
    const [range] = await free();
    expect([Number(range?.first), Number(range?.last)]).toEqual([202, 254]);
  });

  test('a deleted peer is gone from lists and interface, but its row stays, without its preshared key', async () => {
    const peer = await add({ presharedKey: generateKeyPair().privateKey });
    await drop(peer.id);
    await expect(drop(peer.id)).rejects.toMatchObject({ code: 'peer_not_found', status: 404 });
    expect(await store.read((db) => listPeers(db, 'wg0', {}, null, 10))).toEqual([]);
    expect(await store.read((db) => findByKey(db, 'wg0', peer.publicKey))).toBeNull();
    expect((await store.read((db) => wantedPeers(db, 'wg0', seal))).size).toBe(0);
    const row = await store.read((db) => db.selectFrom('peer').selectAll().executeTakeFirstOrThrow());
    expect([row.status, row.preshared_key_sealed]).toEqual(['deleted', null]);
  });

  test('a peer that is switched off leaves the interface and keeps its address', async () => {
    const peer = await add();
    await store.transaction((tx) => switchPeer(tx, 'wg0', peer.id, false));
    expect((await store.read((db) => wantedPeers(db, 'wg0', seal))).size).toBe(0);
    expect((await add()).addresses).not.toEqual(peer.addresses);
    await store.transaction((tx) => switchPeer(tx, 'wg0', peer.id, true));
    const wanted = await store.read((db) => wantedPeers(db, 'wg0', seal));
    expect(wanted.get(peer.publicKey)?.allowedIPs).toEqual(peer.addresses);
  });

  test('the interface gets networks behind a peer, and its preshared key opened', async () => {
    const presharedKey = generateKeyPair().privateKey;
    const peer = await add({ presharedKey, extraNetworks: ['192.168.7.0/24'] });
    const wanted = await store.read((db) => wantedPeers(db, 'wg0', seal));
    expect(wanted.get(peer.publicKey)).toMatchObject({
      presharedKey,
      allowedIPs: [...peer.addresses, '192.168.7.0/24'],
    });
  });

  test('pages follow one another without a gap or a double, also where many were made in one millisecond', async () => {
    const all: Peer[] = [];
    for (let i = 0; i < 25; i++) all.push(await add({}, NOW + Math.floor(i / 7)));
    const seen: string[] = [];
    for (let mark: { createdAt: number; id: string } | null = null, pages = 0; pages < 10; pages++) {
      const page: Peer[] = await store.read((db) => listPeers(db, 'wg0', {}, mark, 6));
      seen.push(...page.map(({ id }) => id));
      const last = page.at(-1);
      if (last === undefined || page.length < 6) break;
      mark = { createdAt: last.createdAt, id: last.id };
    }
    expect(seen).toEqual(
      [...all].sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1)).map(({ id }) => id),
    );
  });
}
