import { type Kysely, sql } from 'kysely';
import type { HubDatabase } from './schema.ts';

/** Install tokens that keep an address for a spoke which has not registered. */
export interface OpenTokens {
  /** Nobody has asked for their script yet. */
  readonly unfetched: number;
  /** Their script was fetched, less than half an hour ago or until it is noticed that it was more. */
  readonly fetched: number;
}

/** By interface, by a look at the open ones alone. */
export async function countOpenTokens(db: Kysely<HubDatabase>): Promise<ReadonlyMap<string, OpenTokens>> {
  const rows = await db
    .selectFrom('install_token')
    .select(({ fn }) => ['interface', fn.countAll().as('all'), fn.count('fetched_at').as('fetched')])
    .where('ended_at', 'is', sql.lit(null)) // as it is written in the index
    .groupBy('interface')
    .execute();
  return new Map(
    rows.map((row) => [
      row.interface,
      { unfetched: Number(row.all) - Number(row.fetched), fetched: Number(row.fetched) },
    ]),
  );
}

/** When the last backup was made that was read back whole, in milliseconds since 1970; `null` for never. */
export async function lastBackupAt(db: Kysely<HubDatabase>): Promise<number | null> {
  const row = await db.selectFrom('backup').select('made_at').orderBy('made_at', 'desc').limit(1).executeTakeFirst();
  return row === undefined ? null : Number(row.made_at);
}
