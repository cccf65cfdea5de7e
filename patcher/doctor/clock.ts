import { bad, type Finding, info, ok, spanWords, unknown, warn } from './finding.ts';

/** ms since 1970; `there` is whole seconds. */
export interface ClockEvidence {
  readonly there: number | null;
  readonly before: number;
  readonly after: number;
  /** Whether the server says its clock is set by others; `null` where it does not say. */
  readonly synchronised: boolean | null;
}

/** How far apart key server and client may be: its window for stamps. */
const WINDOW_MS = 60_000;
const NOTICED_MS = 5_000;

/** Pure: the server's clock against the one here. */
export function clockFindings({ there, before, after, synchronised }: ClockEvidence): Finding[] {
  if (there === null) return [unknown('clock_unknown', 'the clock of the server could not be read', { fix: 'date' })];
  // `there` was cut to a second, some time between the two
  const ahead = Math.max(0, there - after);
  const behind = Math.max(0, before - (there + 1000));
  const off = Math.max(ahead, behind);
  const fix = 'set time synchronisation right: timedatectl set-ntp true';
  if (off > NOTICED_MS) {
    const words = `the clock of the server is ${spanWords(off)} ${ahead > 0 ? 'ahead of' : 'behind'} the one here`;
    const why =
      'the key server refuses what is more than a minute off its own clock, and codes of one-time passwords fail sooner';
    return [off > WINDOW_MS ? bad('clock_off', words, { why, fix }) : warn('clock_off', words, { why, fix })];
  }
  if (synchronised === false) {
    return [info('clock_alone', 'the clock is right, but nothing keeps it so', { fix })];
  }
  return [ok('clock', 'the clock is right')];
}
