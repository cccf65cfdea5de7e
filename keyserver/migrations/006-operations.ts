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
    for (const column of [
      'next_token_hash',
      'next_totp_sealed',
      'next_sealed',
      'former_token_hash',
      'former_totp_sealed',
    ]) {
      await db.schema.alterTable('client').addColumn(column, bytes).execute();
    }
    for (const column of ['next_since', 'next_told_at'] as const) {
      await db.schema.alterTable('client').addColumn(column, 'bigint').execute();
    }
  },
};
