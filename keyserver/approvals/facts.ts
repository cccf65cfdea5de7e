import type { Absence } from '../presence/absence.ts';

/** What a person who has to say yes or no is shown. Everything under `now` but the source is said by the caller. */
export interface ApprovalFacts {
  readonly call: 'open' | 'key';
  readonly reason: string;
  readonly now: {
    readonly time: number;
    readonly source: string;
    readonly bootId: string | null;
    readonly fingerprint: string | null;
  };
  /** What was last seen of the client. */
  readonly before: {
    readonly source: string | null;
    readonly bootId: string | null;
    /** The enrolled one; `none` when it never sent one, `null` before the first release. */
    readonly fingerprint: string | null;
    readonly heardAt: number | null;
    readonly presentAt: number | null;
    readonly releasedAt: number | null;
  };
  readonly absence: Absence | null;
}

/** One fact beside what it was last time. */
export interface Comparison {
  readonly fact: 'address' | 'boot' | 'fingerprint' | 'presence';
  /** `null` is unknown. */
  readonly before: string | null;
  readonly now: string | null;
  readonly differs: boolean;
  /** What may be behind a difference, in a few words; empty without one. */
  readonly meaning: string;
}

/** What differs from last time, each fact once, in the order in which to look at them. */
export function comparisonsOf({ now, before, absence }: ApprovalFacts): readonly Comparison[] {
  const fingerprint = now.fingerprint ?? 'none';
  return [
    compare('address', before.source, now.source, 'asked from somewhere else than the last message'),
    compare('boot', before.bootId, now.bootId, 'the machine was started anew, or this is another one'),
    compare('fingerprint', before.fingerprint, fingerprint, 'hardware was changed, or this is another machine'),
    presenceOf(absence),
  ];
}

function compare(fact: Comparison['fact'], before: string | null, now: string | null, meaning: string): Comparison {
  const differs = before !== null && before !== now;
  return { fact, before, now, differs, meaning: differs ? meaning : '' };
}

function presenceOf(absence: Absence | null): Comparison {
  if (absence === null) return { fact: 'presence', before: 'heard', now: 'heard', differs: false, meaning: '' };
  const { since, until, kind } = absence;
  const meaning =
    kind === 'own'
      ? 'the key server itself was away; the machine says it was not started anew'
      : 'a machine that is off, cut off or elsewhere can be copied';
  return { fact: 'presence', before: 'heard', now: `away for ${lengthText(until - since)}`, differs: true, meaning };
}

/** A length of time for people: `14 min`, `3 h 5 min`, `2 d 1 h`. */
export function lengthText(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return hours % 24 === 0 ? `${hours / 24} d` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
