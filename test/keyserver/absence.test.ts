import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  absenceFrom,
  absenceNow,
  absenceText,
  type Gap,
  isSettling,
  joined,
  type Presence,
  uncovered,
} from '../../keyserver/presence/absence.ts';

const minute = 60_000;
const limit = 10 * minute;
const boot = '6f1b7a52-0000-4000-8000-0123456789ab';
const other = '6f1b7a52-0000-4000-8000-0123456789ac';
const start = 1_000 * minute;

function presence(change: Partial<Presence> = {}): Presence {
  return { presentAt: start, settledAt: 0, bootId: boot, absence: null, ...change };
}

describe('absenceNow()', () => {
  test('is an absence from one millisecond over the limit on', () => {
    expect(absenceNow(presence(), boot, [], limit, start + limit)).toBeNull();
    expect(absenceNow(presence(), boot, [], limit, start + limit + 1)).toEqual({
      since: start,
      until: start + limit + 1,
      kind: 'away',
    });
  });

  test('misses nothing before the first heartbeat and before the first release', () => {
    expect(absenceNow(presence({ presentAt: null }), boot, [], limit, start * 9)).toBeNull();
    expect(absenceNow(presence({ settledAt: null }), boot, [], limit, start * 9)).toBeNull();
  });

  test('counts from the end of being set up', () => {
    const young = presence({ settledAt: start + 30 * minute });
    expect(absenceNow(young, boot, [], limit, start + 40 * minute)).toBeNull();
    expect(absenceNow(young, boot, [], limit, start + 40 * minute + 1)?.since).toBe(start + 30 * minute);
  });

  const down: Gap = { since: start + minute, until: start + 60 * minute };

  test('is the key server’s own when it was away itself and the machine was not started anew', () => {
    expect(absenceNow(presence(), boot, [down], limit, start + 61 * minute)?.kind).toBe('own');
  });

  test('is not the key server’s own when the machine was started anew, or cannot tell', () => {
    expect(absenceNow(presence(), other, [down], limit, start + 61 * minute)?.kind).toBe('away');
    expect(absenceNow(presence(), null, [down], limit, start + 61 * minute)?.kind).toBe('away');
    expect(absenceNow(presence({ bootId: null }), null, [down], limit, start + 61 * minute)?.kind).toBe('away');
  });

  test('is not the key server’s own when the client was silent for too long while it was there', () => {
    expect(absenceNow(presence(), boot, [down], limit, start + 69 * minute)?.kind).toBe('own');
    expect(absenceNow(presence(), boot, [down], limit, start + 69 * minute + 1)?.kind).toBe('away');
  });

  test('sees no absence when the clock was set back', () => {
    expect(absenceNow(presence(), boot, [], limit, start - 999 * minute)).toBeNull();
  });
});

describe('isSettling()', () => {
  test('until the hour after the first release is over', () => {
    expect([isSettling(null, 5), isSettling(6, 5), isSettling(5, 5)]).toEqual([true, true, false]);
  });
});

const times = fc.integer({ min: 0, max: 200 });
const gaps = fc.array(
  fc.tuple(times, times).map(([a, b]) => ({ since: Math.min(a, b), until: Math.max(a, b) })),
  { maxLength: 6 },
);

test('uncovered() counts the milliseconds that are in no cover, however those overlap', () => {
  fc.assert(
    fc.property(times, times, gaps, (a, b, covers) => {
      const gap = { since: Math.min(a, b), until: Math.max(a, b) };
      let count = 0;
      for (let at = gap.since; at < gap.until; at++) {
        if (!covers.some(({ since, until }) => since <= at && at < until)) count += 1;
      }
      expect(uncovered(gap, covers)).toBe(count);
    }),
  );
});

test('a longer silence is never judged more mildly, and an own gap never makes it graver', () => {
  const grade = (absence: ReturnType<typeof absenceNow>) => (absence === null ? 0 : absence.kind === 'own' ? 1 : 2);
  fc.assert(
    fc.property(times, gaps, times, times, (silence, own, more, max) => {
      const known = presence({ presentAt: 50 });
      const before = grade(absenceNow(known, boot, own, max, 50 + silence));
      const without = grade(absenceNow(known, boot, [], max, 50 + silence));
      expect(without).toBeGreaterThanOrEqual(before);
      const settled = own.filter(({ until }) => until <= 50 + silence); // what was known of the server then
      expect(grade(absenceNow(known, boot, settled, max, 50 + silence + more))).toBeGreaterThanOrEqual(
        grade(absenceNow(known, boot, settled, max, 50 + silence)),
      );
    }),
  );
});

test('whatever heartbeats come, an absence is there in the end if and only if there was one, with its graver kind', () => {
  const pause = fc.record({ length: fc.integer({ min: 1, max: 40 }), reboots: fc.boolean(), covered: fc.boolean() });
  fc.assert(
    fc.property(fc.array(pause, { maxLength: 12 }), (pauses) => {
      let known = presence({ bootId: 'boot 0', presentAt: 0 });
      let now = 0;
      let boots = 0;
      const kinds: string[] = [];
      for (const { length, reboots, covered } of pauses) {
        const from = now;
        now += length * minute;
        if (reboots) boots += 1;
        const bootId = `boot ${boots}`;
        const own = covered ? [{ since: from + 1, until: now - 1 }] : [];
        const seen = absenceNow(known, bootId, own, limit, now);
        known = { ...known, presentAt: now, bootId, absence: joined(known.absence, seen) };
        if (length > 10) kinds.push(covered && !reboots ? 'own' : 'away');
      }
      const expected = kinds.length === 0 ? null : kinds.includes('away') ? 'away' : 'own';
      expect(known.absence?.kind ?? null).toBe(expected);
    }),
  );
});

describe('joined()', () => {
  const away = { since: 10, until: 20, kind: 'away' } as const;
  const own = { since: 15, until: 30, kind: 'own' } as const;

  test('forgets nothing, and the graver kind stays', () => {
    expect(joined(null, null)).toBeNull();
    expect(joined(away, null)).toEqual(away);
    expect(joined(null, own)).toEqual(own);
    expect(joined(away, own)).toEqual({ since: 10, until: 30, kind: 'away' });
    expect(joined(own, own)?.kind).toBe('own');
  });
});

test('absenceText() and absenceFrom() are each other’s reverse', () => {
  for (const absence of [null, { since: 1, until: 2, kind: 'own' }, { since: 1, until: 2, kind: 'away' }] as const) {
    expect(absenceFrom(absenceText(absence))).toEqual(absence);
  }
});
