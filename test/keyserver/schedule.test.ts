import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isWithinSchedule, parseSchedule } from '../../keyserver/policy/schedule.ts';

const minute = 60_000;
const dayNames = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

function isOpen(text: string, at: string): boolean {
  return isWithinSchedule(parseSchedule(text), Date.parse(at));
}

describe('parseSchedule()', () => {
  test.each([
    '',
    'Europe/Berlin',
    'Europe/Nowhere mon 07:00-20:00',
    '+02:00 mon 07:00-20:00',
    'Europe/Berlin mon 7:00-20:00',
    'Europe/Berlin mon 07:00-24:01',
    'Europe/Berlin mon 24:00-07:00',
    'Europe/Berlin mon 07:60-08:00',
    'Europe/Berlin mon 07:00-07:00',
    'Europe/Berlin Mon 07:00-20:00',
    'Europe/Berlin moo 07:00-20:00',
    'Europe/Berlin mon-tue-wed 07:00-20:00',
    'Europe/Berlin mon 07:00-20:00,tue 07:00-20:00',
    'Europe/Berlin mon 07:00-20:00, ',
    'Europe/Berlin  mon 07:00-20:00',
    ' Europe/Berlin mon 07:00-20:00',
  ])('refuses %j', (text) => {
    expect(() => parseSchedule(text)).toThrow(expect.objectContaining({ code: 'invalid_request', field: 'schedule' }));
  });

  test('refuses more windows than anybody needs', () => {
    const windows = Array.from({ length: 33 }, () => 'mon 07:00-08:00').join(', ');
    expect(() => parseSchedule(`UTC ${windows}`)).toThrow(/1 to 32/);
  });

  test('takes days, ranges over the end of the week, and every day', () => {
    const days = (text: string) => parseSchedule(`UTC ${text} 00:00-24:00`).windows[0]?.days;
    expect(days('sun')).toEqual([0]);
    expect(days('mon-fri')).toEqual([1, 2, 3, 4, 5]);
    expect(days('fri-mon')).toEqual([5, 6, 0, 1]);
    expect(days('daily')).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });
});

describe('isWithinSchedule()', () => {
  const office = 'Europe/Berlin mon-fri 07:00-20:00, sat 09:00-12:30';

  test.each([
    ['2026-11-20T05:59:59Z', false], // friday, 06:59:59 there
    ['2026-11-20T06:00:00Z', true],
    ['2026-11-20T18:59:59Z', true],
    ['2026-11-20T19:00:00Z', false],
    ['2026-11-21T07:59:00Z', false],
    ['2026-11-21T11:29:00Z', true],
    ['2026-11-21T11:30:00Z', false],
    ['2026-11-22T10:00:00Z', false], // sunday
  ])('at %s: %s', (at, expected) => expect(isOpen(office, at)).toBe(expected));

  test('goes by the wall when clocks change: seven is an hour earlier by UTC in summer', () => {
    expect(isOpen(office, '2026-07-17T05:00:00Z')).toBe(true);
    expect(isOpen(office, '2026-07-17T04:59:59Z')).toBe(false);
    expect(isOpen('America/New_York daily 07:00-08:00', '2026-03-07T12:00:00Z')).toBe(true);
    expect(isOpen('America/New_York daily 07:00-08:00', '2026-03-08T12:00:00Z')).toBe(false); // set on that night
    expect(isOpen('America/New_York daily 07:00-08:00', '2026-03-08T11:00:00Z')).toBe(true);
  });

  test('has the hour that comes twice twice, and the one that never comes never', () => {
    const night = 'Europe/Berlin sun 02:00-03:00';
    for (const at of ['2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z']) expect(isOpen(night, at)).toBe(true);
    expect(isOpen(night, '2026-10-25T02:00:00Z')).toBe(false);
    for (const at of ['2026-03-29T00:59:59Z', '2026-03-29T01:00:00Z']) expect(isOpen(night, at)).toBe(false);
  });

  test('lets a window over midnight end on the day after the one it is of', () => {
    const night = 'UTC fri 22:00-06:00';
    expect(isOpen(night, '2026-11-20T21:59:00Z')).toBe(false);
    expect(isOpen(night, '2026-11-20T22:00:00Z')).toBe(true);
    expect(isOpen(night, '2026-11-21T05:59:00Z')).toBe(true);
    expect(isOpen(night, '2026-11-21T06:00:00Z')).toBe(false);
    expect(isOpen(night, '2026-11-20T05:00:00Z')).toBe(false); // the night before is thursday's
  });

  const time = fc.integer({ min: Date.UTC(2020, 0), max: Date.UTC(2040, 0) });
  const ofDay = fc.integer({ min: 0, max: 1439 });
  const clock = (at: number) => `${String(Math.floor(at / 60)).padStart(2, '0')}:${String(at % 60).padStart(2, '0')}`;

  test('is what counting minutes since Sunday says, in zones that never change', () => {
    fc.assert(
      fc.property(
        time,
        fc.integer({ min: 0, max: 6 }),
        ofDay,
        ofDay,
        fc.integer({ min: -12, max: 12 }),
        (now, day, from, to, ahead) => {
          fc.pre(from !== to);
          const zone = ahead === 0 ? 'Etc/GMT' : `Etc/GMT${ahead > 0 ? '-' : '+'}${Math.abs(ahead)}`; // POSIX turns the sign
          const text = `${zone} ${dayNames[day]} ${clock(from)}-${clock(to)}`;
          const local = now + ahead * 60 * minute;
          const since = (Math.floor(local / minute) + 4 * 1440) % 10_080; // 1970 began on a Thursday
          const length = (to - from + 1440) % 1440;
          const into = (since - (day * 1440 + from) + 10_080) % 10_080;
          expect(isWithinSchedule(parseSchedule(text), now)).toBe(into < length);
        },
      ),
    );
  });

  test('never refuses when the windows cover the week, wherever and whenever', () => {
    const zones = fc.constantFrom('Europe/Berlin', 'America/St_Johns', 'Australia/Lord_Howe', 'Africa/Cairo', 'UTC');
    fc.assert(
      fc.property(time, zones, ofDay, (now, zone, split) => {
        fc.pre(split > 0);
        const text = `${zone} daily 00:00-${clock(split)}, daily ${clock(split)}-24:00`;
        expect(isWithinSchedule(parseSchedule(text), now)).toBe(true);
      }),
    );
  });
});
