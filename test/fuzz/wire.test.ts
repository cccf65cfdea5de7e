import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type * as z from 'zod';
import { readCaller } from '../../keyserver/calls/caller.ts';
import { linkText } from '../../keyserver/link.ts';
import { heartbeatBody, keyBytesLimit, keyId, openBody, releaseBody, storeBody } from '../../keyserver/wire.ts';
import { isLatchkeyError } from '../../platform/errors.ts';
import { isWithin } from '../../platform/listening/network.ts';
import { parseInput } from '../../platform/schema.ts';

const runs = { numRuns: 2000 };
const link = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('base64url'));
const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });
const id = fc.stringMatching(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/);
const uuid = fc.uuid();
const time = fc.maxSafeInteger().map(Math.abs);

const good = {
  open: fc.record({
    link,
    time,
    fingerprint: fc.option(hex(64)),
    bootId: fc.option(uuid),
    reason: fc.constantFrom('cold', 'expired', 'verify', 'restore', 'cli:files:scan'),
    seen: fc.option(fc.record({ seq: fc.nat(), head: hex(64) })),
  }),
  release: fc.record({ session: link, link, time, keys: fc.uniqueArray(id, { minLength: 1, maxLength: 5 }) }),
  heartbeat: fc.record({ linkId: hex(16), time, bootId: uuid, uptime: fc.nat(), proof: hex(64) }),
  store: fc.record({
    key: fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('base64')),
    grant: link,
  }),
};

const bodies: [keyof typeof good, z.ZodType][] = [
  ['open', openBody],
  ['release', releaseBody],
  ['heartbeat', heartbeatBody],
  ['store', storeBody],
];

/** True when the schema took the value; anything but its own refusal is a fault. */
function accepts(schema: z.ZodType, value: unknown): boolean {
  try {
    parseInput(schema, value);
    return true;
  } catch (error) {
    expect(isLatchkeyError(error, 'invalid_request')).toBe(true);
    expect((error as Error).message).toMatch(/^"[\w.-]+" [\x20-\x7e]+$/);
    return false;
  }
}

describe.each(bodies)('the body of %s', (name, schema) => {
  test('is taken when every field is as the page has it', () => {
    fc.assert(
      fc.property(good[name] as fc.Arbitrary<unknown>, (value) => accepts(schema, value)),
      { numRuns: 500 },
    );
  });

  test('is refused for any value of another shape, without an exception of another kind', () => {
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: true, withBigInt: true }), (value) => !accepts(schema, value)),
      runs,
    );
  });

  test('is refused with one field more, one less, or one of another type', () => {
    const other = fc.oneof(fc.constant(undefined), fc.double({ noInteger: true }), fc.boolean(), fc.constant([{}]));
    fc.assert(
      fc.property(good[name] as fc.Arbitrary<Record<string, unknown>>, fc.nat(), other, id, (value, at, odd, extra) => {
        const names = Object.keys(value);
        const picked = names[at % names.length] ?? '';
        const isFraction = typeof odd === 'number' && picked === 'uptime';
        if (!isFraction) expect(accepts(schema, { ...value, [picked]: odd })).toBe(false);
        if (!names.includes(extra)) expect(accepts(schema, { ...value, [extra]: 1 })).toBe(false);
        const { [picked]: _gone, ...rest } = value;
        return !accepts(schema, rest);
      }),
      { numRuns: 500 },
    );
  });
});

test('a link has one spelling: what is taken encodes back to the same text', () => {
  const near = fc.oneof(fc.string(), fc.base64String(), fc.stringMatching(/^[A-Za-z0-9_-]{43}$/), link);
  fc.assert(
    fc.property(near, (text) => {
      const result = linkText.safeParse(text);
      if (result.success) expect(result.data.toString('base64url')).toBe(text);
      if (result.success) expect(result.data).toHaveLength(32);
    }),
    runs,
  );
});

test('a key id never climbs, hides or ends a line', () => {
  const odd = fc.string({ unit: fc.constantFrom('a', 'Z', '0', '.', '_', '-', '/', '\\', '%', '\0', '\n', ' ', 'ä') });
  fc.assert(
    fc.property(odd, (text) => {
      const taken = keyId.safeParse(text).success;
      expect(taken).toBe(/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(text) && !/[\n]/.test(text) && text.length <= 128);
    }),
    runs,
  );
});

test('a stored key has one spelling and a bounded size', () => {
  const grant = 'A'.repeat(43);
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.base64String()), (key) => {
      const result = storeBody.safeParse({ key, grant });
      if (result.success) expect(result.data.key.toString('base64')).toBe(key);
    }),
    runs,
  );
  const tooLarge = Buffer.alloc(keyBytesLimit + 1).toString('base64');
  expect(storeBody.safeParse({ key: tooLarge, grant }).success).toBe(false);
  expect(storeBody.safeParse({ key: Buffer.alloc(keyBytesLimit).toString('base64'), grant }).success).toBe(true);
});

test('credentials of any shape are a caller, a 400 or a 401, and never repeated in the words', () => {
  const value = fc.oneof(fc.string(), fc.constant(undefined), fc.array(fc.string()), link, fc.constant('123456'));
  const headers = fc.record({ 'x-client': value, 'x-auth-token': value, 'x-totp': value });
  fc.assert(
    fc.property(headers, (record) => {
      try {
        readCaller(record, '10.0.0.1', 0);
      } catch (error) {
        if (!isLatchkeyError(error)) throw error;
        expect([400, 401]).toContain(error.status);
        expect(error.message).toMatch(/^("X-(Client|Auth-Token|TOTP)" )?[a-zA-Z0-9 :._-]+$/);
      }
    }),
    runs,
  );
});

test('no text that is not an address lies in any network', () => {
  fc.assert(
    fc.property(fc.string(), fc.array(fc.string(), { maxLength: 3 }), (address, networks) => {
      isWithin(address, networks);
      if (!/^[0-9a-fA-F:.%x]+$/.test(address)) expect(isWithin(address, ['0.0.0.0/0', '::/0'])).toBe(false);
    }),
    runs,
  );
});

test('an address lies in the network that its own bits name, and not in the neighbour', () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.integer({ min: 1, max: 32 }), (address, bits) => {
      const number = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
      const size = 2 ** (32 - bits);
      const first = Math.floor(number / size) * size;
      const spell = (n: number) => [24, 16, 8, 0].map((shift) => Math.floor(n / 2 ** shift) % 256).join('.');
      expect(isWithin(address, [`${spell(first)}/${bits}`])).toBe(true);
      expect(isWithin(`::ffff:${address}`, [`${spell(first)}/${bits}`])).toBe(true);
      const neighbour = (first + size) % 2 ** 32;
      expect(isWithin(address, [`${spell(neighbour)}/${bits}`])).toBe(false);
    }),
    runs,
  );
});
