import type { Kysely, Migration } from 'kysely';
import { bytes } from '../../platform/column-types.ts';

/** Who may use the pages, and when clients were heard, for the picture of it. */
export const adminTables: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('admin')
      .addColumn('name', 'text', (c) => c.primaryKey())
      .addColumn('password_hash', 'text', (c) => c.notNull())
      .addColumn('totp_sealed', bytes, (c) => c.notNull())
      .addColumn('totp_step', 'bigint', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('changed_at', 'bigint', (c) => c.notNull())
      .addColumn('used_at', 'bigint')
      .execute();
    await db.schema
      .createTable('heard_day')
      .addColumn('client_id', 'text', (c) => c.notNull().references('client.id'))
      .addColumn('day', 'bigint', (c) => c.notNull())
      .addColumn('slots', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('heard_day_key', ['client_id', 'day'])
      .execute();
  },
};
