import { type Kysely, sql } from 'kysely';
import { type InterfaceMark, readPeerPage } from '../hub/peer-pages.ts';
import { LIVING_STATUSES, type LivingStatus } from '../store/peer-counts.ts';
import type { Peer } from '../store/peers.ts';
import type { HubDatabase, Platform } from '../store/schema.ts';
import type { NodeFacts, Spoke } from './spoke-json.ts';

type Db = Kysely<HubDatabase>;

export interface SpokeFilter {
  readonly status?: LivingStatus;
  readonly osFamily?: Platform;
}

/** How many spokes there are of each status, and together. */
export type SpokeCounts = Readonly<Record<LivingStatus | 'total', number>>;

export interface SpokePage {
  readonly spokes: readonly Spoke[];
  /** Where the next page begins; `null` after the last one. */
  readonly next: InterfaceMark | null;
}

/** Living spokes of these interfaces, paged as all peers are. */
export async function readSpokePage(
  db: Db,
  interfaces: readonly string[],
  filter: SpokeFilter,
  after: InterfaceMark | null,
  limit: number,
): Promise<SpokePage> {
  const { peers, next } = await readPeerPage(db, interfaces, { ...filter, kind: 'spoke' }, after, limit);
  return { spokes: await asSpokes(db, peers), next };
}

/** These peers, each with what it is as a Proxmox node. */
export async function asSpokes(db: Db, peers: readonly Peer[]): Promise<Spoke[]> {
  const nodes = new Map<string, NodeFacts>();
  if (peers.length > 0) {
    const ids = peers.map(({ id }) => id);
    const rows = await db
      .selectFrom('proxmox_node as node')
      .leftJoin('proxmox_cluster as cluster', 'cluster.id', 'node.cluster_id')
      .select(['node.spoke_id', 'node.node_name', 'node.version', 'cluster.id', 'cluster.name'])
      .where('node.spoke_id', 'in', ids)
      .execute();
    for (const { spoke_id: id, node_name: nodeName, version, id: clusterId, name: clusterName } of rows) {
      nodes.set(id, { nodeName, clusterId, clusterName, version });
    }
  }
  return peers.map((peer) => ({ peer, proxmox: nodes.get(peer.id) ?? null }));
}

/** How many living spokes of these interfaces there are, of one family of systems or of any: told by an index alone. */
export async function countSpokes(
  db: Db,
  interfaces: readonly string[],
  { osFamily }: Pick<SpokeFilter, 'osFamily'>,
): Promise<SpokeCounts> {
  const counts: Record<LivingStatus | 'total', number> = { total: 0, pending: 0, active: 0, inactive: 0, disabled: 0 };
  if (interfaces.length === 0) return counts;
  let query = db
    .selectFrom('peer')
    // a grouping would lead SQLite to the index that is in the order of the groups, and from there to every row
    .select(
      LIVING_STATUSES.map((status) => sql<number>`count(case when status = ${sql.lit(status)} then 1 end)`.as(status)),
    )
    .where('interface', 'in', [...interfaces])
    .where('kind', '=', sql.lit('spoke')) // as they are written in the index
    .where('status', '<>', sql.lit('deleted'));
  if (osFamily !== undefined) query = query.where('os_family', '=', osFamily);
  const row = await query.executeTakeFirst();
  for (const status of LIVING_STATUSES) {
    counts[status] = Number(row?.[status] ?? 0);
    counts.total += counts[status];
  }
  return counts;
}
