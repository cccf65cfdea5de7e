import { createHmac, createSecretKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { isLatchkeyError } from '../../platform/errors.ts';
import { type JwtKey, readJwt } from '../../wireguard/access/jwt.ts';
import { publicKeyFrom, secretFrom } from '../../wireguard/access/jwt-key-file.ts';
import { addJwtKey, removeJwtKey } from '../../wireguard/access/jwt-keys.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { type RunningHub, startRunningHub } from './running-hub.ts';

const pair = generateKeyPairSync('ed25519');
const otherPair = generateKeyPairSync('ed25519');
const secret = randomBytes(48);
const keys: readonly JwtKey[] = [
  { name: 'shop', algorithm: 'EdDSA', key: pair.publicKey },
  { name: 'legacy', algorithm: 'HS256', key: createSecretKey(secret) },
];
const now = 1_800_000_000_000;
const seconds = now / 1000;
const claims = { aud: 'wghub', sub: 'worker-7', exp: seconds + 300, iat: seconds };

/** A JWT made by hand, so that what is refused is not what a library refuses to make. */
function jwt(header: object, payload: object | string, key: KeyObject | Buffer | null): string {
  const part = (value: object | string): string =>
    Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
  const signed = `${part(header)}.${part(payload)}`;
  if (key === null) return `${signed}.`;
  const signature = Buffer.isBuffer(key)
    ? createHmac('sha256', key).update(signed).digest()
    : sign(null, Buffer.from(signed), key);
  return `${signed}.${signature.toString('base64url')}`;
}

const ed = (change: object = {}, header: object = {}): string =>
  jwt({ alg: 'EdDSA', kid: 'shop', ...header }, { ...claims, ...change }, pair.privateKey);
const hs = (change: object = {}, header: object = {}): string =>
  jwt({ alg: 'HS256', kid: 'legacy', ...header }, { ...claims, ...change }, secret);

const among =
  (some: readonly JwtKey[]) =>
  async (kid: string | null): Promise<JwtKey | null> =>
    kid === null
      ? some.length === 1
        ? (some[0] ?? null)
        : null
      : (some.find(({ name }) => name === kid.replace('\0', '')) ?? null);
const read = (text: string, some = keys, at = now) => readJwt(text, among(some), 'wghub', at);

describe('readJwt() refuses', () => {
  const spki = pair.publicKey.export({ format: 'der', type: 'spki' });
  const pem = Buffer.from(pair.publicKey.export({ format: 'pem', type: 'spki' }).toString());
  const raw = Buffer.from(pair.publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
  test.each<[string, string]>([
    ['alg none without a signature', jwt({ alg: 'none', kid: 'shop' }, claims, null)],
    ['alg none with one', jwt({ alg: 'none', kid: 'shop' }, claims, pair.privateKey)],
    ['HS256 with the public key as its secret, DER', jwt({ alg: 'HS256', kid: 'shop' }, claims, spki)],
    ['HS256 with the public key as its secret, PEM', jwt({ alg: 'HS256', kid: 'shop' }, claims, pem)],
    ['HS256 with the public key as its secret, raw', jwt({ alg: 'HS256', kid: 'shop' }, claims, raw)],
    ['EdDSA for a key of HS256', jwt({ alg: 'EdDSA', kid: 'legacy' }, claims, pair.privateKey)],
    ['HS256 signed, HS512 said', hs({}, { alg: 'HS512' })],
    ['the signature of another key', jwt({ alg: 'EdDSA', kid: 'shop' }, claims, otherPair.privateKey)],
    ['another secret', jwt({ alg: 'HS256', kid: 'legacy' }, claims, randomBytes(48))],
    ['a kid that nobody registered', ed({}, { kid: 'eve' })],
    ['a kid that is a list', ed({}, { kid: ['shop'] })],
    ['a kid with a NUL', ed({}, { kid: 'shop\0' })],
    ['no kid where there is a choice', ed({}, { kid: undefined })],
    ['an extension it must understand', ed({}, { crit: ['x'], x: 1 })],
    [
      'a key of its own',
      jwt(
        { alg: 'EdDSA', kid: 'eve', jwk: otherPair.publicKey.export({ format: 'jwk' }) },
        claims,
        otherPair.privateKey,
      ),
    ],
    ['another audience', ed({ aud: 'wghub2' })],
    ['no audience', ed({ aud: undefined })],
    ['an audience that begins alike', ed({ aud: 'wghu' })],
    ['a list of others', ed({ aud: ['a', 'b'] })],
    ['no end', ed({ exp: undefined })],
    ['an end that is a text', ed({ exp: String(seconds + 300) })],
    ['an end a second ago', ed({ exp: seconds - 1, iat: seconds - 10 })],
    ['an end now', ed({ exp: seconds, iat: seconds - 10 })],
    ['an end a day and a second away', ed({ exp: seconds + 86_401 })],
    [
      'an end beyond all numbers',
      jwt({ alg: 'EdDSA', kid: 'shop' }, JSON.stringify(claims).replace(/"exp":\d+/, '"exp":1e999'), pair.privateKey),
    ],
    ['a beginning two minutes away', ed({ nbf: seconds + 120 })],
    ['a beginning that is a text', ed({ nbf: 'now' })],
    ['made two minutes from now', ed({ iat: seconds + 120 })],
    ['made after its end', ed({ iat: seconds + 30, exp: seconds + 20 })],
    ['made at a text', ed({ iat: 'now' })],
    ['no subject', ed({ sub: undefined })],
    ['an empty subject', ed({ sub: '' })],
    ['a subject that is a number', ed({ sub: 7 })],
    ['a subject with a line break', ed({ sub: 'a\nb' })],
    ['a subject beyond all measure', ed({ sub: 'x'.repeat(129) })],
    ['claims that are a list', jwt({ alg: 'EdDSA', kid: 'shop' }, '[]', pair.privateKey)],
    ['claims that are no JSON', jwt({ alg: 'EdDSA', kid: 'shop' }, 'x', pair.privateKey)],
    ['a header that is no JSON', `eA.${ed().split('.').slice(1).join('.')}`],
    ['two parts', ed().split('.').slice(0, 2).join('.')],
    ['four parts', `${ed()}.x`],
  ])('%s', async (_, text) => {
    expect(await read(text)).toBeNull();
  });

  test('whatever was changed anywhere in a good one', async () => {
    const good = ed();
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.constantFrom(...'AQgwx_-.09'), async (place, letter) => {
        fc.pre(good[place] !== letter);
        const changed = `${good.slice(0, place)}${letter}${good.slice(place + 1)}`;
        // the last letter of a base64 text has bits that mean nothing: the same bytes may be spelled twice
        const bytes = (text: string) => text.split('.').map((part) => Buffer.from(part, 'base64url').toString('hex'));
        fc.pre(bytes(changed).join() !== bytes(good).join());
        expect(await read(changed)).toBeNull();
      }),
      { numRuns: 200 },
    );
  });

  test('whatever is no JWT at all, without throwing', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          fc.array(fc.base64String(), { maxLength: 5 }).map((parts) => parts.join('.')),
        ),
        async (text) => {
          expect(await read(text)).toBeNull();
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('readJwt() takes', () => {
  test.each<[string, string, string]>([
    ['EdDSA', ed(), 'shop'],
    ['HS256', hs(), 'legacy'],
    ['a list of audiences with this one', ed({ aud: ['other', 'wghub'] }), 'shop'],
    ['the last second', ed({ exp: seconds + 1 }), 'shop'],
    ['a whole day', ed({ exp: seconds + 86_400 }), 'shop'],
    ['a clock that is a minute ahead', ed({ iat: seconds + 60, nbf: seconds + 60 }), 'shop'],
    ['no word on when it was made', ed({ iat: undefined }), 'shop'],
  ])('%s', async (_, text, key) => {
    expect(await read(text)).toEqual({ key, subject: 'worker-7' });
  });

  test('the only key for a token that names none', async () => {
    expect(await read(ed({}, { kid: undefined }), keys.slice(0, 1))).toEqual({ key: 'shop', subject: 'worker-7' });
    expect(await read(ed({}, { kid: undefined }), [])).toBeNull();
    expect(await read(hs({}, { kid: undefined }), keys.slice(0, 1))).toBeNull();
  });
});

test('readJwt() goes by the times of a token as they are written, whatever they are', async () => {
  const around = fc.oneof(fc.integer({ min: -120, max: 120 }), fc.integer({ min: 86_390, max: 86_410 }));
  const maybe = fc.option(around, { nil: undefined });
  await fc.assert(
    fc.asyncProperty(around, maybe, maybe, async (exp, nbf, iat) => {
      const at = (offset: number | undefined) => (offset === undefined ? undefined : seconds + offset);
      const isGood = exp > 0 && exp <= 86_400 && (nbf ?? 0) <= 60 && (iat === undefined || (iat <= 60 && iat < exp));
      const answer = await read(ed({ exp: at(exp), nbf: at(nbf), iat: at(iat) }));
      expect(answer !== null).toBe(isGood);
    }),
    { numRuns: 500 },
  );
});

describe('a key file', () => {
  const pem = (key: KeyObject) => key.export({ format: 'pem', type: 'spki' }).toString();
  const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  test.each<[string, string, number]>([
    ['nothing', '', 2],
    ['a PEM of nothing', '-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n', 2],
    ['a key of another kind', pem(p256.publicKey), 2],
    ['a JWK of another kind', JSON.stringify(p256.publicKey.export({ format: 'jwk' })), 2],
    ['a JWK cut short', '{"kty":"OKP"', 2],
    ['a private key', pair.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(), 3],
    ['a private JWK', JSON.stringify(pair.privateKey.export({ format: 'jwk' })), 3],
  ])('with %s is refused, and nothing of it is told', (_, text, exit) => {
    try {
      publicKeyFrom(text);
      expect.unreachable();
    } catch (error) {
      if (!isLatchkeyError(error, 'invalid_key')) throw error;
      expect(error.exit).toBe(exit);
      for (const line of text.split('\n').filter((one) => one.length > 30)) expect(error.message).not.toContain(line);
    }
  });

  test('with a public key is taken as PEM and as JWK', () => {
    expect(publicKeyFrom(pem(pair.publicKey)).equals(pair.publicKey)).toBe(true);
    expect(publicKeyFrom(JSON.stringify(pair.publicKey.export({ format: 'jwk' }))).equals(pair.publicKey)).toBe(true);
  });

  test('with a secret counts its bytes, and of a line not the end', () => {
    const line = 'x'.repeat(32);
    expect(
      secretFrom(Buffer.from(`${line}\n`))
        .export()
        .toString(),
    ).toBe(line);
    expect(
      secretFrom(Buffer.from(`${line}\r\n`))
        .export()
        .toString(),
    ).toBe(line);
    const binary = Buffer.concat([Buffer.alloc(31, 0x80), Buffer.from('\n')]);
    expect(secretFrom(binary).export().equals(binary)).toBe(true);
    for (const short of [Buffer.from(`${'x'.repeat(31)}\n`), Buffer.alloc(31, 0x80), Buffer.alloc(1025)]) {
      expect(() => secretFrom(short)).toThrow('must hold from 32 to 1024 bytes');
    }
  });
});

describe('a hub', () => {
  let hub: RunningHub;
  let deaf: RunningHub;
  beforeAll(async () => {
    hub = await startRunningHub({ config: { audience: 'wghub' } });
    deaf = await startRunningHub();
    for (const one of [hub, deaf]) {
      await one.data.store.transaction(async (tx) => {
        for (const key of keys) await addJwtKey(tx, one.vault, key, COMMAND, one.clock.now());
      });
    }
  });
  afterAll(async () => {
    await hub.stop();
    await deaf.stop();
  });
  beforeEach(() => {
    hub.clock.skew += 7_200_000;
  });
  const fresh = (change: object = {}) => {
    const at = Math.floor(hub.clock.now() / 1000);
    return { exp: at + 300, iat: at, ...change };
  };
  const who = (token: string) => hub.request('GET', '/api/session', { token });

  test('knows the bearer of a JWT by key and subject, and lets it see to devices and nothing else', async () => {
    for (const [token, actor] of [
      [ed(fresh()), 'jwt:shop/worker-7'],
      [hs(fresh()), 'jwt:legacy/worker-7'],
    ] as const) {
      expect((await who(token)).body).toEqual({ actor, role: null, scopes: ['devices'], expiresAt: null });
      for (const path of ['/api/metrics', '/api/tokens', '/api/audit']) {
        expect(await hub.request('GET', path, { token })).toMatchObject({
          status: 403,
          body: { code: 'SCOPE_MISSING' },
        });
      }
    }
  });

  test('gives whatever is wrong with one the same 401', async () => {
    const none = await hub.request('GET', '/api/session');
    const at = Math.floor(hub.clock.now() / 1000);
    const wrong = [
      ed(fresh({ exp: at - 1 })),
      ed(fresh({ aud: 'other' })),
      ed(fresh(), { kid: 'eve' }),
      jwt({ alg: 'none', kid: 'shop' }, { ...claims, ...fresh() }, null),
      jwt({ alg: 'HS256', kid: 'shop' }, { ...claims, ...fresh() }, secret),
    ];
    for (const token of wrong) {
      const answer = await who(token);
      expect([answer.status, answer.text]).toEqual([401, none.text]);
    }
  });

  test('that has no audience takes none', async () => {
    expect((await deaf.request('GET', '/api/session', { token: ed(fresh()) })).status).toBe(401);
  });

  test('takes none of a key from the moment the key is removed', async () => {
    const token = hs(fresh());
    expect((await who(token)).status).toBe(200);
    await hub.data.store.transaction((tx) => removeJwtKey(tx, 'legacy', COMMAND, hub.clock.now()));
    expect((await who(token)).status).toBe(401);
  });

  test('takes none of the key that had this name before', async () => {
    const renewed = { name: 'shop', algorithm: 'EdDSA', key: otherPair.publicKey } as const;
    expect((await who(ed(fresh()))).status).toBe(200);
    await hub.data.store.transaction(async (tx) => {
      await removeJwtKey(tx, 'shop', COMMAND, hub.clock.now());
      await addJwtKey(tx, hub.vault, renewed, COMMAND, hub.clock.now());
    });
    expect((await who(ed(fresh()))).status).toBe(401);
    const theirs = jwt({ alg: 'EdDSA', kid: 'shop' }, { ...claims, ...fresh() }, otherPair.privateKey);
    expect((await who(theirs)).status).toBe(200);
  });
});
