import { sql } from 'kysely';
import { statement } from '../../platform/statement.ts';
import type { HubDatabase, PeerTable } from './schema.ts';

/** Every column, in the order in which a row is stored. */
const COLUMNS = Object.keys({
  id: 0,
  interface: 0,
  name: 0,
  owner: 0,
  public_key: 0,
  preshared_key_sealed: 0,
  place: 0,
  addresses: 0,
  extra_networks: 0,
  endpoint: 0,
  keepalive: 0,
  kind: 0,
  platform: 0,
  status: 0,
  created_at: 0,
  expires_at: 0,
  deleted_at: 0,
  last_handshake: 0,
  rx: 0,
  tx: 0,
  seen_rx: 0,
  seen_tx: 0,
  metadata: 0,
  os_family: 0,
} satisfies Record<keyof PeerTable, 0>) as (keyof PeerTable)[];

/** The values of a row, as `storeRow` takes them. */
export function valuesOf(row: PeerTable): PeerTable[keyof PeerTable][] {
  return COLUMNS.map((column) => row[column]);
}

/** A row of a compiled statement is for reading by column; this one may be spread. */
export function wholeRow(row: PeerTable): PeerTable {
  return Object.fromEntries(COLUMNS.map((column) => [column, row[column]])) as unknown as PeerTable;
}

/** Stores a row: `storeRow(tx, ...valuesOf(row))`. */
export const storeRow = statement<HubDatabase, PeerTable[keyof PeerTable][]>((db, slot) =>
  db
    .insertInto('peer')
    .values(Object.fromEntries(COLUMNS.map((column, index) => [column, slot(index)])) as unknown as PeerTable),
);

/** Marks the peer with this id as deleted at a time. */
export const markDeleted = statement<HubDatabase, [number, string]>((db, slot) =>
  db
    .updateTable('peer')
    .set({ status: sql.lit('deleted'), deleted_at: slot<number>(0), preshared_key_sealed: sql.lit(null) })
    .where('id', '=', slot<string>(1)),
);

/** The spoke with this id is no Proxmox node any more. */
export const forgetNode = statement<HubDatabase, [string]>((db, slot) =>
  db.deleteFrom('proxmox_node').where('spoke_id', '=', slot<string>(0)),
);

/** The row with this id, of this interface, deleted or not. */
export const byId = statement<HubDatabase, [string, string], PeerTable>((db, slot) =>
  db.selectFrom('peer').selectAll().where('id', '=', slot<string>(0)).where('interface', '=', slot<string>(1)),
);

/** The living row with this public key, of this interface. */
export const byKey = statement<HubDatabase, [string, string], PeerTable>((db, slot) =>
  db
    .selectFrom('peer')
    .selectAll()
    .where('interface', '=', slot<string>(0))
    .where('public_key', '=', slot<string>(1))
    .where('status', '<>', sql.lit('deleted')),
);
