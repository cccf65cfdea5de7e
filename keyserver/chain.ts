/**
 * The release chain as a decision: what a message with this link and this time means. No store, no clock, no network;
 * PROTOCOL.md tells why two steps are needed, and the property test drives this file against both sides of a lossy line.
 */

/** Where a link stands: the confirmed one, one issued since, one used up, or none of this client's. */
export type Standing = 'confirmed' | 'pending' | 'spent' | 'unknown';

/** What the server keeps of a client's chain besides the links and their numbers. */
export interface ChainCounters {
  /** Links issued so far; they are numbered from 1. */
  readonly issued: number;
  /** Number of the confirmed link. */
  readonly confirmed: number;
  /** Links up to this number are spent, but for the confirmed one. */
  readonly spentTo: number;
}

/** Where the link of that number stands; `null` is a link this client was never given. */
export function standingOf(number: number | null, chain: ChainCounters): Standing {
  if (number === null) return 'unknown';
  if (number === chain.confirmed) return 'confirmed';
  return number > chain.spentTo ? 'pending' : 'spent';
}

/** The link becomes the confirmed one, and every other link issued so far is spent. */
export function promoted(number: number, chain: ChainCounters): ChainCounters {
  return { ...chain, confirmed: number, spentTo: chain.issued };
}

/** One more link, pending; its number is the new `issued`. */
export function issuedOne(chain: ChainCounters): ChainCounters {
  return { ...chain, issued: chain.issued + 1 };
}

/** How far a message's time may be from the server's clock, ms. */
export const clockTolerance = 60_000;

export type Freshness = 'fresh' | 'skewed' | 'repeated';

/**
 * `skewed`: not within 60 s of the server's clock. `repeated`: not later than the last message judged, so it is a
 * delayed or duplicated packet and says nothing about a copy.
 *
 * But one whose link was spent by a message earlier than it counts as `fresh` all the same: no host shows a link again
 * after the message that spent it. Else a copy with its clock ahead could keep everything its original says `repeated`.
 * `spentAt` is the time of that message, `null` for a link that is not spent.
 */
export function freshness(time: number, lastTime: number, now: number, spentAt: number | null = null): Freshness {
  if (Math.abs(time - now) > clockTolerance) return 'skewed';
  return time > lastTime || (spentAt !== null && time > spentAt) ? 'fresh' : 'repeated';
}

export type OpenDecision = 'stale' | 'unknown' | 'fork' | 'issue' | 'promote-and-issue';

/** open(l): a pending l was stored by its holder, who then crashed, so it is promoted to confirmed first. */
export function decideOpen(standing: Standing, fresh: Freshness): OpenDecision {
  if (fresh !== 'fresh') return 'stale';
  if (standing === 'unknown') return 'unknown';
  if (standing === 'spent') return 'fork';
  return standing === 'pending' ? 'promote-and-issue' : 'issue';
}

export type ReleaseDecision = 'stale' | 'unknown' | 'fork' | 'release';

/**
 * release(n): n must be pending and the session must be the one that issued it. An honest client never sends a confirmed
 * link here. Without its session (it lapsed, or the server started anew) the client has to open again: stale, no fork.
 */
export function decideRelease(standing: Standing, fresh: Freshness, sessionHolds: boolean): ReleaseDecision {
  if (fresh !== 'fresh') return 'stale';
  if (standing === 'unknown') return 'unknown';
  if (standing !== 'pending') return 'fork';
  return sessionHolds ? 'release' : 'stale';
}

export type HeartbeatDecision = 'stale' | 'unknown' | 'fork' | 'alive';

/** heartbeat(l): proves the newest stored link and moves nothing; a wrong proof is as good as no link. */
export function decideHeartbeat(standing: Standing, fresh: Freshness, proven: boolean): HeartbeatDecision {
  if (fresh !== 'fresh') return 'stale';
  if (standing === 'unknown' || !proven) return 'unknown';
  return standing === 'spent' ? 'fork' : 'alive';
}
