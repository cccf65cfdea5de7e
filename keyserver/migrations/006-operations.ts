import type { Kysely, Migration } from 'kysely';
import { bytes } from '../../platform/column-types.ts';

/** Backups that were made, and client secrets on their way to be replaced. */
export const operations: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('backup')
      .addColumn('made_at', 'bigint', (c) => c.primaryKey())
      .addColumn('sha256', 'text', (c) => c.notNull())
      .addColumn('size', 'bigint', (c) => c.notNull())
      .execute();
    await db.schema
      .createTable('rotation')
      .addColumn('client_id', 'text', (c) => c.primaryKey().references('client.id'))
      .addColumn('token_hash', bytes)
      .addColumn('totp_sealed', bytes)
      .addColumn('offer_sealed', bytes, (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('offered_at', 'bigint')
      .execute();
  },
};
