import { type Kysely, sql } from 'kysely';
import type { PeerStatus } from '../peers/peer-status.ts';
import type { HubDatabase } from '../store/schema.ts';

/** A node of a cluster, as it stands with the cluster; the rest is at its spoke. */
export interface Member {
  readonly nodeName: string;
  /** Of Proxmox VE. */
  readonly version: string | null;
  readonly spokeId: string;
  readonly spokeName: string;
  readonly interface: string;
  readonly addresses: readonly string[];
  readonly status: PeerStatus;
  readonly lastHandshake: number | null;
}

/** Ten times what corosync can have. */
const MOST_SHOWN = 500;

/** Those nodes of a cluster whose spokes are there, by their names. One that was set up anew is there twice until the old spoke is removed. */
export async function readMembers(db: Kysely<HubDatabase>, clusterId: string): Promise<Member[]> {
  const rows = await db
    .selectFrom('proxmox_node as node')
    .innerJoin('peer', 'peer.id', 'node.spoke_id')
    .select(['node.node_name', 'node.version', 'peer.id', 'peer.name', 'peer.interface'])
    .select(['peer.addresses', 'peer.status', 'peer.last_handshake'])
    .where('node.cluster_id', '=', clusterId)
    .where('peer.status', '<>', sql.lit('deleted'))
    .orderBy('node.node_name')
    .orderBy('peer.created_at')
    .orderBy('peer.id')
    .limit(MOST_SHOWN)
    .execute();
  return rows.map(({ node_name: nodeName, version, id: spokeId, name: spokeName, addresses, status, ...row }) => ({
    ...{ nodeName, version, spokeId, spokeName, status },
    interface: row.interface,
    addresses: JSON.parse(addresses) as string[],
    lastHandshake: row.last_handshake === null ? null : Number(row.last_handshake),
  }));
}
