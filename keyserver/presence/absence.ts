/** A stretch of time, milliseconds since 1970. */
export interface Gap {
  readonly since: number;
  readonly until: number;
}

/**
 * A time in which a client should have been heard and was not. `away`: the machine was off, cut off or elsewhere. `own`:
 * the key server itself was, and the client's machine was not started anew meanwhile.
 */
export interface Absence extends Gap {
  readonly kind: 'away' | 'own';
}

/** What is known of a client's presence. */
export interface Presence {
  /** The last heartbeat, or a person's yes that was used since; `null` before the first. */
  readonly presentAt: number | null;
  /** When its being set up was over; `null` before its first release. */
  readonly settledAt: number | null;
  /** Of the last message accepted. */
  readonly bootId: string | null;
  /** An absence that nobody has cleared yet. */
  readonly absence: Absence | null;
}

/**
 * For so long after the first release that follows its enrolment, ms, a client is being set up: its heartbeats come and go, and
 * its machine is being got to know.
 */
export const settlingTime = 3_600_000;

/** Whether a client is still being set up. */
export function isSettling(settledAt: number | null, now: number): boolean {
  return settledAt === null || now < settledAt;
}

/** How much of `gap` lies outside all of `covers`, ms. */
export function uncovered(gap: Gap, covers: readonly Gap[]): number {
  const inside = covers
    .map(({ since, until }) => ({ since: Math.max(since, gap.since), until: Math.min(until, gap.until) }))
    .filter(({ since, until }) => since < until)
    .sort((a, b) => a.since - b.since);
  let left = Math.max(0, gap.until - gap.since);
  let reached = gap.since;
  for (const { since, until } of inside) {
    left -= Math.max(0, until - Math.max(since, reached));
    reached = Math.max(reached, until);
  }
  return left;
}

/**
 * The absence that ends with a message of now: longer than `limit` ms without a heartbeat. It is the key server's own when
 * what lies outside `ownGaps` is no longer than that and the machine shows the boot id it had before; a message without
 * a boot id shows nothing. `null` when there was none: before the first heartbeat none can be missed, and none counts as
 * missed while a client is being set up.
 */
export function absenceNow(
  { presentAt, settledAt, bootId: before }: Presence,
  bootId: string | null,
  ownGaps: readonly Gap[],
  limit: number,
  now: number,
): Absence | null {
  if (presentAt === null || settledAt === null) return null;
  const since = Math.max(presentAt, settledAt);
  if (now - since <= limit) return null;
  const gap = { since, until: now };
  const isOwn = bootId !== null && bootId === before && uncovered(gap, ownGaps) <= limit;
  return { ...gap, kind: isOwn ? 'own' : 'away' };
}

/** Two absences that nobody has cleared count as one; the graver kind is the kind of both. */
export function joined(a: Absence | null, b: Absence | null): Absence | null {
  if (a === null || b === null) return a ?? b;
  return {
    since: Math.min(a.since, b.since),
    until: Math.max(a.until, b.until),
    kind: a.kind === 'away' || b.kind === 'away' ? 'away' : 'own',
  };
}

/** An absence as the database keeps it; `null` is none. */
export function absenceText(absence: Absence | null): string | null {
  return absence === null ? null : `${absence.kind} ${absence.since} ${absence.until}`;
}

/** The other way. Only `absenceText` writes these; anything else counts as the graver kind. */
export function absenceFrom(text: string | null): Absence | null {
  if (text === null) return null;
  const [kind, since, until] = text.split(' ');
  return { since: Number(since), until: Number(until), kind: kind === 'own' ? 'own' : 'away' };
}
