import { type Kysely, sql } from 'kysely';
import { LatchkeyError } from '../../platform/errors.ts';
import { statement } from '../../platform/statement.ts';
import { giveBack, initialRanges, type Range, type RangeChange, take } from '../address/free-ranges.ts';
import type { Pool } from '../address/pool.ts';
import type { HubDatabase } from './schema.ts';

type Tx = Kysely<HubDatabase>;

/** Writes down that all of a new interface's pool is free. */
export async function openPool(tx: Tx, name: string, pool: Pool): Promise<void> {
  for (const { start, end } of initialRanges(pool.first, pool.last, pool.taken))
    await insertRange(tx, name, start, end);
}

/**
 * Takes the lowest free offset, or the one that is `wished`. Throws `pool_exhausted` (503) and `ip_taken` (409). Costs the same
 * however many are taken; that no two get one is the business of the table of peers.
 */
export async function takeOffset(tx: Tx, name: string, wished: number | null, field = 'customIP'): Promise<number> {
  const [row] = wished === null ? await lowestRange(tx, name) : await rangeBelow(tx, name, wished);
  if (wished === null) {
    if (row === undefined)
      throw new LatchkeyError('pool_exhausted', `every address of ${name} is taken`, {
        status: 503,
        hint: 'remove peers, or make another interface with a larger network',
      });
    return taken(tx, name, rangeOf(row), Number(row.first));
  }
  if (row === undefined || Number(row.last) < wished) {
    throw new LatchkeyError('ip_taken', 'the address is taken', { status: 409, exit: 2, field });
  }
  return taken(tx, name, rangeOf(row), wished);
}

async function taken(tx: Tx, name: string, range: Range, offset: number): Promise<number> {
  await carryOut(tx, name, take(range, offset));
  return offset;
}

/** Gives an offset back. */
export async function freeOffset(tx: Tx, name: string, offset: number): Promise<void> {
  const [below] = await rangeBelow(tx, name, offset);
  const [above] = await rangeAbove(tx, name, offset);
  const change = giveBack(
    offset,
    below === undefined ? null : rangeOf(below),
    above === undefined ? null : rangeOf(above),
  );
  await carryOut(tx, name, change);
}

/** A range that only changes its ends, as nearly every one does, is one statement. */
async function carryOut(tx: Tx, name: string, { remove, add }: RangeChange): Promise<void> {
  for (let at = 0; at < Math.max(remove.length, add.length); at++) {
    const [before, after] = [remove[at], add[at]];
    if (before === undefined && after !== undefined) await insertRange(tx, name, after.start, after.end);
    if (before !== undefined && after === undefined) await deleteRange(tx, name, before.start);
    if (before !== undefined && after !== undefined) await changeRange(tx, name, before.start, after.start, after.end);
  }
}

interface Row {
  readonly first: number;
  readonly last: number;
}

function rangeOf({ first, last }: Row): Range {
  return { start: Number(first), end: Number(last) };
}

const lowestRange = statement<HubDatabase, [string], Row>((db, slot) =>
  db
    .selectFrom('free_range')
    .select(['first', 'last'])
    .where('interface', '=', slot<string>(0))
    .orderBy('first')
    .limit(sql.lit(1)),
);

const rangeBelow = statement<HubDatabase, [string, number], Row>((db, slot) =>
  db
    .selectFrom('free_range')
    .select(['first', 'last'])
    .where('interface', '=', slot<string>(0))
    .where('first', '<=', slot<number>(1))
    .orderBy('first', 'desc')
    .limit(sql.lit(1)),
);

const rangeAbove = statement<HubDatabase, [string, number], Row>((db, slot) =>
  db
    .selectFrom('free_range')
    .select(['first', 'last'])
    .where('interface', '=', slot<string>(0))
    .where('first', '>', slot<number>(1))
    .orderBy('first')
    .limit(sql.lit(1)),
);

const deleteRange = statement<HubDatabase, [string, number]>((db, slot) =>
  db.deleteFrom('free_range').where('interface', '=', slot<string>(0)).where('first', '=', slot<number>(1)),
);

const insertRange = statement<HubDatabase, [string, number, number]>((db, slot) =>
  db.insertInto('free_range').values({ interface: slot<string>(0), first: slot<number>(1), last: slot<number>(2) }),
);

const changeRange = statement<HubDatabase, [string, number, number, number]>((db, slot) =>
  db
    .updateTable('free_range')
    .set({ first: slot<number>(2), last: slot<number>(3) })
    .where('interface', '=', slot<string>(0))
    .where('first', '=', slot<number>(1)),
);
