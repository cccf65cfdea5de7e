import type { Kysely } from 'kysely';
import { bytes, rowNumber } from './column-types.ts';

/** Makes the two tables of an audit chain (`AuditTables`), in a migration. */
export async function createAuditTables(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('audit')
    .addColumn('seq', rowNumber, (c) => c.primaryKey())
    .addColumn('body', 'text', (c) => c.notNull())
    .addColumn('hash', bytes, (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('audit_signature')
    .addColumn('seq', rowNumber, (c) => c.primaryKey())
    .addColumn('hash', bytes, (c) => c.notNull())
    .addColumn('time', 'bigint', (c) => c.notNull())
    .addColumn('signature', bytes, (c) => c.notNull())
    .execute();
}
