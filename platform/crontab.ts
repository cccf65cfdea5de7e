import { LatchkeyError } from './errors.ts';

/** crontab(5): the line goes to a shell, and `%` ends it unless escaped. */
export function quoteForCron(text: string): string {
  if (/\p{Cc}/u.test(text)) throw new TypeError('a word of a crontab holds a control character');
  const quoted = /^[\w@:.,/+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
  return quoted.replaceAll('%', '\\%');
}

/** When a crontab starts what is due each so many seconds, as `everySeconds` answers them. */
export function cronTime(seconds: number): string {
  const minutes = seconds / 60;
  if (minutes < 60) return minutes === 1 ? '* * * * *' : `*/${minutes} * * * *`;
  const hours = minutes / 60;
  if (hours === 24) return '0 0 * * *';
  return hours === 1 ? '0 * * * *' : `0 */${hours} * * *`;
}

/** `5m`, `2h`: only what divides an hour or a day, so that a crontab can say it. */
export function everySeconds(text: string): number {
  const [, digits = '', unit = ''] = /^([1-9][0-9]?)(m|h)$/.exec(text) ?? [];
  const count = Number(digits);
  const fits = unit === 'm' ? 60 % count === 0 : unit === 'h' && 24 % count === 0;
  if (fits) return count * (unit === 'm' ? 60 : 3600);
  throw new LatchkeyError(
    'usage',
    `"--every" must be minutes that divide an hour or hours that divide a day, got "${text}"`,
    {
      exit: 2,
      field: '--every',
      hint: 'such as 5m, 15m, 1h, 6h',
    },
  );
}
