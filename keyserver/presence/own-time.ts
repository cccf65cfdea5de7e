import type { Kysely } from 'kysely';
import type { Database } from '../schema.ts';
import type { Gap } from './absence.ts';

/** How often the server notes that it is there, ms. */
export const markEvery = 30_000;

/** A longer time between two marks is a gap: the server was down, asleep, or its own probe failed. */
export const gapFrom = 3 * markEvery;

/** Gaps are of use while a client may ask what happened in them. */
const keptFor = 31 * 86_400_000;

/**
 * When the key server itself was away, by the wall clock, which goes on while the machine sleeps. What a client's silence
 * falls into is no sign that the client was.
 */
export class OwnTime {
  #markedAt: number;
  #gaps: readonly Gap[];

  constructor(markedAt: number, gaps: readonly Gap[]) {
    this.#markedAt = markedAt;
    this.#gaps = gaps;
  }

  /** The server is there now; answers the gap that ends with it. */
  mark(now: number): Gap | null {
    const gap = this.#tail(now);
    if (gap !== null) this.#gaps = [...this.#gaps.filter(({ until }) => until > now - keptFor), gap];
    this.#markedAt = now;
    return gap;
  }

  /** All gaps, the one that is not over yet among them: after a sleep a request may be faster than the next mark. */
  gaps(now: number): readonly Gap[] {
    const tail = this.#tail(now);
    return tail === null ? this.#gaps : [...this.#gaps, tail];
  }

  #tail(now: number): Gap | null {
    return now - this.#markedAt < gapFrom ? null : { since: this.#markedAt, until: now };
  }
}

/** What the database knows of the server's own time; a server that starts makes its first mark with it. */
export async function loadOwnTime(tx: Kysely<Database>, now: number): Promise<OwnTime> {
  const rows = await tx
    .selectFrom('own_gap')
    .selectAll()
    .where('until', '>', now - keptFor)
    .orderBy('since')
    .execute();
  const last = await tx.selectFrom('alive').select('at').where('id', '=', 1).executeTakeFirst();
  return new OwnTime(last?.at ?? now, rows);
}

/** Puts a mark into the database, and the gaps that are over. */
export async function keepMark(tx: Kysely<Database>, now: number, gaps: readonly Gap[]): Promise<void> {
  await tx
    .insertInto('alive')
    .values({ id: 1, at: now })
    .onConflict((conflict) => conflict.column('id').doUpdateSet({ at: now }))
    .execute();
  for (const gap of gaps) {
    await tx
      .insertInto('own_gap')
      .values(gap)
      .onConflict((conflict) => conflict.column('since').doUpdateSet({ until: gap.until }))
      .execute();
  }
  if (gaps.length === 0) return;
  await tx
    .deleteFrom('own_gap')
    .where('until', '<', now - keptFor)
    .execute();
}
