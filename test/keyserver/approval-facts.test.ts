import { describe, expect, test } from 'vitest';
import { type ApprovalFacts, comparisonsOf, lengthText } from '../../keyserver/approvals/facts.ts';

const print = 'a'.repeat(64);

const alike: ApprovalFacts = {
  call: 'open',
  reason: 'cold',
  now: { time: 9, source: '10.8.0.2', bootId: 'boot', fingerprint: print },
  before: { source: '10.8.0.2', bootId: 'boot', fingerprint: print, heardAt: 1, presentAt: 1, releasedAt: 1 },
  absence: null,
};

const differing = (facts: ApprovalFacts) =>
  comparisonsOf(facts)
    .filter(({ differs }) => differs)
    .map(({ fact }) => fact);

describe('comparisonsOf()', () => {
  test('finds each fact that differs, and no other', () => {
    const { now } = alike;
    expect(differing({ ...alike, now: { ...now, source: '10.8.0.3' } })).toEqual(['address']);
    expect(differing({ ...alike, now: { ...now, bootId: 'another' } })).toEqual(['boot']);
    expect(differing({ ...alike, now: { ...now, bootId: null } })).toEqual(['boot']);
    expect(differing({ ...alike, now: { ...now, fingerprint: 'b'.repeat(64) } })).toEqual(['fingerprint']);
    expect(differing({ ...alike, now: { ...now, fingerprint: null } })).toEqual(['fingerprint']);
    expect(differing({ ...alike, absence: { since: 1, until: 2, kind: 'own' } })).toEqual(['presence']);
    expect(differing(alike)).toEqual([]);
  });

  test('calls nothing different that there is nothing to compare with', () => {
    const nothing = { source: null, bootId: null, fingerprint: null, heardAt: null, presentAt: null, releasedAt: null };
    expect(differing({ ...alike, before: nothing })).toEqual([]);
  });

  test('has no difference in a client that never sent a fingerprint', () => {
    const { now, before } = alike;
    const silent = { now: { ...now, fingerprint: null }, before: { ...before, fingerprint: 'none' } };
    expect(differing({ ...alike, ...silent })).toEqual([]);
  });

  test('says what may be behind a difference, and how long an absence was', () => {
    const [, , , presence] = comparisonsOf({ ...alike, absence: { since: 0, until: 11_280_000, kind: 'away' } });
    expect(presence).toMatchObject({ now: 'away for 3 h 8 min', meaning: expect.stringContaining('copied') });
    expect(comparisonsOf(alike).every(({ meaning }) => meaning === '')).toBe(true);
  });
});

test.each([
  [59_999, '0 min'],
  [60_000, '1 min'],
  [3_599_999, '59 min'],
  [3_600_000, '1 h'],
  [5_460_000, '1 h 31 min'],
  [172_800_000, '2 d'],
  [176_400_000, '2 d 1 h'],
])('lengthText(%i) is %s', (ms, text) => expect(lengthText(ms)).toBe(text));
