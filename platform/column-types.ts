import { type RawBuilder, sql } from 'kysely';

/** The type of a column of raw bytes, for `addColumn`. */
export const bytes: RawBuilder<unknown> = sql`blob`;
