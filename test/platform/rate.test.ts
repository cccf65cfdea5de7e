import { describe, expect, test } from 'vitest';
import { RateLimiter } from '../../platform/rate.ts';

const policy = { perHour: 60, burst: 30, lockout: true };
const minute = 60_000;

/** One judged call; true when the limiter let it through. */
function call(
  limiter: RateLimiter,
  outcome: 'served' | 'refused',
  now: number,
  client = 'lk-1',
  source = '10.0.0.1',
  kind: 'exchange' | 'heartbeat' | 'free' = 'exchange',
  rules = policy,
): boolean {
  limiter.enter(client, source);
  const view = limiter.look(client, source, rules, kind, now);
  limiter.settle(client, source, rules, kind, view.allowed ? outcome : 'dropped', now);
  return view.allowed;
}

describe('a client', () => {
  test('is refused after its burst, told when to come back, and let through then', () => {
    const limiter = new RateLimiter();
    for (let n = 0; n < 30; n++) expect(call(limiter, 'served', 1000)).toBe(true);
    expect(call(limiter, 'served', 1000)).toBe(false);
    expect(limiter.look('lk-1', '10.0.0.1', policy, 'exchange', 1000)).toEqual({
      allowed: false,
      retryAfter: 60,
      bound: 'client',
    });
    expect(call(limiter, 'served', 1000 + minute - 1)).toBe(false);
    expect(call(limiter, 'served', 1000 + minute)).toBe(true);
    expect(call(limiter, 'served', 1000 + minute)).toBe(false);
  });

  test('does not pay for another client, nor its exchanges for its heartbeats', () => {
    const limiter = new RateLimiter();
    for (let n = 0; n < 31; n++) call(limiter, 'served', 0);
    expect(call(limiter, 'served', 0, 'lk-2')).toBe(true);
    expect(call(limiter, 'served', 0, 'lk-1', '10.0.0.1', 'heartbeat')).toBe(true);
    expect(call(limiter, 'served', 0, 'lk-1', '10.0.0.1', 'free')).toBe(true);
  });

  test('is not shut out by somebody who fails in its name elsewhere', () => {
    const limiter = new RateLimiter();
    call(limiter, 'served', 0);
    for (let n = 0; n < 100; n++) call(limiter, 'refused', n, 'lk-1', '10.0.0.66');
    expect(call(limiter, 'served', 200)).toBe(true);
  });
});

describe('failures', () => {
  test('lock a pair out for a time that doubles, to an hour at most', () => {
    const limiter = new RateLimiter();
    for (let n = 0; n < 5; n++) expect(call(limiter, 'refused', 0)).toBe(true);
    const waits: number[] = [];
    let now = 0;
    for (let n = 0; n < 14; n++) {
      const view = limiter.look('lk-1', '10.0.0.1', policy, 'free', now);
      expect(view.bound).toBe('lockout');
      waits.push(view.retryAfter);
      now += view.retryAfter * 1000;
      limiter.enter('lk-1', '10.0.0.1');
      limiter.settle('lk-1', '10.0.0.1', policy, 'free', 'refused', now);
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]);
  });

  test('are forgiven by a call that proves everything, not by a heartbeat', () => {
    const limiter = new RateLimiter();
    for (let n = 0; n < 4; n++) call(limiter, 'refused', 0);
    call(limiter, 'served', 0, 'lk-1', '10.0.0.1', 'heartbeat');
    call(limiter, 'refused', 0);
    expect(call(limiter, 'served', 0)).toBe(false);
    expect(call(limiter, 'served', 1000)).toBe(true);
    for (let n = 0; n < 4; n++) expect(call(limiter, 'refused', 1001)).toBe(true);
    expect(call(limiter, 'served', 1002)).toBe(true);
  });

  test('of many names from one source end that source, but not who proved itself there', () => {
    const limiter = new RateLimiter();
    call(limiter, 'served', 0, 'lk-honest');
    let let_through = 0;
    for (let n = 0; n < 1000; n++) if (call(limiter, 'refused', 0, `lk-${n}`)) let_through += 1;
    expect(let_through).toBe(30);
    expect(limiter.look('lk-new', '10.0.0.1', policy, 'exchange', 0).bound).toBe('source');
    expect(call(limiter, 'served', 0, 'lk-honest')).toBe(true);
    expect(call(limiter, 'served', 0, 'lk-new', '10.0.0.2')).toBe(true);
  });

  test('from everywhere end in an overall limit for those who proved nothing', () => {
    const limiter = new RateLimiter();
    call(limiter, 'served', 0, 'lk-honest', '10.1.0.1');
    let let_through = 0;
    for (let n = 0; n < 2000; n++) {
      if (call(limiter, 'refused', 0, `lk-${n}`, `10.0.${n >> 8}.${n & 255}`)) let_through += 1;
    }
    expect(let_through).toBe(600);
    expect(limiter.look('lk-x', '10.9.9.9', policy, 'exchange', 0).bound).toBe('overall');
    expect(call(limiter, 'served', 0, 'lk-honest', '10.1.0.1')).toBe(true);
  });

  test('under way at the same time are bounded, so that parallel guesses do not outrun the count', () => {
    const limiter = new RateLimiter();
    let allowed = 0;
    for (let n = 0; n < 100; n++) {
      limiter.enter('lk-1', '10.0.0.1');
      if (limiter.look('lk-1', '10.0.0.1', policy, 'exchange', 0).allowed) allowed += 1;
    }
    expect(allowed).toBe(16);
  });

  test('lock nobody out where the policy says so, and the rate still holds', () => {
    const limiter = new RateLimiter();
    const open = { ...policy, lockout: false };
    for (let n = 0; n < 200; n++) call(limiter, 'refused', 0, 'lk-1', '10.0.0.1', 'exchange', open);
    for (let n = 0; n < 30; n++) {
      expect(call(limiter, 'served', 0, 'lk-1', '10.0.0.1', 'exchange', open)).toBe(true);
    }
    expect(call(limiter, 'served', 0, 'lk-1', '10.0.0.1', 'exchange', open)).toBe(false);
  });
});

test('memory stays bounded under a flood of names, and the least recently used leave first', () => {
  const limiter = new RateLimiter(100);
  const open = { ...policy, lockout: false };
  for (let n = 0; n < 5000; n++) call(limiter, 'served', n, `lk-${n}`, `10.0.0.${n & 255}`, 'exchange', open);
  expect(limiter.size).toBeLessThanOrEqual(200);
});

test('a clock that is set back locks nobody out for longer than an hour', () => {
  const limiter = new RateLimiter();
  const later = 10 * 24 * 60 * minute;
  for (let n = 0; n < 20; n++) {
    limiter.enter('lk-1', '10.0.0.1');
    limiter.settle('lk-1', '10.0.0.1', policy, 'exchange', 'refused', later);
  }
  expect(limiter.look('lk-1', '10.0.0.1', policy, 'exchange', 0).retryAfter).toBeLessThanOrEqual(3600);
});
