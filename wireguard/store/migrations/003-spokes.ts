import { type Kysely, type Migration, sql } from 'kysely';
import { bytes } from '../../../platform/column-types.ts';

const platforms = sql`('linux','macos','windows','proxmox')`;

/** Tokens with which spokes join, and the Proxmox clusters that some of them are nodes of. */
export const spokeTables: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .alterTable('peer')
      .addColumn('os_family', 'text', (c) => c.check(sql`os_family in ${platforms}`))
      .execute();
    // a page of spokes costs what the page costs, however many devices there are, and they are counted without a look at a row
    for (const [name, columns] of [
      ['spoke_by_status', ['interface', 'kind', 'status', 'created_at', 'id']],
      ['spoke_by_os', ['interface', 'kind', 'os_family', 'created_at', 'id', 'status']],
    ] as const) {
      await db.schema
        .createIndex(name)
        .on('peer')
        .columns([...columns])
        .where(sql.ref('kind'), '=', sql.lit('spoke'))
        .where(sql.ref('status'), '<>', sql.lit('deleted'))
        .execute();
    }
    await db.schema
      .createTable('install_token')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('token_hash', bytes, (c) => c.notNull().unique())
      .addColumn('interface', 'text', (c) => c.notNull().references('interface.name'))
      .addColumn('spoke_id', 'text', (c) => c.notNull().unique())
      .addColumn('spoke_name', 'text', (c) => c.notNull())
      .addColumn('platform', 'text', (c) => c.check(sql`platform in ${platforms}`))
      .addColumn('place', 'bigint', (c) => c.notNull())
      .addColumn('addresses', 'text', (c) => c.notNull())
      .addColumn('hub', 'text', (c) => c.notNull())
      .addColumn('scripts', 'text', (c) => c.notNull())
      .addColumn('members', 'integer', (c) => c.notNull())
      .addColumn('parent', 'text')
      .addColumn('created_by', 'text', (c) => c.notNull())
      .addColumn('created_from', 'text')
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('expires_at', 'bigint', (c) => c.notNull())
      .addColumn('fetched_at', 'bigint')
      .addColumn('fetched_from', 'text')
      .addColumn('fetched_agent', 'text')
      .addColumn('fetched_platform', 'text', (c) => c.check(sql`fetched_platform in ${platforms}`))
      .addColumn('registered_at', 'bigint')
      .addColumn('registered_from', 'text')
      .addColumn('invited_at', 'bigint')
      .addColumn('ended_at', 'bigint')
      .addColumn('end', 'text', (c) => c.check(sql`"end" in ('registered','revoked','expired')`))
      .execute();
    // no address is kept for two, whatever the list of free ones says
    await db.schema
      .createIndex('install_token_place')
      .on('install_token')
      .columns(['interface', 'place'])
      .unique()
      .where(sql.ref('ended_at'), 'is', sql.lit(null))
      .execute();
    // what is over soon is found without a look at what was over long ago
    await db.schema
      .createIndex('install_token_open')
      .on('install_token')
      .columns(['expires_at'])
      .where(sql.ref('ended_at'), 'is', sql.lit(null))
      .execute();
    await db.schema.createIndex('install_token_listed').on('install_token').columns(['created_at', 'id']).execute();
    await db.schema
      .createTable('proxmox_cluster')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('name', 'text', (c) => c.notNull().unique())
      .addColumn('datacenter', 'text')
      .addColumn('description', 'text')
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .execute();
    await db.schema
      .createTable('proxmox_node')
      .addColumn('spoke_id', 'text', (c) => c.primaryKey().references('peer.id'))
      .addColumn('cluster_id', 'text', (c) => c.references('proxmox_cluster.id'))
      .addColumn('node_name', 'text', (c) => c.notNull())
      .addColumn('version', 'text')
      .execute();
    await db.schema.createIndex('proxmox_node_cluster').on('proxmox_node').columns(['cluster_id']).execute();
  },
};
