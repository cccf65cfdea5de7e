/**
 * What a client's fetches are like, learned from those that were released. Counted is what its web server fetches (reasons
 * `cold` and `expired`). Commands fetch as often as somebody runs them, and so do `verify` and `restore`: they are neither
 * learned from nor judged.
 */
export interface Habits {
  /** When learning began. */
  readonly since: number;
  /** Of the last web fetch; the counts are as of then. */
  readonly at: number;
  /** Web fetches, the older the less: over about an hour, and over about a week. */
  readonly hour: number;
  readonly week: number;
  /** Unexplained cold fetches, over about an hour. */
  readonly cold: number;
}

/** A fetch as the habits see it. */
export interface Fetch {
  readonly reason: string;
  readonly bootId: string | null;
  readonly now: number;
}

/** What there is to compare it with. */
export interface FetchHistory {
  readonly habits: Habits | null;
  /** Of the machine at its last release. */
  readonly bootId: string | null;
  /** How long the client may keep a key, ms. */
  readonly ttl: number;
}

const hour = 3_600_000;
const week = 168 * hour;

/**
 * So many unexplained cold fetches within an hour are still everyday life: a cache holds each key by itself, each PHP-FPM
 * master has a cache of its own, and a restart or reload of PHP empties it. Two keys and three such causes.
 */
export const coldAllowance = 6;

/** Before this much is known there is no rate to speak of. */
export const historyTime = 72 * hour;

/** Far above the rate: this many times as much, and never so few that a restart or two would do. */
const farAbove = 6;
const leastMany = 20;

/** Web fetches are counted, all others are not. */
export function isCounted(reason: string): boolean {
  return reason === 'cold' || reason === 'expired';
}

/**
 * A cold fetch whose machine was not started anew since the last release, while the key of the last web fetch should still
 * be alive. Without a boot id nothing of that can be told.
 */
export function isUnexplained({ reason, bootId, now }: Fetch, { habits, bootId: before, ttl }: FetchHistory): boolean {
  if (reason !== 'cold' || habits === null || bootId === null || bootId !== before) return false;
  return now - habits.at < ttl;
}

/** `cold`: one unexplained cold fetch too many. `rate`: far more fetches than this client is used to make. */
export function judgeFetch(fetch: Fetch, history: FetchHistory): 'usual' | 'cold' | 'rate' {
  const { habits } = history;
  if (habits === null || !isCounted(fetch.reason)) return 'usual';
  const { now } = fetch;
  const cold = faded(habits.cold, now - habits.at, hour);
  if (isUnexplained(fetch, history) && cold + 1 > coldAllowance) return 'cold';
  if (now - habits.since < historyTime) return 'usual';
  const lately = faded(habits.hour, now - habits.at, hour) + 1;
  return lately > Math.max(leastMany, farAbove * hourlyRate(habits, now)) ? 'rate' : 'usual';
}

/**
 * The habits after this fetch was released. `forgiven`: a person said yes to it, so that what led there is not held against
 * the next one.
 */
export function learned(fetch: Fetch, history: FetchHistory, forgiven: boolean): Habits | null {
  const { habits } = history;
  const { now } = fetch;
  if (!isCounted(fetch.reason)) return habits;
  if (habits === null) return { since: now, at: now, hour: 1, week: 1, cold: 0 };
  const age = now - habits.at;
  const cold = faded(habits.cold, age, hour) + (isUnexplained(fetch, history) ? 1 : 0);
  return {
    since: Math.min(habits.since, now),
    at: now,
    hour: forgiven ? 1 : faded(habits.hour, age, hour) + 1,
    week: faded(habits.week, age, week) + 1,
    cold: forgiven ? 0 : cold,
  };
}

/** Web fetches an hour, as learned; a young count is made up for the time it has not had yet. */
export function hourlyRate(habits: Habits, now: number): number {
  const seen = 1 - Math.exp(-Math.max(hour, now - habits.since) / week);
  return faded(habits.week, now - habits.at, week) / ((week / hour) * seen);
}

/** A count `age` ms later, with each e-th part of it gone after `span` ms. A clock that was set back changes nothing. */
function faded(count: number, age: number, span: number): number {
  return age <= 0 ? count : count * Math.exp(-age / span);
}

/** Habits as the database keeps them: whole numbers, counts in thousandths. */
export function habitsText(habits: Habits | null): string | null {
  if (habits === null) return null;
  const { since, at } = habits;
  return JSON.stringify([since, at, ...[habits.hour, habits.week, habits.cold].map((n) => Math.round(n * 1000))]);
}

/** The other way; only `habitsText` writes these. */
export function habitsFrom(text: string | null): Habits | null {
  if (text === null) return null;
  const [since = 0, at = 0, hour_ = 0, week_ = 0, cold = 0] = JSON.parse(text) as number[];
  return { since, at, hour: hour_ / 1000, week: week_ / 1000, cold: cold / 1000 };
}
