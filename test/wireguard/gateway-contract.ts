import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DenialLog } from '../../platform/denials.ts';
import type { Store } from '../../platform/store.ts';
import { GatewayDoor, type SignedRequest } from '../../wireguard/gateways/gateway-door.ts';
import {
  addGateway,
  type Gateway,
  gatewayName,
  listGateways,
  noteUse,
  removeGateway,
  rotateSecret,
} from '../../wireguard/gateways/gateway-store.ts';
import { ipUsage } from '../../wireguard/gateways/ip-usage.ts';
import { ownPeer, ownPeers } from '../../wireguard/gateways/own-peers.ts';
import { signatureOf } from '../../wireguard/gateways/signature.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { PeerRegister } from '../../wireguard/hub/peer-register.ts';
import { insertInterface, poolOf } from '../../wireguard/store/hub-interface.ts';
import type { HubDatabase } from '../../wireguard/store/schema.ts';
import { secretName } from '../../wireguard/store/seal.ts';
import { type HubStorePlace, testInterface, testSeal } from './hub-store.ts';

const NOW = 1_700_000_000_000;
const [OLD, NEW, NEWEST] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2), Buffer.alloc(32, 3)];

/** What holds of gateways, their requests and their peers, whatever the database. */
export function testGateways(makePlace: () => HubStorePlace | Promise<HubStorePlace>): void {
  let place: HubStorePlace;
  let store: Store<HubDatabase>;
  let close: () => Promise<void>;
  let now = NOW;
  let door: GatewayDoor;
  let denials: DenialLog;
  let nonces = 0;
  const seal = testSeal();
  const hub = testInterface();
  const about = { seal, now: NOW, by: COMMAND };
  const plain = { name: 'berlin', interface: 'wg0', payloads: 'plain' } as const;
  const add = (secret = OLD, change: Partial<typeof plain> | { name: string } = {}): Promise<void> =>
    store.transaction((tx) => addGateway(tx, { ...plain, ...change }, secret, about));
  const rotate = (secret: Buffer, atOnce = false): Promise<void> =>
    store.transaction((tx) => rotateSecret(tx, 'berlin', secret, atOnce, about));
  const gateways = (): Promise<Gateway[]> => store.read(listGateways);
  const everything = (): Promise<string> =>
    store.read(async (db) => JSON.stringify(await db.selectFrom('gateway').selectAll().execute()));
  const audit = async (): Promise<{ event: string; reason?: string; detail: Record<string, unknown> }[]> => {
    const rows = await store.read((db) => db.selectFrom('audit').select('body').orderBy('seq').execute());
    return rows.map(({ body }) => JSON.parse(body));
  };
  const newDoor = (): GatewayDoor => {
    denials = new DenialLog();
    return new GatewayDoor({
      store,
      vault: seal,
      clock: { now: () => now },
      random: randomBytes,
      denials,
      limited: (source) => source,
      hubs: new Map(),
    });
  };
  const signed = (
    secret: Buffer,
    change: { nonce?: string; seconds?: number; gateway?: string } = {},
  ): SignedRequest => {
    const { nonce = `nonce-${String(nonces++).padStart(16, '0')}`, seconds = 0, gateway = 'berlin' } = change;
    const parts = { method: 'GET', path: '/api/v1/ip-usage', timestamp: String(NOW / 1000 + seconds), nonce };
    const signature = signatureOf(secret, { ...parts, body: new Uint8Array(0) });
    const headers = {
      'x-timestamp': parts.timestamp,
      'x-nonce': nonce,
      'x-signature': signature,
      'x-gateway': gateway,
    };
    return { method: 'GET', target: parts.path, headers, bytes: new Uint8Array(0), source: '192.0.2.1' };
  };
  const refused = { code: 'unauthorized', status: 401 };

  beforeAll(async () => {
    place = await makePlace();
  });
  afterAll(() => place.stop());
  beforeEach(async () => {
    ({ store, close } = await place.open());
    now = NOW;
    await store.transaction((tx) => insertInterface(tx, hub, seal, NOW));
    door = newDoor();
  });
  afterEach(() => close());

  describe('the register of gateways', () => {
    test('refuses a name that is there, and an interface that is not, and changes nothing', async () => {
      await add();
      const before = await everything();
      await expect(add(NEW)).rejects.toMatchObject({ code: 'gateway_exists', status: 409 });
      const elsewhere = { ...plain, name: 'paris', interface: 'wg7' };
      await expect(store.transaction((tx) => addGateway(tx, elsewhere, NEW, about))).rejects.toMatchObject({
        code: 'interface_unknown',
      });
      for (const work of [
        () => rotateWithin('paris'),
        () => store.transaction((tx) => removeGateway(tx, 'paris', COMMAND, NOW)),
      ]) {
        await expect(work()).rejects.toMatchObject({ code: 'gateway_unknown', status: 404 });
      }
      expect(await everything()).toBe(before);
      expect(await audit()).toHaveLength(1);
    });

    const rotateWithin = (name: string): Promise<void> =>
      store.transaction((tx) => rotateSecret(tx, name, NEW, false, about));

    test.each(['', 'Berlin', '-a', 'a b', 'a/b', 'ä', 'a'.repeat(64)])('takes no "%s" as a name', (name) => {
      expect(gatewayName.safeParse(name).success).toBe(false);
    });

    test('holds secrets sealed, and each opens for its own gateway only', async () => {
      await add();
      await rotate(NEW);
      const row = await store.read((db) => db.selectFrom('gateway').selectAll().executeTakeFirstOrThrow());
      for (const [box, secret] of [
        [row.secret_sealed, OLD],
        [row.next_sealed ?? new Uint8Array(0), NEW],
      ] as const) {
        expect(Buffer.from(box).includes(secret)).toBe(false);
        expect(seal.open(secretName('gateway', 'berlin'), box)).toEqual(secret);
        expect(() => seal.open(secretName('gateway', 'paris'), box)).toThrowError(/does not open/);
      }
    });

    test('tells in the audit log what was done, by whom, and no secret', async () => {
      await add();
      await rotate(NEW);
      await store.transaction((tx) => removeGateway(tx, 'berlin', COMMAND, NOW));
      const records = await audit();
      expect(records.map(({ event }) => event)).toEqual(['gateway_added', 'gateway_rotated', 'gateway_removed']);
      for (const { detail } of records) expect(detail).toMatchObject({ by: 'command', gateway: 'berlin' });
      const text = JSON.stringify(records);
      for (const encoding of ['hex', 'base64', 'base64url'] as const)
        expect(text).not.toContain(OLD.toString(encoding));
    });
  });

  describe('a secret', () => {
    test('that is new is good beside the old one until it is used, and then the old one is not', async () => {
      await add();
      await rotate(NEW);
      await door.verify(signed(OLD));
      expect((await gateways())[0]).toMatchObject({ isRotating: true });
      await door.verify(signed(NEW));
      expect((await gateways())[0]).toMatchObject({ isRotating: false, usedAt: NOW });
      await expect(door.verify(signed(OLD))).rejects.toMatchObject(refused);
      await door.verify(signed(NEW));
      expect((await audit()).filter(({ event }) => event === 'gateway_secret_taken_up')).toHaveLength(1);
    });

    test('that was made anew before it was used is good no more', async () => {
      await add();
      await rotate(NEW);
      await rotate(NEWEST);
      await expect(door.verify(signed(NEW))).rejects.toMatchObject(refused);
      await door.verify(signed(OLD));
      await door.verify(signed(NEWEST));
    });

    test('that is rotated at once ends the old one, and the one that was never used', async () => {
      await add();
      await rotate(NEW);
      await rotate(NEWEST, true);
      for (const secret of [OLD, NEW]) await expect(door.verify(signed(secret))).rejects.toMatchObject(refused);
      await door.verify(signed(NEWEST));
    });

    test('that is used by many at once for the first time takes over once, for all of them', async () => {
      await add();
      await rotate(NEW);
      await Promise.all(Array.from({ length: 20 }, (_, at) => door.verify(signed(NEW, { seconds: at }))));
      expect((await audit()).filter(({ event }) => event === 'gateway_secret_taken_up')).toHaveLength(1);
      const row = await store.read((db) => db.selectFrom('gateway').selectAll().executeTakeFirstOrThrow());
      expect([Number(row.newest), row.next_sealed]).toEqual([NOW / 1000 + 19, null]);
    });

    test('that was ended while its request was under way is refused', async () => {
      await add();
      const row = await store.read((db) => db.selectFrom('gateway').selectAll().executeTakeFirstOrThrow());
      const use = { box: row.secret_sealed, timestamp: NOW / 1000 };
      await rotate(NEW, true);
      const before = await everything();
      expect(await store.transaction((tx) => noteUse(tx, 'berlin', use, COMMAND, NOW))).toBe(false);
      expect(await everything()).toBe(before);
    });
  });

  test('a request whose secret is ended after its signature held is refused all the same', async () => {
    await add();
    // as if an administrator were quicker by a hair
    const racing: Store<HubDatabase> = {
      ...store,
      read: (work) => store.read(work),
      transaction: async (work) => {
        await rotate(NEW, true);
        return store.transaction(work);
      },
    };
    const parts = {
      vault: seal,
      clock: { now: () => now },
      random: randomBytes,
      denials: new DenialLog(),
      hubs: new Map(),
    };
    await expect(
      new GatewayDoor({ ...parts, store: racing, limited: (source) => source }).verify(signed(OLD)),
    ).rejects.toMatchObject(refused);
    expect((await gateways())[0]).toMatchObject({ usedAt: null });
  });

  test('the newest time that was taken does not go back', async () => {
    await add();
    const box = (await store.read((db) => db.selectFrom('gateway').selectAll().executeTakeFirstOrThrow()))
      .secret_sealed;
    for (const timestamp of [7, 9, 8]) {
      expect(await store.transaction((tx) => noteUse(tx, 'berlin', { box, timestamp }, COMMAND, NOW))).toBe(true);
    }
    const row = await store.read((db) => db.selectFrom('gateway').select('newest').executeTakeFirstOrThrow());
    expect(Number(row.newest)).toBe(9);
  });

  describe('a hub that was started again', () => {
    test('refuses what it took before, though it remembers no nonce, and takes what is signed after', async () => {
      await add();
      const ahead = signed(OLD, { seconds: 299 });
      await door.verify(ahead);
      await door.verify(signed(OLD));
      door = newDoor();
      await expect(door.verify(ahead)).rejects.toMatchObject(refused);
      await expect(door.verify(signed(OLD, { seconds: 299 }))).rejects.toMatchObject(refused);
      await door.verify(signed(OLD, { seconds: 300 }));
    });

    test('takes at once what a gateway signs whose clock is slow', async () => {
      await add();
      await door.verify(signed(OLD, { seconds: -300 }));
      door = newDoor();
      now += 1000;
      await door.verify(signed(OLD, { seconds: -299 }));
    });

    test('has the time of every request in the store before it says yes', async () => {
      await add();
      for (const seconds of [5, 3, 9, 9, 1]) {
        await door.verify(signed(OLD, { seconds }));
        const row = await store.read((db) => db.selectFrom('gateway').select('newest').executeTakeFirstOrThrow());
        expect(Number(row.newest)).toBeGreaterThanOrEqual(NOW / 1000 + seconds);
      }
    });
  });

  describe('a refusal', () => {
    test('is recorded once a minute of its sort, which without a secret is only the source', async () => {
      await add();
      await add(NEW, { name: 'paris' });
      const before = await everything();
      const unsigned = [
        signed(NEWEST),
        signed(NEWEST, { gateway: 'paris' }),
        signed(OLD, { gateway: 'london' }),
        signed(OLD, { gateway: 'paris' }),
        { ...signed(OLD), headers: {} },
      ];
      for (let round = 0; round < 20; round++) {
        for (const request of unsigned) await expect(door.verify(request)).rejects.toMatchObject(refused);
      }
      expect(await everything()).toBe(before);
      const records = (await audit()).slice(2);
      expect(records).toEqual([
        expect.objectContaining({
          event: 'gateway_refused',
          reason: 'credentials',
          detail: { wrong: 'signature', gateway: 'berlin' },
        }),
      ]);
      expect(denials.take(now, true)).toMatchObject([{ event: 'denials_counted', detail: { count: 99 } }]);
    });

    test.each<[string, (good: SignedRequest) => SignedRequest]>([
      ['headers', (good) => ({ ...good, headers: { ...good.headers, 'x-nonce': undefined } })],
      ['headers', (good) => ({ ...good, headers: { ...good.headers, 'x-timestamp': 'now' } })],
      ['gateway', (good) => ({ ...good, headers: { ...good.headers, 'x-gateway': 'london' } })],
      ['gateway', (good) => ({ ...good, headers: { ...good.headers, 'x-gateway': 'Ber lin' } })],
      ['signature', (good) => ({ ...good, method: 'PUT' })],
      ['signature', (good) => ({ ...good, bytes: Buffer.from('{}') })],
    ])('tells what was wrong in the audit log alone: %s', async (wrong, spoil) => {
      await add();
      await expect(door.verify(spoil(signed(OLD)))).rejects.toMatchObject(refused);
      expect((await audit()).at(-1)).toMatchObject({ event: 'gateway_refused', detail: { wrong } });
    });

    test('meets whoever signs what is only judged in place of a header that is missing', async () => {
      await add();
      const standIn = signed(OLD, { nonce: 'A'.repeat(16) });
      const headers = { ...standIn.headers, 'x-nonce': undefined };
      await expect(door.verify({ ...standIn, headers })).rejects.toMatchObject(refused);
    });

    test('meets whatever else comes in the headers, and changes nothing', async () => {
      await add();
      const before = await everything();
      const text = fc.oneof(
        fc.string({
          unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)),
          maxLength: 80,
        }),
        fc.constantFrom('berlin', "berlin'--", String(NOW / 1000), '0'.repeat(64), 'A'.repeat(16), undefined),
      );
      const names = ['x-timestamp', 'x-nonce', 'x-signature', 'x-gateway'] as const;
      await fc.assert(
        fc.asyncProperty(fc.tuple(text, text, text, text), fc.uint8Array({ maxLength: 8 }), async (values, bytes) => {
          const headers = Object.fromEntries(names.map((name, at) => [name, values[at]]));
          await expect(door.verify({ ...signed(OLD), headers, bytes })).rejects.toMatchObject(refused);
        }),
      );
      expect(await everything()).toBe(before);
    });

    test('of what was signed well tells the gateway, and how far its clock is off', async () => {
      await add();
      await expect(door.verify(signed(OLD, { seconds: -301 }))).rejects.toMatchObject(refused);
      const twice = signed(OLD);
      await door.verify(twice);
      await expect(door.verify(twice)).rejects.toMatchObject(refused);
      expect((await audit()).slice(1)).toMatchObject([
        { client: 'berlin', reason: 'time', detail: { wrong: 'time', seconds_off: -301 } },
        { client: 'berlin', reason: 'nonce', detail: { wrong: 'nonce' } },
      ]);
    });

    test('uses no nonce up', async () => {
      await add();
      const good = signed(OLD);
      await expect(
        door.verify({ ...good, headers: { ...good.headers, 'x-signature': '0'.repeat(64) } }),
      ).rejects.toMatchObject(refused);
      await expect(door.verify({ ...good, target: '/api/v1/ip-usage?' })).rejects.toMatchObject(refused);
      now += 301_000;
      await expect(door.verify(good)).rejects.toMatchObject(refused);
      now = NOW;
      expect(await door.verify(good)).toMatchObject({ gateway: { name: 'berlin' }, actor: { name: 'gateway:berlin' } });
    });
  });

  test('a gateway need not say its name while it is the only one', async () => {
    const nameless = (): SignedRequest => {
      const { 'x-gateway': _, ...headers } = signed(OLD).headers;
      return { ...signed(OLD), headers, target: '/api/v1/ip-usage' };
    };
    await expect(door.verify(nameless())).rejects.toMatchObject(refused);
    await add();
    await door.verify(nameless());
    await add(NEW, { name: 'paris' });
    await expect(door.verify(nameless())).rejects.toMatchObject(refused);
  });

  test('addresses that are free and those that peers have are all there are, through adding and removing', async () => {
    const parts = { store, seal, now: () => NOW, random: randomBytes, tell: () => Promise.resolve(true) };
    const peers = new PeerRegister(hub, parts);
    const usage = () => store.read((db) => ipUsage(db, 'wg0', poolOf(hub)));
    const total = 253;
    expect((await usage()).ipv6).toEqual({ network: 'fd42:4242:1::/64', total, used: 0, free: total });
    const made: string[] = [];
    for (let i = 0; i < 12; i++) made.push((await peers.create({ name: 'p', kind: 'gateway' }, COMMAND)).peer.id);
    for (const at of [2, 5, 6, 11]) await peers.remove(made[at] ?? '', COMMAND);
    await peers.switch(made[0] ?? '', false, COMMAND);
    const living = await store.read((db) =>
      db.selectFrom('peer').select('id').where('status', '<>', 'deleted').execute(),
    );
    expect((await usage()).ipv4).toEqual({ network: '10.0.1.0/24', total, used: living.length, free: total - 8 });
    const only6 = testInterface({ name: 'wg6', networks: ['fd66::/64'], addresses: ['fd66::1/64'] });
    await store.transaction((tx) => insertInterface(tx, only6, seal, NOW));
    const big = await store.read((db) => ipUsage(db, 'wg6', poolOf(only6)));
    expect(big).toEqual({ ipv4: null, ipv6: { network: 'fd66::/64', total: 2 ** 32 - 1, used: 0, free: 2 ** 32 - 1 } });
  });

  test('a gateway has the peers it made, and neither those of others nor those that only name it', async () => {
    const parts = { store, seal, now: () => NOW, random: randomBytes, tell: () => Promise.resolve(true) };
    const peers = new PeerRegister(hub, parts);
    const [berlin, paris] = [
      { ...plain, isRotating: false, createdAt: NOW, usedAt: null },
      { ...plain, name: 'paris', isRotating: false, createdAt: NOW, usedAt: null },
    ];
    const make = async (kind: 'gateway' | 'device', owner: string) =>
      (await peers.create({ name: 'p', kind, owner }, COMMAND)).peer;
    const own = [await make('gateway', 'berlin'), await make('gateway', 'berlin'), await make('gateway', 'berlin')];
    const foreign = [await make('gateway', 'paris'), await make('device', 'berlin')];
    for (const { publicKey } of own) {
      expect(await ownPeer(peers, berlin, publicKey)).toMatchObject({ publicKey });
      await expect(ownPeer(peers, paris, publicKey)).rejects.toMatchObject({ code: 'peer_not_found', status: 404 });
    }
    for (const { publicKey } of foreign) {
      await expect(ownPeer(peers, berlin, publicKey)).rejects.toMatchObject({ code: 'peer_not_found' });
    }
    const page = await ownPeers(peers, berlin, null, 2);
    const last = page.at(-1);
    const rest = last === undefined ? [] : await ownPeers(peers, berlin, last, 10);
    const ids = (list: readonly { id: string }[]) => list.map(({ id }) => id).sort();
    expect(ids([...page, ...rest])).toEqual(ids(own));
  });
}
