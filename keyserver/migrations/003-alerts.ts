import type { Kysely, Migration } from 'kysely';
import { bytes } from '../../platform/column-types.ts';

/** Channels by which the owner is told, what there is to tell, and how far each delivery got. */
export const alerts: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('alert_channel')
      .addColumn('name', 'text', (c) => c.primaryKey())
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('least', 'text', (c) => c.notNull())
      .addColumn('config', 'text', (c) => c.notNull())
      .addColumn('secret_sealed', bytes)
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .execute();
    await db.schema
      .createTable('outbox_message')
      .addColumn('seq', 'bigint', (c) => c.primaryKey())
      .addColumn('topic', 'text')
      .addColumn('severity', 'text', (c) => c.notNull())
      .addColumn('body', 'text', (c) => c.notNull())
      .addColumn('raised_at', 'bigint', (c) => c.notNull())
      .addColumn('last_at', 'bigint', (c) => c.notNull())
      .addColumn('repeats', 'bigint', (c) => c.notNull())
      .addColumn('earlier', 'bigint', (c) => c.notNull())
      .execute();
    await db.schema.createIndex('outbox_message_topic').on('outbox_message').columns(['topic', 'seq']).execute();
    await db.schema
      .createTable('outbox_delivery')
      .addColumn('seq', 'bigint', (c) => c.notNull().references('outbox_message.seq').onDelete('cascade'))
      .addColumn('channel', 'text', (c) => c.notNull())
      .addColumn('severity', 'text', (c) => c.notNull())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('attempts', 'bigint', (c) => c.notNull())
      .addColumn('due_at', 'bigint', (c) => c.notNull())
      .addColumn('settled_at', 'bigint')
      .addColumn('error', 'text')
      .addPrimaryKeyConstraint('outbox_delivery_key', ['seq', 'channel'])
      .execute();
    await db.schema.createIndex('outbox_delivery_due').on('outbox_delivery').columns(['state', 'due_at']).execute();
    await db.schema
      .createIndex('outbox_delivery_settled')
      .on('outbox_delivery')
      .columns(['channel', 'state', 'settled_at'])
      .execute();
    await db.schema
      .createTable('server_run')
      .addColumn('server', 'text', (c) => c.primaryKey())
      .addColumn('started_at', 'bigint', (c) => c.notNull())
      .addColumn('alive_at', 'bigint', (c) => c.notNull())
      .addColumn('stopped_at', 'bigint')
      .execute();
  },
};
