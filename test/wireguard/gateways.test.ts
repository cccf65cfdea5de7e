import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MachineGauge, type MachineState, readMachine } from '../../wireguard/gateways/machine.ts';
import { NonceBook } from '../../wireguard/gateways/nonce-book.ts';
import { NonceBooks } from '../../wireguard/gateways/nonce-books.ts';
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
    // parts that begin and end as the text does, so that they could run into one another
    const part = fc.oneof(
      fc.stringMatching(/^[!-~]{1,8}$/),
      fc.constantFrom('POST', '1700000000', 'latchkey-gateway-1', '/a', ''),
    );
    const request = fc.tuple(part, part, part, part, fc.uint8Array({ maxLength: 3 }));
    fc.assert(
      fc.property(request, request, (a, b) => {
        const textOf = ([method, path, timestamp, nonce, body]: typeof a) =>
          signedText({ method, path, timestamp, nonce, body });
        const same = (one: typeof a) => JSON.stringify([...one.slice(0, 4), [...one[4]]]);
        expect(textOf(a) === textOf(b)).toBe(same(a) === same(b));
        expect(textOf(a)).toBe(textOf([...a]));
      }),
      { numRuns: 2000 },
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
  const now = 1_700_000_000_000;
  const at = now / 1000;

  test('is good once, as long as its request could be played again', () => {
    const book = new NonceBook();
    expect(book.use('n', at, now)).toBe(true);
    expect(book.use('m', at, now)).toBe(true);
    for (const later of [0, 1, WINDOW_SECONDS * 1000, 2 * WINDOW_SECONDS * 1000, 3 * WINDOW_SECONDS * 1000]) {
      expect(book.use('n', at, now + later)).toBe(false);
    }
  });

  test('is forgotten in the end, and a full book refuses all', () => {
    const book = new NonceBook(0, 3);
    for (const nonce of ['1', '2', '3']) expect(book.use(nonce, at, now)).toBe(true);
    expect(book.use('4', at, now)).toBe(false);
    expect(book.isIdle(now + 3 * WINDOW_SECONDS * 1000)).toBe(false);
    expect(book.isIdle(now + 4 * WINDOW_SECONDS * 1000)).toBe(true);
    const later = 5 * WINDOW_SECONDS;
    expect(book.use('1', at + later, now + later * 1000)).toBe(true);
  });

  test('that was forgotten stays refused by its time, when the clock goes forward and back again', () => {
    const book = new NonceBook();
    expect(book.use('n', at, now)).toBe(true);
    expect(book.use('o', at + 3600, now + 3_600_000)).toBe(true);
    for (const clock of [now, now + 7_200_000, now]) expect(book.use('n', at, clock)).toBe(false);
  });

  test('is not taken with a time at or before the one that was taken before the hub began', () => {
    const book = new NonceBook(at);
    expect(book.use('n', at - 1, now)).toBe(false);
    expect(book.use('n', at, now)).toBe(false);
    expect(book.use('n', at + 1, now)).toBe(true);
  });

  test('is booked for its secret alone, and the book of a secret that is gone is dropped in time', () => {
    const books = new NonceBooks();
    const [one, two, three] = [Buffer.from([1]), Buffer.from([2]), Buffer.from([3])];
    expect(books.of(one, 0, now).use('n', at, now)).toBe(true);
    expect(books.of(two, 0, now).use('n', at, now)).toBe(true);
    expect(books.of(Buffer.from([1]), 0, now).use('n', at, now)).toBe(false);
    const soon = now + 3 * WINDOW_SECONDS * 1000;
    expect(books.of(two, 0, soon).use('m', at + 3 * WINDOW_SECONDS, soon)).toBe(true);
    const later = now + 4 * WINDOW_SECONDS * 1000;
    expect(books.of(three, at, later).use('n', at, later)).toBe(false);
    expect(books.size).toBe(2);
  });

  test('is taken once of any that come, whatever the clock does', () => {
    const step = fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: -400, max: 2_000 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const book = new NonceBook();
        const taken = new Set<string>();
        let clock = now;
        for (const [nonce, seconds] of steps) {
          clock += seconds * 1000;
          const name = String(nonce);
          // one nonce comes with one time, as both are signed together
          const is = book.use(name, at + nonce * 100, clock);
          expect(is && taken.has(name)).toBe(false);
          if (is) taken.add(name);
        }
      }),
    );
  });
});

describe('a payload', () => {
  const call: PayloadCall = {
    direction: 'request',
    method: 'POST',
    path: '/api/v1/configurations/',
    nonce: 'AAAAAAAAAAAAAAAA',
    status: null,
  };

  test('opens for its own call only', () => {
    const sealed = sealPayload(SECRET, call, Buffer.from('hello'), randomBytes);
    expect(openPayload(SECRET, call, sealed).toString()).toBe('hello');
    for (const change of [
      { direction: 'response' },
      { method: 'PUT' },
      { path: '/' },
      { nonce: 'B' },
      { status: 200 },
    ] as const) {
      expect(() => openPayload(SECRET, { ...call, ...change }, sealed)).toThrowError(/does not open/);
    }
    expect(() => openPayload(Buffer.alloc(32), call, sealed)).toThrowError(/does not open/);
    expect(() => sealPayload(SECRET, { ...call, path: '/\n' }, Buffer.alloc(0), randomBytes)).toThrowError(TypeError);
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

describe('the gauge of the machine', () => {
  const idle: MachineState = {
    cores: 2,
    busy: 1_000,
    all: 10_000,
    memoryTotal: 4_096,
    memoryAvailable: 1_024,
    load: [0.123, 1, 2.999],
  };

  test('tells the use of the processor since it was asked before, and of no time too short to tell', () => {
    let now = idle;
    const gauge = new MachineGauge(() => now);
    const usage = (busy: number, all: number): number => {
      now = { ...now, busy: now.busy + busy, all: now.all + all };
      return gauge.report().cpu.usage;
    };
    expect(gauge.report()).toEqual({
      cpu: { cores: 2, usage: 0 },
      memory: { total: 4_096, available: 1_024, used: 3_072 },
      load: [0.12, 1, 3],
    });
    expect(usage(500, 2_000)).toBe(0.25);
    expect(usage(1_000, 1_000)).toBe(0.25); // half a second of each core
    expect(usage(500, 2_000)).toBe(0.5); // with the half before
    expect(usage(-9_999, 2_000)).toBe(0); // a core that was taken away
    expect(usage(9_999, 2_000)).toBe(1);
  });

  test('reads this machine', () => {
    const { cores, busy, all, memoryTotal, memoryAvailable } = readMachine();
    expect(cores).toBeGreaterThan(0);
    expect(all).toBeGreaterThanOrEqual(busy);
    expect(memoryTotal).toBeGreaterThan(memoryAvailable);
  });
});
