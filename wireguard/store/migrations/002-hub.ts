import { type Kysely, type Migration, sql } from 'kysely';
import { createAuditTables } from '../../../platform/audit-tables.ts';
import { bytes } from '../../../platform/column-types.ts';

/** Who may ask the hub for something, its own secrets, its backups, its audit log. */
export const hubTables: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('account')
      .addColumn('name', 'text', (c) => c.primaryKey())
      .addColumn('role', 'text', (c) => c.notNull().check(sql`role in ('admin','operator','viewer')`))
      .addColumn('password_hash', 'text', (c) => c.notNull())
      .addColumn('totp_sealed', bytes, (c) => c.notNull())
      .addColumn('totp_step', 'bigint', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('changed_at', 'bigint', (c) => c.notNull())
      .addColumn('used_at', 'bigint')
      .execute();
    await db.schema
      .createTable('api_token')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('name', 'text', (c) => c.notNull().unique())
      .addColumn('token_hash', bytes, (c) => c.notNull().unique())
      .addColumn('scopes', 'text', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('expires_at', 'bigint')
      .addColumn('used_at', 'bigint')
      .execute();
    await db.schema
      .createTable('jwt_key')
      .addColumn('name', 'text', (c) => c.primaryKey())
      .addColumn('algorithm', 'text', (c) => c.notNull().check(sql`algorithm in ('EdDSA','HS256')`))
      .addColumn('key_sealed', bytes, (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .execute();
    await db.schema
      .createTable('gateway')
      .addColumn('name', 'text', (c) => c.primaryKey())
      .addColumn('interface', 'text', (c) => c.notNull().references('interface.name'))
      .addColumn('secret_sealed', bytes, (c) => c.notNull())
      .addColumn('next_sealed', bytes)
      .addColumn('payloads', 'text', (c) => c.notNull().check(sql`payloads in ('plain','either','sealed')`))
      .addColumn('newest', 'bigint', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('used_at', 'bigint')
      .execute();
    // a gateway lists its own peers, however many others there are
    await db.schema
      .createIndex('peer_by_owner')
      .on('peer')
      .columns(['interface', 'kind', 'owner', 'created_at', 'id'])
      .where(sql.ref('owner'), 'is not', sql.lit(null))
      .where(sql.ref('status'), '<>', sql.lit('deleted'))
      .execute();
    await db.schema
      .createTable('backup')
      .addColumn('sha256', 'text', (c) => c.primaryKey())
      .addColumn('made_at', 'bigint', (c) => c.notNull())
      .addColumn('size', 'bigint', (c) => c.notNull())
      .addColumn('file', 'text', (c) => c.notNull())
      .addColumn('sealed_with', 'text', (c) =>
        c.notNull().check(sql`sealed_with in ('passphrase','keyfile','age','nothing')`),
      )
      .execute();
    await db.schema
      .createTable('server_secret')
      .addColumn('name', 'text', (c) => c.primaryKey())
      .addColumn('sealed', bytes, (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .execute();
    await createAuditTables(db);
  },
};
