import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { run } from '../../platform/run.ts';
import {
  generateKeyPair,
  generatePresharedKey,
  keyFromHex,
  keyToHex,
  parseKey,
  parsePublicKey,
  publicKeyOf,
} from '../../wireguard/keys.ts';
import { hasProgram } from '../harness/programs.ts';

const base64 = (hex: string): string => Buffer.from(hex, 'hex').toString('base64');

describe('parseKey()', () => {
  test.each([
    ['nothing', ''],
    ['31 bytes', Buffer.alloc(31, 1).toString('base64')],
    ['33 bytes', Buffer.alloc(33, 1).toString('base64')],
    ['no padding', base64('11'.repeat(32)).slice(0, -1)],
    ['base64url', `${'-'.repeat(43)}=`],
    ['a blank at its end', `${base64('11'.repeat(32))} `],
    ['hex', '11'.repeat(32)],
    ['bits behind the last byte', `${'A'.repeat(42)}B=`],
  ])('refuses %s, and names the field', (_, text) => {
    expect(() => parseKey(text, 'publicKey')).toThrowError(/"publicKey" must be a key/);
  });

  test('takes every 32 bytes in their one spelling', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
        expect(parseKey(Buffer.from(bytes).toString('base64'), 'k')).toEqual(Buffer.from(bytes));
      }),
    );
  });
});

describe('parsePublicKey()', () => {
  // the points of order 1, 2, 4 and 8, and their spellings beyond the prime
  test.each([
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ])('refuses the point of low order %s', (hex) => {
    expect(() => parsePublicKey(base64(hex), 'publicKey')).toThrowError(/low order/);
  });

  test('refuses a key whose top bit is set: it would be a second name of another', () => {
    const { publicKey } = generateKeyPair();
    const raw = Buffer.from(publicKey, 'base64');
    raw[31] = (raw[31] ?? 0) | 0x80;
    expect(() => parsePublicKey(raw.toString('base64'), 'publicKey')).toThrowError(/top bit/);
  });

  test('takes a key of its own making', () => {
    const { publicKey } = generateKeyPair();
    expect(parsePublicKey(publicKey, 'publicKey')).toBe(publicKey);
  });
});

describe('key pairs', () => {
  // RFC 7748, section 6.1
  test.each([
    [
      '77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a',
      '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a',
    ],
    [
      '5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb',
      'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f',
    ],
  ])('have the public half that RFC 7748 tells', (privateHex, publicHex) => {
    expect(publicKeyOf(base64(privateHex))).toBe(base64(publicHex));
  });

  test('are clamped as wg genkey does, and their halves belong together', () => {
    for (let i = 0; i < 50; i++) {
      const { privateKey, publicKey } = generateKeyPair();
      const raw = Buffer.from(privateKey, 'base64');
      expect((raw[0] ?? 0) & 7).toBe(0);
      expect((raw[31] ?? 0) & 0xc0).toBe(0x40);
      expect(publicKeyOf(privateKey)).toBe(publicKey);
    }
  });

  test.runIf(hasProgram('wg'))('have the public half that wg pubkey tells', async () => {
    for (let i = 0; i < 5; i++) {
      const { privateKey, publicKey } = generateKeyPair();
      const { stdout } = await run(['wg', 'pubkey'], { input: `${privateKey}\n`, timeoutMs: 5000 });
      expect(stdout.toString('utf8').trim()).toBe(publicKey);
    }
  });
});

test('keys go to the control socket and back; the all-zero key means none', () => {
  const { publicKey } = generateKeyPair();
  expect(keyFromHex(keyToHex(publicKey))).toBe(publicKey);
  expect(keyFromHex('0'.repeat(64))).toBeNull();
  expect(() => keyFromHex('abc')).toThrowError(/64 hex digits/);
});

test('a preshared key is 32 bytes of the randomness it was given', () => {
  expect(generatePresharedKey((size) => Buffer.alloc(size, 7))).toBe(Buffer.alloc(32, 7).toString('base64'));
  expect(generatePresharedKey(randomBytes)).not.toBe(generatePresharedKey(randomBytes));
});
