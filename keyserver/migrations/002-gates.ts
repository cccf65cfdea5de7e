import { type Kysely, type Migration, sql } from 'kysely';

/** What the gates behind the chain go by: policies, what was seen of a machine, approvals, the server's own absences. */
export const gateTables: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .alterTable('client')
      .addColumn('gate_policy', 'text', (c) => c.notNull().defaultTo('{}'))
      .execute();
    await db.schema.alterTable('pulse').addColumn('settled_at', 'bigint').execute();
    await db.schema.alterTable('pulse').addColumn('present_at', 'bigint').execute();
    await db.schema.alterTable('pulse').addColumn('absence', 'text').execute();
    await db.schema.alterTable('pulse').addColumn('released_boot_id', 'text').execute();
    await db.schema.alterTable('pulse').addColumn('web_fingerprint', 'text').execute();
    await db.schema.alterTable('pulse').addColumn('command_fingerprint', 'text').execute();
    await db.schema.alterTable('pulse').addColumn('habits', 'text').execute();
    await db.schema
      .createTable('approval')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('client_id', 'text', (c) => c.notNull().references('client.id'))
      .addColumn('state', 'text', (c) =>
        c.notNull().check(sql`state in ('pending','approved','denied','lapsed','used','withdrawn')`),
      )
      .addColumn('gates', 'text', (c) => c.notNull())
      .addColumn('source', 'text', (c) => c.notNull())
      .addColumn('boot_id', 'text')
      .addColumn('fingerprint', 'text')
      .addColumn('facts', 'text', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('expires_at', 'bigint', (c) => c.notNull())
      .addColumn('decided_at', 'bigint')
      .addColumn('decided_by', 'text')
      .addColumn('used_at', 'bigint')
      .execute();
    await db.schema.createIndex('approval_client').on('approval').columns(['client_id', 'created_at']).execute();
    await db.schema.createIndex('approval_state').on('approval').columns(['state', 'expires_at']).execute();
    await db.schema
      .createTable('alive')
      .addColumn('id', 'integer', (c) => c.primaryKey())
      .addColumn('at', 'bigint', (c) => c.notNull())
      .execute();
    await db.schema
      .createTable('own_gap')
      .addColumn('since', 'bigint', (c) => c.primaryKey())
      .addColumn('until', 'bigint', (c) => c.notNull())
      .execute();
  },
};
