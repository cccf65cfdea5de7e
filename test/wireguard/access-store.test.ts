import { createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Store } from '../../platform/store.ts';
import { totpSecretBytes } from '../../platform/totp.ts';
import {
  addAccount,
  findAccount,
  listAccounts,
  removeAccount,
  renewTotp,
  setRole,
  standingOf,
  useTotpStep,
} from '../../wireguard/access/accounts.ts';
import {
  addToken,
  findToken,
  listTokens,
  markTokenUsed,
  removeToken,
  tokenHash,
} from '../../wireguard/access/api-tokens.ts';
import { addJwtKey, JwtKeys, listJwtKeys, removeJwtKey } from '../../wireguard/access/jwt-keys.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import type { HubDatabase } from '../../wireguard/store/schema.ts';
import { secretName } from '../../wireguard/store/seal.ts';
import { postgresMissing } from '../harness/postgres.ts';
import { type HubStorePlace, postgresPlace, sqlitePlace, testSeal } from './hub-store.ts';

const now = 1_800_000_000_000;
const seal = testSeal();

const places: [name: string, make: () => Promise<HubStorePlace>][] = [['SQLite', async () => sqlitePlace()]];
if (postgresMissing() === null) places.push(['PostgreSQL', postgresPlace]);

describe.each(places)('who may ask, kept in %s', (_, placeOf) => {
  let place: HubStorePlace;
  let store: Store<HubDatabase>;
  let close: () => Promise<void>;
  beforeAll(async () => {
    place = await placeOf();
    ({ store, close } = await place.open());
  }, 60_000);
  afterAll(async () => {
    await close();
    await place.stop();
  });
  const add = (name: string, role: 'admin' | 'viewer') =>
    store.transaction((tx) => addAccount(tx, seal, { name, role, passwordHash: 'x' }, COMMAND, now, randomBytes));

  test('of accounts at least one admin stays, also when two are taken away at once', async () => {
    await add('ann', 'admin');
    await add('ben', 'admin');
    await add('vera', 'viewer');
    await expect(add('ann', 'viewer')).rejects.toMatchObject({ code: 'account_exists' });
    const away = ['ann', 'ben'].map((name) => store.transaction((tx) => removeAccount(tx, name, COMMAND, now)));
    const outcomes = await Promise.allSettled(away);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'last_admin' } });
    const left = await store.read(listAccounts);
    expect(left.map(({ role }) => role)).toEqual(['admin', 'viewer']);
  });

  test('of an account any change is seen, even within one millisecond, and a step of a code is good once', async () => {
    const before = await store.read((db) => standingOf(db, 'vera'));
    const secret = await store.transaction((tx) => renewTotp(tx, seal, 'vera', COMMAND, now, randomBytes));
    await store.transaction((tx) => setRole(tx, 'vera', 'operator', COMMAND, now));
    const after = await store.read((db) => standingOf(db, 'vera'));
    expect([before?.changed_at, after]).toEqual([now, { role: 'operator', changed_at: now + 2 }]);
    const row = await store.read((db) => findAccount(db, 'vera'));
    const opened = seal.open(secretName('account-totp', 'vera'), row?.totp_sealed ?? Buffer.alloc(0));
    expect(opened.equals(totpSecretBytes(secret))).toBe(true);
    const use = (step: number) => store.transaction((tx) => useTotpStep(tx, 'vera', step, now));
    expect([await use(7), await use(7), await use(6), await use(8)]).toEqual([true, false, false, true]);
    expect(await store.read((db) => standingOf(db, 'nobody'))).toBeNull();
  });

  test('a token is found by its hash until its last moment, or until it is removed', async () => {
    const order = { name: 'backend', scopes: ['devices' as const], expiresInDays: 1 };
    const { report, token } = await store.transaction((tx) => addToken(tx, order, COMMAND, now, randomBytes));
    const hash = tokenHash(token) ?? Buffer.alloc(0);
    const find = (at: number) => store.read((db) => findToken(db, hash, at));
    expect(await find(now)).toEqual({ id: report.id, name: 'backend', scopes: ['devices'], usedAt: null });
    expect(await find(now + 86_400_000 - 1)).not.toBeNull();
    expect(await find(now + 86_400_000)).toBeNull();
    expect(await store.read((db) => findToken(db, randomBytes(32), now))).toBeNull();
    await store.transaction((tx) => markTokenUsed(tx, report.id, now + 5));
    expect(await store.read(listTokens)).toEqual([{ ...report, usedAt: now + 5 }]);
    await store.transaction((tx) => removeToken(tx, { id: report.id }, COMMAND, now));
    expect(await find(now)).toBeNull();
    await expect(store.transaction((tx) => removeToken(tx, { name: 'backend' }, COMMAND, now))).rejects.toMatchObject({
      code: 'token_unknown',
    });
  });

  test('there are a thousand tokens at the most', async () => {
    const id = (index: number) => index.toString(16).padStart(16, '0');
    const rows = Array.from({ length: 1_000 }, (_, index) => ({
      id: id(index),
      name: `t${index}`,
      token_hash: randomBytes(32),
      scopes: '["devices","of-tomorrow"]',
      created_at: now,
      expires_at: null,
      used_at: null,
    }));
    await store.transaction(async (tx) => {
      for (let from = 0; from < 1_000; from += 100) {
        await tx
          .insertInto('api_token')
          .values(rows.slice(from, from + 100))
          .execute();
      }
    });
    const add = () =>
      store.transaction((tx) => addToken(tx, { name: 'more', scopes: ['devices'] }, COMMAND, now, randomBytes));
    await expect(add()).rejects.toMatchObject({ code: 'too_many_tokens', status: 409 });
    const list = await store.read(listTokens);
    expect([list.length, list[0]?.scopes]).toEqual([1_000, ['devices']]);
    await store.transaction((tx) => removeToken(tx, { id: id(7) }, COMMAND, now));
    await add();
  });

  test('a key of JWTs is found by its name, or as the only one', async () => {
    const keys = new JwtKeys(store, seal);
    const { publicKey } = generateKeyPairSync('ed25519');
    const secret = createSecretKey(randomBytes(32));
    const addKey = (key: Parameters<typeof addJwtKey>[2]) =>
      store.transaction((tx) => addJwtKey(tx, seal, key, COMMAND, now));
    expect(await keys.find(null)).toBeNull();
    await addKey({ name: 'shop', algorithm: 'EdDSA', key: publicKey });
    expect((await keys.find(null))?.key.equals(publicKey)).toBe(true);
    await addKey({ name: 'old', algorithm: 'HS256', key: secret });
    await expect(addKey({ name: 'old', algorithm: 'HS256', key: secret })).rejects.toMatchObject({
      code: 'jwt_key_exists',
    });
    expect(await keys.find(null)).toBeNull();
    expect((await keys.find('old'))?.key.equals(secret)).toBe(true);
    expect((await keys.find('shop'))?.key).toBe((await keys.find('shop'))?.key); // opened once
    await store.transaction((tx) => removeJwtKey(tx, 'old', COMMAND, now));
    expect(await keys.find('old')).toBeNull();
    expect(await store.read(listJwtKeys)).toEqual([{ name: 'shop', algorithm: 'EdDSA', createdAt: now }]);
  });
});
