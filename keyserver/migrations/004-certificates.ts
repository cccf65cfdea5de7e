import { type Kysely, type Migration, sql } from 'kysely';
import { bytes } from '../../platform/column-types.ts';

/** Who issued a certificate, when it was first used and why it ended; and whether a client must show one. */
export const certificates: Migration = {
  async up(db: Kysely<unknown>) {
    const added = [
      ['issuer', 'text'],
      ['digest', bytes],
      ['issued_at', 'bigint'],
      ['used_at', 'bigint'],
      ['name', 'text'],
      ['revoke_reason', 'text'],
    ] as const;
    for (const [column, type] of added) {
      await db.schema.alterTable('certificate').addColumn(column, type).execute();
    }
    await db.schema.createIndex('certificate_client').on('certificate').columns(['client_id', 'purpose']).execute();
    await db.schema.createIndex('certificate_purpose').on('certificate').columns(['purpose', 'issued_at']).execute();
    await db.schema
      .alterTable('client')
      .addColumn('certificate_policy', 'text', (c) =>
        c.notNull().defaultTo('auto').check(sql`certificate_policy in ('auto','required','off')`),
      )
      .execute();
    await db.schema.alterTable('client').addColumn('certificate_since', 'bigint').execute();
  },
};
