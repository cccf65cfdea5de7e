export interface RatePolicy {
  readonly perHour: number;
  readonly burst: number;
  /** Whether failures lock a (client, source) pair out for a growing time. */
  readonly lockout: boolean;
}

/** What a request pays from its own client's bucket. A release was paid for by its open. */
export type RateKind = 'exchange' | 'heartbeat' | 'free';

/** `refused`: the caller proved nothing. `served`: the caller is who it says, whatever it was answered. */
export type RateOutcome = 'served' | 'refused' | 'dropped';

export interface RateView {
  readonly allowed: boolean;
  /** Seconds until it makes sense to try again. */
  readonly retryAfter: number;
  readonly bound: 'client' | 'source' | 'overall' | 'lockout' | null;
}

interface Pair {
  failures: number;
  lockedUntil: number;
  /** When this client last proved itself from this source. */
  provenAt: number;
}

const hour = 3_600_000;

/** Failures cost five times a success, and are paid by their source and by everybody who proved nothing yet. */
const failureCost = 5;
const sourceBudget = { perHour: 600, burst: 150 } as const;
const overallBudget = { perHour: 36_000, burst: 3_000 } as const;

/** This many failures in a row are free of a lock-out; each one after doubles it, from 1 s to an hour. */
const freeFailures = 5;
const longestLockout = hour;

/** So many requests of one pair may be under way at once, so that parallel guesses do not slip past the count. */
const parallelLimit = 16;

/** A pair that proved itself within a day does not pay for its neighbours' failures. */
const provenLife = 24 * hour;

const entryLimit = 10_000;

/**
 * Token buckets per client, per source and overall, and a growing lock-out per (client, source). All of it is memory,
 * bounded, the least recently used entry leaving first; it starts empty with the process.
 *
 * A bucket is one number, the time at which it would be full again (the generic cell rate algorithm, ITU-T I.371).
 */
export class RateLimiter {
  readonly #limit: number;
  readonly #buckets: Map<string, number> = new Map();
  readonly #pairs: Map<string, Pair> = new Map();
  readonly #underWay: Map<string, number> = new Map();

  constructor(limit = entryLimit) {
    this.#limit = limit;
  }

  /** Counts a request as under way. Every call is answered by one `settle`. */
  enter(client: string, source: string): void {
    const name = pairName(client, source);
    this.#underWay.set(name, (this.#underWay.get(name) ?? 0) + 1);
  }

  /** Whether the request that `enter` counted may go on; changes nothing. */
  look(client: string, source: string, policy: RatePolicy, kind: RateKind, now: number): RateView {
    const name = pairName(client, source);
    const pair = this.#pairs.get(name);
    if (policy.lockout) {
      if ((this.#underWay.get(name) ?? 0) > parallelLimit) return refusal('client', 1000);
      const wait = pair === undefined ? 0 : Math.min(pair.lockedUntil - now, longestLockout);
      if (wait > 0) return refusal('lockout', wait);
      if (pair === undefined || Math.abs(now - pair.provenAt) > provenLife) {
        const source_ = this.#wait(`source ${source}`, sourceBudget, failureCost, now);
        if (source_ > 0) return refusal('source', source_);
        const overall = this.#wait('overall', overallBudget, failureCost, now);
        if (overall > 0) return refusal('overall', overall);
      }
    }
    if (kind !== 'free') {
      const own = this.#wait(`${kind} ${client}`, budgetOf(policy, kind), 1, now);
      if (own > 0) return refusal('client', own);
    }
    return { allowed: true, retryAfter: 0, bound: null };
  }

  /**
   * Books how the request ended. `dropped` books nothing: it was not judged. True when this failure was the first of its
   * row to be followed by a wait.
   */
  settle(
    client: string,
    source: string,
    policy: RatePolicy,
    kind: RateKind,
    outcome: RateOutcome,
    now: number,
  ): boolean {
    const name = pairName(client, source);
    const underWay = (this.#underWay.get(name) ?? 1) - 1;
    if (underWay > 0) this.#underWay.set(name, underWay);
    else this.#underWay.delete(name);
    if (outcome === 'served') {
      // only a call that asks for everything proves everything: else heartbeats would pay for guessed TOTP codes
      if (kind === 'exchange') touch(this.#pairs, name, { failures: 0, lockedUntil: 0, provenAt: now }, this.#limit);
      if (kind !== 'free') this.#charge(`${kind} ${client}`, budgetOf(policy, kind), 1, now);
    }
    if (outcome !== 'refused') return false;
    const pair = this.#pairs.get(name) ?? { failures: 0, lockedUntil: 0, provenAt: Number.NEGATIVE_INFINITY };
    const failures = pair.failures + 1;
    const lock = failures < freeFailures ? 0 : Math.min(1000 * 2 ** (failures - freeFailures), longestLockout);
    touch(this.#pairs, name, { failures, lockedUntil: now + lock, provenAt: pair.provenAt }, this.#limit);
    this.#charge(`source ${source}`, sourceBudget, failureCost, now);
    this.#charge('overall', overallBudget, failureCost, now);
    return policy.lockout && failures === freeFailures;
  }

  /** Entries held, for a test that memory stays bounded. */
  get size(): number {
    return this.#buckets.size + this.#pairs.size + this.#underWay.size;
  }

  /** Milliseconds until `cost` fits into the bucket. */
  #wait(bucket: string, budget: Budget, cost: number, now: number): number {
    const interval = hour / budget.perHour;
    const room = budget.burst * interval;
    const full = Math.min(this.#buckets.get(bucket) ?? 0, now + room);
    return Math.max(0, full - now + cost * interval - room);
  }

  #charge(bucket: string, budget: Budget, cost: number, now: number): void {
    const interval = hour / budget.perHour;
    const full = Math.min(this.#buckets.get(bucket) ?? 0, now + budget.burst * interval);
    touch(this.#buckets, bucket, Math.max(full, now) + cost * interval, this.#limit);
  }
}

interface Budget {
  readonly perHour: number;
  readonly burst: number;
}

/** Heartbeats have a bucket of their own, four for each exchange and never under 240 an hour. */
function budgetOf(policy: RatePolicy, kind: Exclude<RateKind, 'free'>): Budget {
  if (kind === 'exchange') return policy;
  return { perHour: Math.max(240, policy.perHour * 4), burst: Math.max(30, policy.burst) };
}

function refusal(bound: RateView['bound'], waitMillis: number): RateView {
  return { allowed: false, retryAfter: Math.max(1, Math.ceil(waitMillis / 1000)), bound };
}

function pairName(client: string, source: string): string {
  return `${client} ${source}`;
}

/** Sets `key` as the most recently used entry, and drops the least recently used one when there are too many. */
function touch<V>(map: Map<string, V>, key: string, value: V, limit: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= limit) return;
  const oldest = map.keys().next();
  if (oldest.done === false) map.delete(oldest.value);
}
