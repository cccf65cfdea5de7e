import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Store } from '../../platform/store.ts';
import { HubScrape } from '../../wireguard/calls/hub-scrape.ts';
import type { LiveInterface } from '../../wireguard/drivers/driver.ts';
import { insertInterface, poolOf } from '../../wireguard/store/hub-interface.ts';
import { readMonitoredPeers } from '../../wireguard/store/monitored-peers.ts';
import { insertPeer } from '../../wireguard/store/peers.ts';
import type { HubDatabase, PeerKind } from '../../wireguard/store/schema.ts';
import { type HubStorePlace, newPeer, testInterface, testSeal } from './hub-store.ts';

const NOW = 1_700_000_000_000;

/** What monitoring is shown of interfaces and store, whatever the database. */
export function testScrape(makePlace: () => HubStorePlace | Promise<HubStorePlace>): void {
  let place: HubStorePlace;
  let store: Store<HubDatabase>;
  let close: () => Promise<void>;
  const wg0 = testInterface();
  const wg1 = testInterface({ name: 'wg1', networks: ['10.0.2.0/24'], addresses: ['10.0.2.1/24'] });

  beforeAll(async () => {
    place = await makePlace();
    ({ store, close } = await place.open());
    const seal = testSeal();
    let number = 0;
    const add = async (facts: typeof wg0, name: string, kind: PeerKind, change: object = {}): Promise<void> => {
      number += 1;
      await store.transaction(async (tx) => {
        const about = { interface: facts.name, pool: poolOf(facts), seal, now: NOW + number };
        const { id } = await insertPeer(tx, about, newPeer({ name, kind }));
        await tx
          .updateTable('peer')
          .set({ name, ...change })
          .where('id', '=', id)
          .execute();
      });
    };
    await store.transaction(async (tx) => {
      for (const facts of [wg0, wg1]) await insertInterface(tx, facts, seal, NOW);
    });
    await add(wg1, 'oldest', 'device', { status: 'active' });
    await add(wg1, 'first', 'spoke', { status: 'inactive', last_handshake: NOW - 1500, rx: 2 ** 40, tx: 7 });
    await add(wg0, 'second', 'spoke', { status: 'active' });
    await add(wg0, 'off', 'spoke', { status: 'disabled' });
    await add(wg0, 'gone', 'spoke', { status: 'deleted' });
    await add(wg0, 'of a gateway', 'gateway');
    await add(wg1, 'third', 'spoke');
    await add(wg0, 'third', 'spoke');
    await store.transaction((tx) => tx.insertInto('backup').values(backup).execute());
  });
  afterAll(async () => {
    await close?.();
    await place?.stop();
  });
  const backup = { sha256: 'ab', made_at: NOW - 60_000, size: 1, file: 'f', sealed_with: 'age' } as const;

  const names = async (most: number, interfaces = ['wg0', 'wg1']) =>
    (await readMonitoredPeers(store, interfaces, most)).peers.map(({ name }) => name);

  test('spokes come first, then those of gateways, then devices, the oldest of all interfaces before the others', async () => {
    const all = ['first', 'second', 'third', 'third', 'of a gateway', 'oldest'];
    expect(await names(100)).toEqual(all);
    for (let most = 0; most < all.length; most++) expect(await names(most)).toEqual(all.slice(0, most));
  });

  test('peers of an interface that another hub keeps have no figures', async () => {
    expect(await names(100, ['wg0'])).toEqual(['second', 'third', 'of a gateway']);
  });

  test('every spoke is counted, however few have figures of their own', async () => {
    const { spokes } = await readMonitoredPeers(store, ['wg0', 'wg1'], 0);
    expect([...spokes]).toEqual([
      ['wg0', { pending: 1, active: 1, inactive: 0, disabled: 1 }],
      ['wg1', { pending: 1, active: 0, inactive: 1, disabled: 0 }],
    ]);
  });

  test('peers of many pages are each read once, in order', async () => {
    const { store: many, close: end } = await place.open();
    const seal = testSeal();
    const wide = testInterface({ networks: ['10.0.0.0/16'], addresses: ['10.0.0.1/16'] });
    await many.transaction(async (tx) => {
      await insertInterface(tx, wide, seal, NOW);
      await insertPeer(tx, { interface: 'wg0', pool: poolOf(wide), seal, now: NOW }, newPeer({ kind: 'spoke' }));
      const row = await tx.selectFrom('peer').selectAll().executeTakeFirstOrThrow();
      await tx.deleteFrom('peer').execute();
      // pages end amid peers of one moment
      const rows = Array.from({ length: 520 }, (_, number) => {
        const at = NOW + Math.floor(number / 100);
        const own = { id: randomBytes(8).toString('hex'), public_key: String(number), place: number + 2 };
        return { ...row, ...own, name: String(at), created_at: at };
      });
      await tx.insertInto('peer').values(rows).execute();
    });
    const { peers, spokes } = await readMonitoredPeers(many, ['wg0'], 510);
    await end();
    expect(new Set(peers.map(({ id }) => id)).size).toBe(510);
    const times = peers.map(({ name }) => name);
    expect(times).toEqual([...times].sort());
    expect(spokes.get('wg0')?.pending).toBe(520);
  });

  const live = (peers: number): LiveInterface =>
    ({ peers: new Map(Array.from({ length: peers }, (_, at) => [`k${at}`, { rx: 0, tx: 0 }])) }) as never;
  const seen = (facts: typeof wg0, change: object = {}) =>
    ({
      hub: { facts },
      last: { at: NOW - 2500, live: live(3) },
      comparison: { outcome: 'settled', changed: 0, foreign: ['k'] },
      comparedAt: NOW - 30_000,
      ...change,
    }) as never;
  const scraped = (change: object = {}) => ({
    ...{ store, most: 2, now: () => NOW, watches: new Map([['wg0', seen(wg0)]]), certificateEnd: () => null },
    ...change,
  });
  const lines = async (change: object = {}) => (await new HubScrape(scraped(change)).text()).split('\n');

  test('a scrape tells of interfaces, their peers and their pools', async () => {
    const watches = new Map([
      ['wg1', seen(wg1, { last: { at: NOW - 61_000, live: null }, comparison: null, comparedAt: null })],
      ['wg0', seen(wg0)],
    ]);
    const found = await lines({ watches });
    for (const line of [
      'wireguard_interface_up{interface="wg0"} 1',
      'wireguard_interface_up{interface="wg1"} 0',
      'wireguard_interface_look_age_seconds{interface="wg0"} 2.5',
      'wireguard_interface_look_age_seconds{interface="wg1"} 61',
      'wireguard_interface_live_peers{interface="wg0"} 3',
      'wireguard_interface_live_peers{interface="wg1"} 0',
      'wireguard_reconcile_age_seconds{interface="wg0"} 30',
      'wireguard_reconcile_age_seconds{interface="wg1"} 0',
      'wireguard_foreign_peers{interface="wg0"} 1',
      'wireguard_foreign_peers{interface="wg1"} 0',
      'wireguard_pool_addresses{interface="wg0"} 253',
      'wireguard_pool_free_addresses{interface="wg0"} 248',
      'wireguard_store_up 1',
      'wireguard_peers{interface="wg0",status="pending"} 2',
      'wireguard_peers{interface="wg1",status="active"} 1',
      'wireguard_spokes{interface="wg0",status="disabled"} 1',
      'wireguard_spokes{interface="wg1",status="active"} 0',
      '# TYPE wireguard_spokes_total untyped',
      'wireguard_spokes_total{interface="wg0"} 3',
      'wireguard_spokes_inactive{interface="wg0"} 0',
      'wireguard_spokes_inactive{interface="wg1"} 1',
      'wireguard_backup_last_timestamp_seconds 1699999940',
      'wireguard_peers_left_out{kind="spoke"} 2',
      'wireguard_peers_left_out{kind="other"} 2',
    ]) {
      expect(found).toContain(line);
    }
    expect(found.filter((line) => line.startsWith('wireguard_peer_'))).toEqual([
      expect.stringMatching(
        /_receive_bytes_total\{interface="wg1",id="\w+",name="first",kind="spoke"\} 1099511627776$/,
      ),
      expect.stringMatching(/_receive_bytes_total\{interface="wg0",id="\w+",name="second",kind="spoke"\} 0$/),
      expect.stringMatching(/_transmit_bytes_total\{interface="wg1",id="\w+",name="first",kind="spoke"\} 7$/),
      expect.stringMatching(/_transmit_bytes_total\{interface="wg0",id="\w+",name="second",kind="spoke"\} 0$/),
      expect.stringMatching(/_handshake_seconds\{interface="wg1",id="\w+",name="first",kind="spoke"\} 1699999998.5$/),
      expect.stringMatching(/_handshake_seconds\{interface="wg0",id="\w+",name="second",kind="spoke"\} 0$/),
    ]);
  });

  test('install tokens are open until they are over, and those whose script was fetched are told apart', async () => {
    const token = (id: string, change: object) => ({
      ...{
        id,
        interface: 'wg0',
        spoke_id: id,
        spoke_name: id,
        platform: null,
        addresses: '[]',
        hub: '{}',
        scripts: '{}',
      },
      ...{ members: 0, parent: null, created_by: 'x', created_at: NOW, expires_at: NOW + 1, place: 100 + id.length },
      ...{ token_hash: Buffer.from(id), ended_at: null, end: null },
      ...change,
    });
    const ended = { fetched_at: NOW, ended_at: NOW, end: 'registered' } as const;
    const tokens = [token('a', {}), token('aa', {}), token('aaa', { fetched_at: NOW }), token('aaaa', ended)];
    await store.transaction((tx) =>
      tx
        .insertInto('install_token')
        .values(tokens as never)
        .execute(),
    );
    const found = await lines();
    expect(found).toContain('wireguard_tokens_open{interface="wg0",state="unfetched"} 2');
    expect(found).toContain('wireguard_tokens_open{interface="wg0",state="fetched"} 1');
  });

  test('an interface that is gone is gone from the metrics too', async () => {
    const watches = new Map([
      ['wg0', seen(wg0)],
      ['wg1', seen(wg1)],
    ]);
    const scrape = new HubScrape(scraped({ watches }));
    expect(await scrape.text()).toContain('wg1');
    watches.delete('wg1');
    const after = await scrape.text();
    expect(after).toContain('wireguard_peers{interface="wg0",status="disabled"} 1\n');
    expect(after).toContain('wireguard_interface_receive_bytes_total{interface="wg0"} 0\n');
    expect(after).not.toContain('wg1');
  });

  test('a store that fails takes nothing with it but its own figures', async () => {
    const broken = { read: () => Promise.reject(new Error('CANARY')) };
    const found = await lines({ store: broken });
    expect(found).toContain('wireguard_store_up 0');
    expect(found).toContain('wireguard_interface_up{interface="wg0"} 1');
    expect(found.filter((line) => /^wireguard_(peers?|spokes|tokens|pool_free|backup)_?/.test(line))).toEqual([]);
    expect(found.join('')).not.toContain('CANARY');
  });

  test('a store that hangs is waited for a while, and not asked again meanwhile', async () => {
    let asked = 0;
    let answer: () => void = () => undefined;
    const hanging = {
      read: (work: (db: never) => Promise<unknown>) => {
        asked += 1;
        return asked > 1 ? store.read(work as never) : new Promise((resolve) => (answer = () => resolve([])));
      },
    };
    const scrape = new HubScrape(scraped({ store: hanging, patience: 250 }));
    expect(await scrape.text()).toContain('wireguard_store_up 0\n');
    expect(await scrape.text()).toContain('wireguard_store_up 0\n');
    expect(asked).toBe(1);
    answer();
    await expect.poll(async () => scrape.text(), { timeout: 20_000 }).toContain('wireguard_store_up 1\n');
  });

  test('the end of the certificate is told where there is one', async () => {
    const name = 'wireguard_tls_certificate_end_timestamp_seconds';
    expect((await lines()).filter((line) => line.includes(name))).toEqual([]);
    expect(await lines({ certificateEnd: () => NOW + 500 })).toContain(`${name} 1700000000.5`);
  });

  test('two that ask at once get one text', async () => {
    const scrape = new HubScrape(scraped());
    const [one, other] = [scrape.text(), scrape.text()];
    expect(one).toBe(other);
    expect(scrape.text()).toBe(one);
    await one;
    expect(scrape.text()).not.toBe(one);
  });
}
