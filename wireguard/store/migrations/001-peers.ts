import { type Kysely, type Migration, sql } from 'kysely';
import { bytes } from '../../../platform/column-types.ts';

/** Interfaces, their peers, and the addresses that are free. */
export const peerTables: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('interface')
      .addColumn('name', 'text', (c) => c.primaryKey())
      .addColumn('networks', 'text', (c) => c.notNull())
      .addColumn('addresses', 'text', (c) => c.notNull())
      .addColumn('listen_port', 'integer', (c) => c.notNull())
      .addColumn('endpoint', 'text', (c) => c.notNull())
      .addColumn('dns', 'text', (c) => c.notNull())
      .addColumn('mtu', 'integer')
      .addColumn('keepalive', 'integer', (c) => c.notNull())
      .addColumn('fw_mark', 'bigint', (c) => c.notNull())
      .addColumn('level', 'text', (c) => c.notNull())
      .addColumn('obfuscation_sealed', bytes, (c) => c.notNull())
      .addColumn('public_key', 'text', (c) => c.notNull())
      .addColumn('private_key_sealed', bytes, (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .execute();
    await db.schema
      .createTable('peer')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('interface', 'text', (c) => c.notNull().references('interface.name'))
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('owner', 'text')
      .addColumn('public_key', 'text', (c) => c.notNull())
      .addColumn('preshared_key_sealed', bytes)
      .addColumn('place', 'bigint', (c) => c.notNull())
      .addColumn('addresses', 'text', (c) => c.notNull())
      .addColumn('extra_networks', 'text', (c) => c.notNull())
      .addColumn('endpoint', 'text')
      .addColumn('keepalive', 'integer', (c) => c.notNull())
      .addColumn('kind', 'text', (c) => c.notNull().check(sql`kind in ('spoke','device','gateway')`))
      .addColumn('platform', 'text')
      .addColumn('status', 'text', (c) =>
        c.notNull().check(sql`status in ('pending','active','inactive','disabled','deleted')`),
      )
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('expires_at', 'bigint')
      .addColumn('deleted_at', 'bigint')
      .addColumn('last_handshake', 'bigint')
      .addColumn('rx', 'bigint', (c) => c.notNull())
      .addColumn('tx', 'bigint', (c) => c.notNull())
      .addColumn('seen_rx', 'bigint', (c) => c.notNull())
      .addColumn('seen_tx', 'bigint', (c) => c.notNull())
      .addColumn('metadata', 'text', (c) => c.notNull())
      .execute();
    // what must never be twice among the living; a deleted one keeps its row and gives both up
    await db.schema
      .createIndex('peer_public_key')
      .on('peer')
      .columns(['interface', 'public_key'])
      .unique()
      .where(sql.ref('status'), '<>', sql.lit('deleted'))
      .execute();
    await db.schema
      .createIndex('peer_place')
      .on('peer')
      .columns(['interface', 'place'])
      .unique()
      .where(sql.ref('status'), '<>', sql.lit('deleted'))
      .execute();
    // each list in the order of creation costs what its page costs, however many were deleted or are of another kind
    for (const [name, columns] of [
      ['peer_listed', ['interface', 'created_at', 'id']],
      ['peer_by_status', ['interface', 'status', 'created_at', 'id']],
      ['peer_by_kind', ['interface', 'kind', 'created_at', 'id']],
      ['peer_by_name', ['interface', 'name', 'created_at', 'id']],
    ] as const) {
      await db.schema
        .createIndex(name)
        .on('peer')
        .columns([...columns])
        .where(sql.ref('status'), '<>', sql.lit('deleted'))
        .execute();
    }
    await db.schema
      .createIndex('peer_with_networks')
      .on('peer')
      .columns(['interface', 'id'])
      .where(sql.ref('extra_networks'), '<>', sql.lit('[]'))
      .where(sql.ref('status'), '<>', sql.lit('deleted'))
      .execute();
    await db.schema
      .createTable('free_range')
      .addColumn('interface', 'text', (c) => c.notNull().references('interface.name'))
      .addColumn('first', 'bigint', (c) => c.notNull())
      .addColumn('last', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('free_range_key', ['interface', 'first'])
      .execute();
  },
};
