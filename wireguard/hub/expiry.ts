import { LatchkeyError } from '../../platform/errors.ts';

const UNITS = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000, y: 31_536_000_000 } as const;
/** RFC 3339 to the second, always with its offset: a time without one is another time elsewhere. */
const MOMENT = /^(\d{4})-(\d{2})-(\d{2})T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,3})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/;

/**
 * When something ends that is to last so long (`90m`, `12h`, `30d`, `2w`, `1y`) or until then (`2027-01-31T12:00:00Z`), in
 * milliseconds since 1970. Throws `invalid_request` (400, exit 2) naming the field.
 */
export function parseExpiry(text: string, now: number, field: string): number {
  const [, count, unit] = /^([1-9]\d{0,4})([mhdwy])$/.exec(text) ?? [];
  const at = count === undefined ? momentOf(text) : now + Number(count) * UNITS[unit as keyof typeof UNITS];
  if (at !== null && at > now && at <= LATEST) return at;
  const words =
    at === null ? 'must be a length such as 12h or 30d, or a time such as' : 'must be still to come, before';
  throw new LatchkeyError(
    'invalid_request',
    `"${field}" ${words} ${at === null ? '2027-01-31T12:00:00Z' : 'the year 10000'}`,
    {
      status: 400,
      exit: 2,
      field,
    },
  );
}

/** The last moment that has a year of four digits. */
const LATEST = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

function momentOf(text: string): number | null {
  const [, year, month, day] = MOMENT.exec(text) ?? [];
  if (year === undefined) return null;
  // Date takes the 31st of a short month for a day of the next one
  const date = new Date(`${year}-${month}-${day}T00:00:00Z`);
  if (Number.isNaN(date.getTime()) || date.toISOString().slice(0, 10) !== `${year}-${month}-${day}`) return null;
  return Date.parse(text);
}
