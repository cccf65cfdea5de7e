import { type Kysely, type Migration, sql } from 'kysely';
import { createAuditTables } from '../../platform/audit-tables.ts';
import { bytes, clustered } from '../../platform/column-types.ts';

/** Clients, their chains and keys, the server's own secrets, the audit log. */
export const tables: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('client')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('name', 'text', (c) => c.notNull().unique())
      .addColumn('state', 'text', (c) => c.notNull().check(sql`state in ('new','enrolled','locked','revoked')`))
      .addColumn('token_hash', bytes)
      .addColumn('totp_sealed', bytes)
      .addColumn('basic', 'integer', (c) => c.notNull())
      .addColumn('networks', 'text', (c) => c.notNull())
      .addColumn('rate_per_hour', 'integer', (c) => c.notNull())
      .addColumn('burst', 'integer', (c) => c.notNull())
      .addColumn('lockout', 'integer', (c) => c.notNull())
      .addColumn('ttl', 'integer', (c) => c.notNull())
      .addColumn('stale_if_error', 'integer', (c) => c.notNull())
      .addColumn('fork_policy', 'text', (c) => c.notNull().check(sql`fork_policy in ('lock+purge','lock','alert')`))
      .addColumn('killed_at', 'bigint')
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('enrolled_at', 'bigint')
      .execute();
    await db.schema
      .createTable('pulse')
      .addColumn('client_id', 'text', (c) => c.primaryKey().references('client.id'))
      .addColumn('last_time', 'bigint', (c) => c.notNull())
      .addColumn('issued', 'bigint', (c) => c.notNull().defaultTo(0))
      .addColumn('confirmed', 'bigint', (c) => c.notNull().defaultTo(0))
      .addColumn('spent_to', 'bigint', (c) => c.notNull().defaultTo(0))
      .addColumn('confirmed_at', 'bigint', (c) => c.notNull().defaultTo(0))
      .addColumn('totp_step', 'bigint', (c) => c.notNull())
      .addColumn('newest', bytes)
      .addColumn('boot_id', 'text')
      .addColumn('source', 'text')
      .addColumn('fingerprint', 'text')
      .addColumn('heard_at', 'bigint')
      .addColumn('released_at', 'bigint')
      .execute();
    await db.schema
      .createTable('link')
      .addColumn('place', bytes, (c) => c.primaryKey())
      .addColumn('client_id', 'text', (c) => c.notNull().references('client.id'))
      .addColumn('link_id', 'text', (c) => c.notNull())
      .addColumn('hash', bytes, (c) => c.notNull())
      .addColumn('number', 'bigint', (c) => c.notNull())
      .addColumn('previous', bytes)
      .addColumn('after_number', 'bigint', (c) => c.notNull())
      .addColumn('after_spent_to', 'bigint', (c) => c.notNull())
      .addColumn('after_time', 'bigint', (c) => c.notNull())
      .modifyEnd(clustered)
      .execute();
    await db.schema
      .createTable('stored_key')
      .addColumn('client_id', 'text', (c) => c.notNull().references('client.id'))
      .addColumn('key_id', 'text', (c) => c.notNull())
      .addColumn('sealed', bytes, (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('stored_key_key', ['client_id', 'key_id'])
      .execute();
    await db.schema
      .createTable('enrolment')
      .addColumn('code_hash', bytes, (c) => c.primaryKey())
      .addColumn('client_id', 'text', (c) => c.notNull().references('client.id'))
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('expires_at', 'bigint', (c) => c.notNull())
      .addColumn('used_at', 'bigint')
      .execute();
    await db.schema
      .createTable('grant')
      .addColumn('grant_hash', bytes, (c) => c.primaryKey())
      .addColumn('client_id', 'text', (c) => c.notNull().references('client.id'))
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('expires_at', 'bigint', (c) => c.notNull())
      .addColumn('first_used_at', 'bigint')
      .execute();
    await db.schema
      .createTable('certificate')
      .addColumn('serial', 'text', (c) => c.primaryKey())
      .addColumn('client_id', 'text', (c) => c.references('client.id'))
      .addColumn('purpose', 'text', (c) => c.notNull())
      .addColumn('pem', 'text', (c) => c.notNull())
      .addColumn('not_before', 'bigint', (c) => c.notNull())
      .addColumn('not_after', 'bigint', (c) => c.notNull())
      .addColumn('revoked_at', 'bigint')
      .execute();
    await db.schema
      .createTable('server_secret')
      .addColumn('name', 'text', (c) => c.primaryKey())
      .addColumn('sealed', bytes, (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .execute();
    await db.schema
      .createTable('switch')
      .addColumn('name', 'text', (c) => c.primaryKey())
      .addColumn('since', 'bigint', (c) => c.notNull())
      .addColumn('reason', 'text')
      .execute();
    await db.schema
      .createTable('write_probe')
      .addColumn('id', 'integer', (c) => c.primaryKey())
      .addColumn('filling', bytes, (c) => c.notNull())
      .execute();
    await createAuditTables(db);
  },
};
