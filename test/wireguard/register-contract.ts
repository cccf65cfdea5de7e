import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Store } from '../../platform/store.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { findPeer } from '../../wireguard/hub/find-peer.ts';
import type { PeerOrder } from '../../wireguard/hub/peer-order.ts';
import { allPeers, type InterfaceMark, type PeerPage, readPeerPage } from '../../wireguard/hub/peer-pages.ts';
import { PeerRegister } from '../../wireguard/hub/peer-register.ts';
import { publicKeyOf } from '../../wireguard/keys.ts';
import { insertInterface } from '../../wireguard/store/hub-interface.ts';
import { changeInterface } from '../../wireguard/store/interface-change.ts';
import { listInterfaceFacts } from '../../wireguard/store/interface-facts.ts';
import { countFreeAddresses, countPeers } from '../../wireguard/store/peer-counts.ts';
import { retiredPeers } from '../../wireguard/store/retired-peers.ts';
import type { HubDatabase, PeerTable } from '../../wireguard/store/schema.ts';
import { wantedPeers } from '../../wireguard/store/wanted-peers.ts';
import { type HubStorePlace, testInterface, testSeal } from './hub-store.ts';

const NOW = 1_700_000_000_000;
const MANY = 10_000;

/** What holds of the register of peers, its lists and the facts of its interface, whatever the database. */
export function testRegister(makePlace: () => HubStorePlace | Promise<HubStorePlace>): void {
  let place: HubStorePlace;
  let store: Store<HubDatabase>;
  let close: () => Promise<void>;
  let peers: PeerRegister;
  let others: PeerRegister;
  let told: string[] = [];
  const seal = testSeal();
  const hub = testInterface();
  const other = testInterface({
    name: 'wg1',
    networks: ['10.0.2.0/24'],
    addresses: ['10.0.2.1/24'],
    listenPort: 51821,
  });
  const order = { name: 'phone', kind: 'device' } as const;
  const add = async (change: Partial<PeerOrder> = {}) => (await peers.create({ ...order, ...change }, COMMAND)).peer;
  const everything = () =>
    store.read(async (db) =>
      JSON.stringify([
        await db.selectFrom('peer').selectAll().execute(),
        await db.selectFrom('free_range').selectAll().execute(),
        await db.selectFrom('interface').selectAll().execute(),
        await db.selectFrom('audit').select('seq').execute(),
      ]),
    );

  beforeAll(async () => {
    place = await makePlace();
  });
  afterAll(() => place.stop());
  beforeEach(async () => {
    ({ store, close } = await place.open());
    told = [];
    const tell = async (keys: readonly string[]): Promise<boolean> => told.push(...keys) > 0;
    const parts = { store, seal, now: () => NOW, random: randomBytes, tell };
    for (const facts of [hub, other]) await store.transaction((tx) => insertInterface(tx, facts, seal, NOW));
    peers = new PeerRegister(hub, parts);
    others = new PeerRegister(other, parts);
  });
  afterEach(() => close());

  test.each<[string, Partial<PeerOrder>, string]>([
    ['a name that is none', { name: '' }, 'invalid_request'],
    ['an address outside', { wishedAddress: '10.0.9.9' }, 'invalid_address'],
    ['the network of another interface', { extraNetworks: ['10.0.2.0/26'] }, 'network_overlap'],
    ['a network behind another peer', { extraNetworks: ['192.168.0.0/16'] }, 'network_overlap'],
    ['a network within one behind another peer', { extraNetworks: ['192.168.7.128/25'] }, 'network_overlap'],
  ])('an order with %s is refused, leaves everything as it was, and tells nobody', async (_, wrong, code) => {
    await others.create({ ...order, name: 'office', extraNetworks: ['192.168.7.0/24'] }, COMMAND);
    const before = await everything();
    told = [];
    await expect(add(wrong)).rejects.toMatchObject({ code });
    expect(await everything()).toBe(before);
    expect(told).toEqual([]);
  });

  test('a network behind a peer is free again once that is removed, and not while it is off', async () => {
    const office = await add({ name: 'office', extraNetworks: ['192.168.7.0/24'] });
    await peers.switch(office.id, false, COMMAND);
    await expect(add({ extraNetworks: ['192.168.7.0/24'] })).rejects.toThrow('of the peer office');
    await peers.remove(office.id, COMMAND);
    expect((await add({ extraNetworks: ['192.168.7.0/24'] })).extraNetworks).toEqual(['192.168.7.0/24']);
  });

  test('new keys for nobody are refused, and change nothing', async () => {
    const gone = await add();
    await peers.remove(gone.id, COMMAND);
    const before = await everything();
    for (const id of [gone.id, 'nobody']) {
      await expect(peers.rekey(id, COMMAND)).rejects.toMatchObject({ code: 'peer_not_found' });
    }
    expect(await everything()).toBe(before);
  });

  test('new keys end the old ones on the interface, and leave the peer its name, address and totals', async () => {
    const before = await add({ presharedKey: true, extraNetworks: ['192.168.7.0/24'] });
    await store.transaction((tx) =>
      tx.updateTable('peer').set({ rx: 7, tx: 5, seen_rx: 7, status: 'active', last_handshake: NOW }).execute(),
    );
    const [old] = (await store.read((db) => wantedPeers(db, 'wg0', seal))).values();
    told = [];
    const made = await peers.rekey(before.id, COMMAND);
    expect(made.peer).toEqual({
      ...before,
      publicKey: publicKeyOf(made.privateKey ?? ''),
      ...{ rx: 7, tx: 5, status: 'pending', lastHandshake: null, endpoint: null },
    });
    expect(told).toEqual([before.publicKey, made.peer.publicKey]);
    const wanted = await store.read((db) => wantedPeers(db, 'wg0', seal));
    expect([...wanted.keys()]).toEqual([made.peer.publicKey]);
    expect(wanted.get(made.peer.publicKey)?.presharedKey).toBe(made.presharedKey);
    expect(made.presharedKey).not.toBe(old?.presharedKey);
    const rows = JSON.stringify(await store.read((db) => db.selectFrom('peer').selectAll().execute()));
    expect(rows).not.toContain(made.privateKey);
    expect(rows).not.toContain(made.presharedKey);
    // the old key is known for one that is gone, and the peer is one peer
    expect(await peers.find(before.publicKey)).toBeNull();
    const retired = await store.read((db) => retiredPeers(db, 'wg0', [before.publicKey, made.peer.publicKey]));
    expect([...retired]).toEqual([before.publicKey]);
    expect((await peers.list({}, null, 10)).map(({ id }) => id)).toEqual([before.id]);
    await peers.remove(before.id, COMMAND);
    expect((await store.read(countFreeAddresses)).get('wg0')).toBe(253);
  });

  test('a peer that is off stays off with new keys, and gets no preshared key that it never had', async () => {
    const { id } = await add();
    await peers.switch(id, false, COMMAND);
    const made = await peers.rekey(id, COMMAND);
    expect([made.peer.status, made.presharedKey, made.peer.isPreshared]).toEqual(['disabled', null, false]);
    expect((await store.read((db) => wantedPeers(db, 'wg0', seal))).size).toBe(0);
  });

  test('a peer is found by id, key and name; a name that could be two is told with both', async () => {
    const one = await add({ name: 'one' });
    const two = await add({ name: 'two' });
    const find = (text: string, on = ['wg0', 'wg1']) => store.read((db) => findPeer(db, on, text));
    for (const text of [one.id, one.publicKey, 'one']) expect(await find(text)).toEqual(one);
    for (const text of ['three', '', 'ONE', `${one.id} `, one.publicKey.slice(1)]) {
      await expect(find(text)).rejects.toMatchObject({ code: 'peer_not_found' });
    }
    for (const odd of ['a\u0000b', '', 'x'.repeat(65)]) expect(await peers.get(odd)).toBeNull();
    await expect(find('one', ['wg1'])).rejects.toMatchObject({ code: 'peer_not_found' });
    const twin = (await others.create({ ...order, name: 'two' }, COMMAND)).peer;
    const ambiguous = await find('two').catch((error: unknown) => error);
    expect(ambiguous).toMatchObject({ code: 'peer_ambiguous', exit: 2 });
    for (const id of [two.id, twin.id]) expect((ambiguous as { hint: string }).hint).toContain(id);
    expect(await find('two', ['wg1'])).toEqual(twin);
    // nobody makes a peer unreachable, or has another one removed in its place, by taking its id for a name
    await add({ name: one.id });
    await expect(find(one.id)).rejects.toMatchObject({ code: 'peer_ambiguous' });
    await peers.remove(two.id, COMMAND);
    expect(await find('two')).toEqual(twin);
  });

  test('peers are counted by interface and status, those that are gone not', async () => {
    const [off, gone] = [await add(), await add()];
    await add();
    await peers.switch(off.id, false, COMMAND);
    await peers.remove(gone.id, COMMAND);
    const counts = await store.read(countPeers);
    expect(counts.get('wg0')).toEqual({ pending: 1, active: 0, inactive: 0, disabled: 1 });
    expect(counts.get('wg1')).toEqual({ pending: 0, active: 0, inactive: 0, disabled: 0 });
    const free = await store.read(countFreeAddresses);
    expect([free.get('wg0'), free.get('wg1')]).toEqual([251, 253]);
  });

  test('an interface gets another network only while it has no peers, and all of its addresses are free then', async () => {
    const change = (networks: readonly string[]) =>
      store.transaction((tx) => changeInterface(tx, 'wg0', { networks }, randomBytes));
    const peer = await add();
    const before = await everything();
    await expect(change(['10.7.0.0/24'])).rejects.toMatchObject({ code: 'peers_exist', status: 409 });
    await expect(change(['10.0.2.0/23'])).rejects.toMatchObject({ code: 'network_overlap', field: 'networks' });
    expect((await change(hub.networks)).changes).toEqual({});
    expect(await everything()).toBe(before);
    await peers.remove(peer.id, COMMAND);
    await change(['10.7.0.0/25']);
    await expect(add()).rejects.toMatchObject({ code: 'interface_changed' });
    const facts = (await store.read(listInterfaceFacts)).find(({ name }) => name === 'wg0');
    expect(facts).toMatchObject({ networks: ['10.7.0.0/25'], addresses: ['10.7.0.1/25'], publicKey: hub.publicKey });
    peers.refresh(facts ?? hub);
    expect((await add()).addresses).toEqual(['10.7.0.2/32']);
    expect((await store.read(countFreeAddresses)).get('wg0')).toBe(124);
  });

  test('ten thousand peers are listed without a miss or a repeat while others come and go', async () => {
    const rows = Array.from({ length: MANY }, (_, at) => row(at));
    for (let at = 0; at < MANY; at += 500) {
      const some = rows.slice(at, at + 500);
      await store.transaction((tx) => tx.insertInto('peer').values(some).execute());
    }
    const stays = new Set(rows.filter((_, at) => at % 10 !== 3).map(({ id }) => id));
    const leaving = rows.filter(({ id }) => !stays.has(id)).map(({ id }) => id);
    const seen: string[] = [];
    let mark: InterfaceMark | null = null;
    let came = MANY;
    do {
      const from: InterfaceMark | null = mark;
      const page: PeerPage = await store.read((db) => readPeerPage(db, ['wg1', 'wg0'], {}, from, 500));
      seen.push(...page.peers.map(({ id }) => id));
      mark = page.next;
      const gone = leaving.splice(0, 40);
      await store.transaction(async (tx) => {
        await tx.updateTable('peer').set({ status: 'deleted' }).where('id', 'in', gone).execute();
        await tx
          .insertInto('peer')
          .values([row(came++), row(came++)])
          .execute();
      });
    } while (mark !== null);
    expect(new Set(seen).size).toBe(seen.length);
    const listed = new Set(seen);
    expect([...stays].filter((id) => !listed.has(id))).toEqual([]);
    let count = 0;
    for await (const page of allPeers((work) => store.read(work), ['wg0'], { kind: 'spoke' })) {
      expect(page.every(({ kind, interface: on }) => kind === 'spoke' && on === 'wg0')).toBe(true);
      count += page.length;
    }
    const living = await store.read((db) =>
      db.selectFrom('peer').select('id').where('status', '<>', 'deleted').where('kind', '=', 'spoke').execute(),
    );
    expect(count).toBe(living.filter(({ id }) => id.startsWith('0')).length);
  });

  /** Every tenth on the other interface; seven made in each millisecond, their ids in no order. */
  function row(at: number): PeerTable {
    const isOther = at % 10 === 9;
    return {
      id: `${isOther ? 1 : 0}${randomBytes(8).toString('hex')}`,
      interface: isOther ? 'wg1' : 'wg0',
      name: `peer ${at}`,
      owner: null,
      public_key: randomBytes(32).toString('base64'),
      preshared_key_sealed: null,
      place: 1000 + at,
      addresses: '["10.0.1.9/32"]',
      extra_networks: '[]',
      endpoint: null,
      keepalive: 25,
      kind: at % 7 === 0 ? 'spoke' : 'device',
      platform: null,
      status: 'pending',
      created_at: NOW + Math.floor(at / 7),
      expires_at: null,
      deleted_at: null,
      last_handshake: null,
      rx: 0,
      tx: 0,
      seen_rx: 0,
      seen_tx: 0,
      metadata: '{}',
      os_family: null,
    };
  }
}
