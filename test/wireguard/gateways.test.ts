import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NonceBook } from '../../wireguard/gateways/nonce-book.ts';
import { openPayload, type PayloadCall, sealPayload } from '../../wireguard/gateways/payload.ts';
import {
  isSignature,
  isTimely,
  type SignedParts,
  signatureOf,
  signedText,
  WINDOW_SECONDS,
} from '../../wireguard/gateways/signature.ts';
import { hasProgram } from '../harness/programs.ts';

const SECRET = Buffer.alloc(32, 7);
const PARTS: SignedParts = {
  method: 'POST',
  path: '/api/v1/configurations/?dry=1',
  timestamp: '1700000000',
  nonce: 'AAAAAAAAAAAAAAAAAAAAAA',
  body: Buffer.from('{"name":"käse"}'),
};

describe('a signature', () => {
  test('is the HMAC that Python’s hmac makes of the same lines', () => {
    const script = `
import hashlib, hmac, sys
body = sys.argv[1].encode()
text = "\\n".join(["latchkey-gateway-1", "POST", "/api/v1/configurations/?dry=1", "1700000000", "AAAAAAAAAAAAAAAAAAAAAA", hashlib.sha256(body).hexdigest()])
print(hmac.new(b"\\x07" * 32, text.encode(), hashlib.sha256).hexdigest())`;
    if (!hasProgram('python3')) throw new Error('python3 is not installed');
    const said = execFileSync('python3', ['-c', script, '{"name":"käse"}'], { encoding: 'utf8' }).trim();
    expect(signatureOf(SECRET, PARTS)).toBe(said);
  });

  test.each([
    ['method', { method: 'PUT' }],
    ['path', { path: '/api/v1/configurations/' }],
    ['time', { timestamp: '1700000001' }],
    ['nonce', { nonce: 'AAAAAAAAAAAAAAAAAAAAAB' }],
    ['body', { body: Buffer.from('{"name":"kase"}') }],
  ])('does not hold for another %s', (_, change) => {
    const signature = signatureOf(SECRET, PARTS);
    expect(isSignature(SECRET, PARTS, signature)).toBe(true);
    expect(isSignature(SECRET, { ...PARTS, ...change }, signature)).toBe(false);
    expect(isSignature(Buffer.alloc(32, 8), PARTS, signature)).toBe(false);
  });

  test.each(['', 'x', 'AB'.repeat(32), `${'ab'.repeat(32)} `, 'ab'.repeat(31)])('%j is none', (given) => {
    expect(isSignature(SECRET, PARTS, given)).toBe(false);
  });

  test('two requests never have one text', () => {
    expect(() => signedText({ ...PARTS, path: '/a\n1' })).toThrowError(TypeError);
    const part = fc.stringMatching(/^[!-~]{1,8}$/);
    fc.assert(
      fc.property(fc.tuple(part, part, part, part), fc.tuple(part, part, part, part), (a, b) => {
        const textOf = ([method, path, timestamp, nonce]: typeof a) =>
          signedText({ method, path, timestamp, nonce, body: Buffer.alloc(0) });
        expect(textOf(a) === textOf(b)).toBe(a.join() === b.join());
      }),
    );
  });
});

test('a time is good within the window, both ways, to the second', () => {
  const now = 1_700_000_000_000;
  const at = (seconds: number): string => String(now / 1000 + seconds);
  for (const offset of [0, WINDOW_SECONDS, -WINDOW_SECONDS]) expect(isTimely(at(offset), now)).toBe(true);
  for (const offset of [WINDOW_SECONDS + 1, -WINDOW_SECONDS - 1]) expect(isTimely(at(offset), now)).toBe(false);
  for (const text of ['', '0', '-1', '1e9', '1700000000.0', ' 1700000000', '01700000000'])
    expect(isTimely(text, now)).toBe(false);
});

describe('a nonce', () => {
  test('is good once for each gateway, as long as its request could be played again', () => {
    const book = new NonceBook();
    const now = 1_700_000_000_000;
    expect(book.use('a', 'n', now)).toBe(true);
    expect(book.use('b', 'n', now)).toBe(true);
    for (const later of [0, 1, WINDOW_SECONDS * 1000, 2 * WINDOW_SECONDS * 1000, 3 * WINDOW_SECONDS * 1000]) {
      expect(book.use('a', 'n', now + later)).toBe(false);
    }
  });

  test('is forgotten in the end, and a full book refuses all', () => {
    const book = new NonceBook(3);
    const now = 1_700_000_000_000;
    for (const nonce of ['1', '2', '3']) expect(book.use('a', nonce, now)).toBe(true);
    expect(book.use('a', '4', now)).toBe(false);
    expect(book.use('a', '1', now + 5 * WINDOW_SECONDS * 1000)).toBe(true);
  });
});

describe('a payload', () => {
  const call: PayloadCall = { direction: 'request', method: 'POST', path: '/api/v1/configurations/' };

  test('opens for its own call only', () => {
    const sealed = sealPayload(SECRET, call, Buffer.from('hello'), randomBytes);
    expect(openPayload(SECRET, call, sealed).toString()).toBe('hello');
    for (const change of [{ direction: 'response' }, { method: 'PUT' }, { path: '/' }] as const) {
      expect(() => openPayload(SECRET, { ...call, ...change }, sealed)).toThrowError(/does not open/);
    }
    expect(() => openPayload(Buffer.alloc(32), call, sealed)).toThrowError(/does not open/);
  });

  test('does not open with any bit turned, or cut', () => {
    const box = Buffer.from(sealPayload(SECRET, call, Buffer.from('hello'), randomBytes), 'base64');
    for (let bit = 0; bit < box.length * 8; bit++) {
      const turned = Buffer.from(box);
      turned[bit >> 3] = (turned[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => openPayload(SECRET, call, turned.toString('base64'))).toThrowError(/does not open/);
    }
    for (const text of ['', 'AAAA', '!', box.subarray(0, 27).toString('base64')]) {
      expect(() => openPayload(SECRET, call, text)).toThrowError(/does not open/);
    }
  });
});
