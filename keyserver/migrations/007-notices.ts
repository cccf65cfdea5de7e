import type { Kysely, Migration } from 'kysely';

/** What clients had to tell with a heartbeat. */
export const notices: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('client_notice')
      .addColumn('client_id', 'text', (c) => c.primaryKey().references('client.id'))
      .addColumn('code', 'text', (c) => c.notNull())
      .addColumn('at', 'bigint', (c) => c.notNull())
      .execute();
  },
};
