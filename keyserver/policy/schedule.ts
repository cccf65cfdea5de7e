import { LatchkeyError } from '../../platform/errors.ts';

/** A stretch of a local day. */
interface Window {
  /** 0 is Sunday. */
  readonly days: readonly number[];
  /** Minutes since local midnight; `to` may be 1440, and is earlier than `from` where the window ends the next day. */
  readonly from: number;
  readonly to: number;
}

/** When a client may fetch keys, by the clock on the wall of one place. */
export interface Schedule {
  /** An IANA name, as `Europe/Berlin`. */
  readonly zone: string;
  readonly windows: readonly Window[];
  /** The one spelling of it: `Europe/Berlin mon-fri 07:00-20:00, sat 09:00-12:30`. */
  readonly text: string;
}

const dayNames = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
const windowLimit = 32;
const windowForm = /^(daily|[a-z]{3}(?:-[a-z]{3})?) ([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})$/;

/**
 * Reads `ZONE DAYS HH:MM-HH:MM, DAYS HH:MM-HH:MM, …`. DAYS is a day, a range of days (`fri-mon` goes over the weekend) or
 * `daily`. A window that ends before it begins ends on the next day. Throws `invalid_request` naming what is wrong.
 */
export function parseSchedule(text: string): Schedule {
  const space = text.indexOf(' ');
  const zone = space === -1 ? text : text.slice(0, space);
  if (!isZone(zone)) throw malformed('must begin with an IANA time zone such as Europe/Berlin');
  const parts = space === -1 ? [] : text.slice(space + 1).split(', ');
  if (parts.length === 0 || parts.length > windowLimit) throw malformed(`must name 1 to ${windowLimit} windows`);
  return { zone, windows: parts.map(parseWindow), text };
}

/** Whether `now` (milliseconds since 1970) lies in one of the windows: from the first minute on, up to the last. */
export function isWithinSchedule({ zone, windows }: Schedule, now: number): boolean {
  const { day, minute } = wallClock(zone, now);
  const yesterday = (day + 6) % 7;
  return windows.some(({ days, from, to }) => {
    if (from < to) return days.includes(day) && minute >= from && minute < to;
    return (days.includes(day) && minute >= from) || (days.includes(yesterday) && minute < to);
  });
}

/** What the clock on the wall shows; where clocks are set back an hour comes twice, where they are set on it never comes. */
function wallClock(zone: string, now: number): { readonly day: number; readonly minute: number } {
  let day = 0;
  let minute = 0;
  for (const { type, value } of clockOf(zone).formatToParts(now)) {
    if (type === 'weekday') day = dayNames.indexOf(value.toLowerCase() as (typeof dayNames)[number]);
    if (type === 'hour') minute += Number(value) * 60;
    if (type === 'minute') minute += Number(value);
  }
  return { day, minute };
}

const clocks = new Map<string, Intl.DateTimeFormat>();

function clockOf(zone: string): Intl.DateTimeFormat {
  const known = clocks.get(zone);
  if (known !== undefined) return known;
  const clock = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  clocks.set(zone, clock); // as many as there are zones
  return clock;
}

/** Names alone: `+02:00` is no place, and would be wrong for half of the year. */
function isZone(text: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+/-]{1,63}$/.test(text)) return false;
  try {
    clockOf(text);
    return true;
  } catch {
    return false; // Intl knows no such zone
  }
}

function parseWindow(text: string): Window {
  const [, days = '', ...digits] = windowForm.exec(text) ?? [];
  const [fromHour = 99, fromMinute = 99, toHour = 99, toMinute = 99] = digits.map(Number);
  const from = fromHour * 60 + fromMinute;
  const to = toHour * 60 + toMinute;
  if (fromHour > 23 || fromMinute > 59 || toMinute > 59 || to > 1440 || from === to) {
    throw malformed('must have windows such as mon-fri 07:00-20:00, one behind the other with a comma and a space');
  }
  return { days: parseDays(days), from, to };
}

function parseDays(text: string): readonly number[] {
  if (text === 'daily') return [0, 1, 2, 3, 4, 5, 6];
  const [first = -1, last = first] = text.split('-').map((name) => (dayNames as readonly string[]).indexOf(name));
  if (first === -1 || last === -1) throw malformed('must name days as mon, mon-fri or daily');
  return Array.from({ length: ((last - first + 7) % 7) + 1 }, (_, index) => (first + index) % 7);
}

function malformed(words: string): LatchkeyError {
  return new LatchkeyError('invalid_request', `"schedule" ${words}`, { exit: 2, field: 'schedule' });
}
