import { type RawBuilder, sql } from 'kysely';

/** The type of a column of raw bytes, for `addColumn`. */
export const bytes: RawBuilder<unknown> = sql`blob`;

/** For a table that is filed by its primary key, when that is not a number: `modifyEnd(clustered)`. */
export const clustered: RawBuilder<unknown> = sql`without rowid`;
