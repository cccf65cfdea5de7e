import { describe, expect, test } from 'vitest';
import { enrolledWith, likenessOf } from '../../keyserver/policy/known-machine.ts';

const a = 'a'.repeat(64);
const b = 'b'.repeat(64);
const [settled, now] = [100, 200];
const nobody = { web: null, command: null };

describe('likenessOf(), once the client is set up', () => {
  test.each([
    // shown, reason, web, command, likeness
    [b, 'cold', a, null, 'differs'],
    [b, 'expired', a, a, 'differs'],
    [b, 'verify', a, null, 'differs'],
    [b, 'cold', 'none', a, 'differs'],
    [b, 'cold', null, a, 'differs'],
    [null, 'cold', a, null, 'missing'],
    [null, 'cold', a, 'none', 'missing'],
    [null, 'cli:cron', a, null, 'missing'],
    [a, 'cold', a, null, 'known'],
    [a, 'cli:cron', a, null, 'known'],
    [a, 'cold', 'none', a, 'known'],
    [a, 'cold', b, a, 'known'],
    [null, 'cold', 'none', a, 'known'],
    [null, 'restore', 'none', 'none', 'known'],
    [a, 'cold', null, null, 'first'],
    [null, 'cold', null, null, 'first'],
    [a, 'cold', 'none', null, 'first'],
    [null, 'verify', 'none', null, 'first'],
  ] as const)('%s by %s against web %s and command %s: %s', (shown, reason, web, command, likeness) => {
    expect(likenessOf(shown, reason, { web, command }, settled, now)).toBe(likeness);
  });
});

describe('likenessOf(), while the client is being set up', () => {
  test('learns the second of the two surroundings, whatever it may see of the machine', () => {
    for (const shown of [b, null])
      expect(likenessOf(shown, 'cold', { web: null, command: a }, now + 1, now)).toBe('first');
  });

  test('holds each of them to what it showed first', () => {
    expect(likenessOf(b, 'verify', { web: null, command: a }, now + 1, now)).toBe('differs');
    expect(likenessOf(null, 'verify', { web: null, command: a }, null, now)).toBe('missing');
  });
});

test('enrolledWith() makes it the fingerprint of its surroundings alone', () => {
  expect(enrolledWith(a, 'cold', nobody)).toEqual({ web: a, command: null });
  expect(enrolledWith(null, 'cli:x', { web: a, command: b })).toEqual({ web: a, command: 'none' });
});
