import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Store } from '../../platform/store.ts';
import { newTokenText, REGISTRATION_MS, type TokenState } from '../../wireguard/spokes/install-token.ts';
import { countTokens, findMeant, listTokens } from '../../wireguard/spokes/install-token-list.ts';
import {
  expireTokens,
  findInstallToken,
  forgetTokens,
  insertToken,
  revokeToken,
  takeInvitation,
  takeRegistration,
  takeScript,
} from '../../wireguard/spokes/install-token-store.ts';
import { insertInterface, poolOf } from '../../wireguard/store/hub-interface.ts';
import { changeInterface } from '../../wireguard/store/interface-change.ts';
import { countFreeAddresses } from '../../wireguard/store/peer-counts.ts';
import type { PageMark } from '../../wireguard/store/peers.ts';
import type { HubDatabase } from '../../wireguard/store/schema.ts';
import { type HubStorePlace, testInterface, testSeal } from './hub-store.ts';

const NOW = 1_700_000_000_000;
const HOUR = 3_600_000;

/** What holds of install tokens, whatever the database. */
export function testInstallTokens(makePlace: () => HubStorePlace | Promise<HubStorePlace>): void {
  let place: HubStorePlace;
  let store: Store<HubDatabase>;
  let close: () => Promise<void>;
  const hub = testInterface();
  const pool = poolOf(hub);
  const fetch = { at: NOW + 1, from: '192.0.2.7', agent: 'curl/8', platform: 'linux' as const };

  const make = async (wished: string | null = null, expiresAt = NOW + HOUR, createdAt = NOW) => {
    const { text, hash } = newTokenText(randomBytes);
    const given = {
      id: randomBytes(12).toString('hex'),
      hash,
      interface: 'wg0',
      spokeId: randomBytes(12).toString('hex'),
      spokeName: 'office',
      platform: null,
      scripts: { linux: 'ab' },
      members: 0,
      parent: null,
      createdBy: 'command',
      hub: { url: 'https://hub.example', pin: null, hubName: 'hub' },
      createdFrom: null,
      createdAt,
      expiresAt,
    };
    const token = await store.transaction((tx) => insertToken(tx, pool, wished, given));
    return { text, hash, token };
  };
  const free = async () => (await store.read(countFreeAddresses)).get('wg0');
  const found = (hash: Uint8Array) => store.read((db) => findInstallToken(db, hash));
  const fetchIt = (id: string, at = fetch.at) => store.transaction((tx) => takeScript(tx, id, { ...fetch, at }));
  const register = (id: string, at: number) => store.transaction((tx) => takeRegistration(tx, id, '192.0.2.7', at));

  beforeAll(async () => {
    place = await makePlace();
  });
  afterAll(() => place.stop());
  beforeEach(async () => {
    ({ store, close } = await place.open());
    await store.transaction((tx) => insertInterface(tx, hub, testSeal(), NOW));
  });
  afterEach(() => close());

  test('a token is found by its hash alone, and nothing in the database is its text', async () => {
    const { text, hash, token } = await make();
    expect(await found(hash)).toEqual(token);
    expect(await found(randomBytes(32))).toBeNull();
    const rows = await store.read((db) => db.selectFrom('install_token').selectAll().execute());
    expect(JSON.stringify(rows)).not.toContain(text);
  });

  test('an address is kept with a token: the lowest free, or the wished one, and never one for two', async () => {
    const before = (await free()) ?? 0;
    const first = await make();
    expect(first.token.addresses).toEqual(['10.0.1.2/32', 'fd42:4242:1::2/128']);
    expect((await make('10.0.1.9')).token.addresses[0]).toBe('10.0.1.9/32');
    await expect(make('10.0.1.9')).rejects.toMatchObject({ code: 'ip_taken', field: 'customIP', status: 409 });
    await expect(make('10.0.9.9')).rejects.toMatchObject({ code: 'invalid_address', field: 'customIP' });
    expect(await free()).toBe(before - 2);
  });

  test('of a hundred who fetch one script at once, one gets it', async () => {
    const { token } = await make();
    const got = await Promise.all(Array.from({ length: 100 }, () => fetchIt(token.id)));
    expect(got.filter((one) => one !== null)).toHaveLength(1);
  });

  test('of a hundred who register with one token at once, one does', async () => {
    const { token } = await make();
    await fetchIt(token.id);
    const got = await Promise.all(Array.from({ length: 100 }, () => register(token.id, NOW + 2)));
    expect(got.filter((one) => one !== null)).toHaveLength(1);
  });

  test('of a hundred who invite a cluster with one token at once, one does, and only after its registration', async () => {
    const { token } = await make();
    const all = () =>
      Promise.all(Array.from({ length: 100 }, () => store.transaction((tx) => takeInvitation(tx, token.id, NOW + 3))));
    await fetchIt(token.id);
    expect((await all()).every((one) => one === null)).toBe(true);
    await register(token.id, NOW + 2);
    expect((await all()).filter((one) => one !== null)).toHaveLength(1);
  });

  test.each([
    ['a millisecond before its end', HOUR - 1, true],
    ['at its end', HOUR, false],
    ['a millisecond after its end', HOUR + 1, false],
  ])('a script is given %s: %s', async (_, age, isGiven) => {
    const { token } = await make();
    expect((await fetchIt(token.id, NOW + age)) !== null).toBe(isGiven);
  });

  test.each([
    ['a millisecond before half an hour is over', REGISTRATION_MS - 1, true],
    ['when half an hour is over', REGISTRATION_MS, false],
    ['a millisecond later', REGISTRATION_MS + 1, false],
  ])('a spoke may register %s: %s', async (_, age, may) => {
    const { token } = await make();
    await fetchIt(token.id, NOW + 1);
    expect((await register(token.id, NOW + 1 + age)) !== null).toBe(may);
  });

  test('nobody registers with a token whose script nobody has fetched', async () => {
    const { token } = await make();
    expect(await register(token.id, NOW + 1)).toBeNull();
  });

  test('revoking frees the address; it is refused twice, and for a script that is out', async () => {
    const before = await free();
    const { token } = await make();
    const revoke = () => store.transaction((tx) => revokeToken(tx, token.id, NOW + 1));
    await revoke();
    expect(await free()).toBe(before);
    await expect(revoke()).rejects.toMatchObject({ code: 'token_not_found', status: 404 });
    expect(await fetchIt(token.id)).toBeNull();
    const other = await make();
    await fetchIt(other.token.id);
    const late = store.transaction((tx) => revokeToken(tx, other.token.id, NOW + 2));
    await expect(late).rejects.toMatchObject({ code: 'token_already_used', status: 400 });
    for (const id of ['nobody', '', "' or 1=1", 'a'.repeat(1000), '\0']) {
      const wrong = store.transaction((tx) => revokeToken(tx, id, NOW));
      await expect(wrong).rejects.toMatchObject({ code: 'token_not_found' });
    }
  });

  test('revoking a token whose script is out has to be meant, frees the address, and nobody registers with it', async () => {
    const before = await free();
    const { token } = await make();
    await fetchIt(token.id);
    const revoke = (id: string) => store.transaction((tx) => revokeToken(tx, id, NOW + 2, { fetched: true }));
    expect(await revoke(token.id)).toMatchObject({ end: 'revoked', fetchedFrom: '192.0.2.7' });
    expect(await free()).toBe(before);
    expect(await register(token.id, NOW + 3)).toBeNull();
    await expect(revoke(token.id)).rejects.toMatchObject({ code: 'token_not_found' });
    const joined = await make();
    await fetchIt(joined.token.id);
    await register(joined.token.id, NOW + 2);
    await expect(revoke(joined.token.id)).rejects.toMatchObject({ code: 'token_already_used', status: 400 });
    expect(await found(joined.hash)).toMatchObject({ end: 'registered' });
    expect(await free()).toBe((before ?? 0) - 1);
  });

  test('of a token that is revoked and registered with at once, one of both comes true', async () => {
    const before = (await free()) ?? 0;
    const tokens = await Promise.all(Array.from({ length: 20 }, () => make()));
    for (const { token } of tokens) await fetchIt(token.id);
    const both = tokens.map(async ({ token }) => {
      const revoked = store
        .transaction((tx) => revokeToken(tx, token.id, NOW + 2, { fetched: true }))
        .then(
          () => true,
          () => false,
        );
      const joined = register(token.id, NOW + 2).then((one) => one !== null);
      return Promise.all([revoked, joined]);
    });
    const outcomes = await Promise.all(both);
    expect(outcomes.every(([revoked, joined]) => revoked !== joined)).toBe(true);
    expect(await free()).toBe(before - outcomes.filter(([, joined]) => joined).length);
  });

  test('what is over is ended once, its address free: unfetched at its end, fetched after half an hour, registered never', async () => {
    const before = (await free()) ?? 0;
    const unfetched = await make();
    const fetched = await make();
    const registered = await make();
    await fetchIt(fetched.token.id, NOW + 1);
    await fetchIt(registered.token.id, NOW + 1);
    await register(registered.token.id, NOW + 2);
    const sweep = async (now: number) => {
      const ended = await store.transaction((tx) => expireTokens(tx, now, 100));
      return ended.map(({ id }) => id);
    };
    expect(await sweep(NOW + REGISTRATION_MS)).toEqual([]);
    expect(await sweep(NOW + 1 + REGISTRATION_MS)).toEqual([fetched.token.id]);
    expect(await sweep(NOW + HOUR - 1)).toEqual([]);
    expect(await sweep(NOW + HOUR)).toEqual([unfetched.token.id]);
    expect(await sweep(NOW + 100 * HOUR)).toEqual([]);
    expect(await free()).toBe(before - 1);
    expect(await found(registered.hash)).toMatchObject({ end: 'registered' });
  });

  test('a sweep ends so many at once, the oldest first', async () => {
    const ids: string[] = [];
    for (let at = 0; at < 5; at++) ids.push((await make(null, NOW + 1000 + at)).token.id);
    const ended = await store.transaction((tx) => expireTokens(tx, NOW + HOUR, 3));
    expect(ended.map(({ id }) => id)).toEqual(ids.slice(0, 3));
  });

  test('lists are the newest first, by state, with all counts', async () => {
    const unused = await make();
    const used = await make();
    const over = await make(null, NOW + 10);
    const revoked = await make();
    await fetchIt(used.token.id, NOW + 1);
    await store.transaction((tx) => revokeToken(tx, revoked.token.id, NOW + 1));
    const ids = async (state: TokenState | null, limit = 10, after: PageMark | null = null) => {
      expect(await store.read((db) => countTokens(db, NOW + 10))).toEqual({
        unused: 1,
        used: 1,
        expired: 1,
        revoked: 1,
      });
      const tokens = await store.read((db) => listTokens(db, state, after, limit, NOW + 10));
      return tokens.map(({ id }) => id);
    };
    expect(await ids('unused')).toEqual([unused.token.id]);
    expect(await ids('used')).toEqual([used.token.id]);
    expect(await ids('expired')).toEqual([over.token.id]);
    expect(await ids('revoked')).toEqual([revoked.token.id]);
    expect((await ids(null)).sort()).toEqual([unused, used, over, revoked].map(({ token }) => token.id).sort());
    const all = [unused, used, over, revoked]
      .map(({ token }) => token.id)
      .sort()
      .reverse(); // made in one moment
    expect(await ids(null)).toEqual(all);
    expect(await ids(null, 2)).toEqual(all.slice(0, 2));
    expect(await ids(null, 3, { createdAt: NOW, id: all[1] ?? '' })).toEqual(all.slice(2));
    expect(await ids('used', 3, { createdAt: NOW, id: used.token.id })).toEqual([]);
    expect(await ids(null, 3, { createdAt: NOW - 1, id: 'z' })).toEqual([]);
    await store.transaction((tx) => forgetTokens(tx, NOW + 2));
    const counts = await store.read((db) => countTokens(db, NOW + 10));
    expect(counts).toEqual({ unused: 1, used: 1, expired: 1, revoked: 0 });
  });

  test('by a name are meant those that can be ended, else one whose script is out, else the newest', async () => {
    const meant = async (text: string, fetched = false) => {
      const found = await store.read((db) => findMeant(db, text, { fetched, now: NOW + 5, limit: 10 }));
      return found.map(({ id }) => id);
    };
    const joined = await make();
    await fetchIt(joined.token.id);
    await register(joined.token.id, NOW + 2);
    const over = await make(null, NOW + 4);
    const newest = [joined, over]
      .map(({ token }) => token.id)
      .sort()
      .at(-1);
    expect(await meant('office')).toEqual([newest]);
    const out = await make();
    await fetchIt(out.token.id);
    const newer = await make(null, NOW + HOUR, NOW + 1);
    await store.transaction((tx) => revokeToken(tx, newer.token.id, NOW + 2));
    expect(await meant('office')).toEqual([out.token.id]);
    expect(await meant('office', true)).toEqual([out.token.id]);
    const open = await make();
    expect(await meant('office')).toEqual([open.token.id]);
    expect((await meant('office', true)).sort()).toEqual([open.token.id, out.token.id].sort());
    expect(await meant(open.token.id)).toEqual([open.token.id]);
    expect(await meant(joined.token.id, true)).toEqual([joined.token.id]);
    expect(await meant("office' or ''='", true)).toEqual([]);
  });

  test('the network of an interface stays while an address of it is kept', async () => {
    const { token } = await make();
    const move = () =>
      store.transaction((tx) => changeInterface(tx, 'wg0', { networks: ['10.0.7.0/24'] }, randomBytes));
    await expect(move()).rejects.toMatchObject({ code: 'tokens_exist', status: 409 });
    await store.transaction((tx) => revokeToken(tx, token.id, NOW + 1));
    expect((await move()).facts.networks).toEqual(['10.0.7.0/24']);
  });
}
