import type { Kysely } from 'kysely';
import { appendAudit, type CanonicalValue } from '../../platform/audit-chain.ts';
import type { RandomBytes } from '../../platform/clock.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { type Actor, HUB } from '../hub/actor.ts';
import { textOrNull } from '../hub/peer-order.ts';
import type { PageMark } from '../store/peers.ts';
import type { HubDatabase, ProxmoxClusterTable } from '../store/schema.ts';
import { type NodeCounts, nodeTotal } from './cluster-status.ts';

type Tx = Kysely<HubDatabase>;

/** Characters. */
const MOST_DATACENTER = 64;
const MOST_DESCRIPTION = 500;

/** What a Proxmox node tells of itself when it registers; its peer's row is there already. */
export interface NewNode {
  readonly spokeId: string;
  readonly nodeName: string;
  /** `null` for a node that stands alone. */
  readonly clusterName: string | null;
  /** Of Proxmox VE. */
  readonly version: string | null;
}

/** A Proxmox cluster, and how its nodes are. */
export interface Cluster extends PageMark {
  readonly name: string;
  readonly datacenter: string | null;
  readonly description: string | null;
  readonly nodes: NodeCounts;
}

/** What of a cluster is for people to say; what is left out stays. */
export interface ClusterChange {
  readonly datacenter?: string | null | undefined;
  readonly description?: string | null | undefined;
}

/**
 * Writes a Proxmox node down as a member of its cluster, which the first of its nodes makes. Answers the cluster; `null` for a node
 * that stands alone. Transactions run one after the other, so two nodes at once are of one cluster.
 */
export async function joinCluster(
  tx: Tx,
  { spokeId, nodeName, clusterName, version }: NewNode,
  now: number,
  random: RandomBytes,
): Promise<{ readonly id: string; readonly name: string } | null> {
  const cluster = clusterName === null ? null : await clusterNamed(tx, clusterName, spokeId, now, random);
  const row = { spoke_id: spokeId, cluster_id: cluster?.id ?? null, node_name: nodeName, version };
  await tx.insertInto('proxmox_node').values(row).execute();
  return cluster;
}

async function clusterNamed(tx: Tx, name: string, spoke: string, now: number, random: RandomBytes) {
  const found = await tx
    .selectFrom('proxmox_cluster')
    .select(['id', 'name'])
    .where('name', '=', name)
    .executeTakeFirst();
  if (found !== undefined) return { id: found.id, name: found.name };
  const id = random(12).toString('hex');
  const row = { id, name, datacenter: null, description: null, created_at: now };
  await tx.insertInto('proxmox_cluster').values(row).execute();
  await record(tx, 'cluster_created', { id, name }, HUB, now, { spoke });
  return { id, name };
}

/** Clusters in the order in which they were made, `limit` at the most. */
export async function listClusters(db: Tx, after: PageMark | null, limit: number): Promise<Cluster[]> {
  let query = db.selectFrom('proxmox_cluster').selectAll();
  if (after !== null) {
    query = query.where(({ eb, refTuple, tuple }) =>
      eb(refTuple('created_at', 'id'), '>', tuple(after.createdAt, after.id)),
    );
  }
  return counted(db, await query.orderBy('created_at').orderBy('id').limit(limit).execute());
}

/** The cluster with this id. Throws `cluster_not_found` (404). */
export async function getCluster(db: Tx, id: string): Promise<Cluster> {
  // PostgreSQL has errors of its own for some texts
  const row = /^[\w-]{1,64}$/.test(id) ? await rowOf(db, 'id', id) : undefined;
  if (row !== undefined) return only(await counted(db, [row]));
  throw notFound();
}

/** The cluster that somebody means by its name or its id. Throws `cluster_not_found` (404). */
export async function findCluster(db: Tx, text: string): Promise<Cluster> {
  const row = /^[\w.-]{1,64}$/.test(text)
    ? ((await rowOf(db, 'name', text)) ?? (await rowOf(db, 'id', text)))
    : undefined;
  if (row !== undefined) return only(await counted(db, [row]));
  throw notFound();
}

function rowOf(db: Tx, column: 'id' | 'name', text: string): Promise<ProxmoxClusterTable | undefined> {
  return db.selectFrom('proxmox_cluster').selectAll().where(column, '=', text).executeTakeFirst();
}

function only(clusters: readonly Cluster[]): Cluster {
  const [cluster] = clusters;
  if (cluster === undefined) throw new TypeError('a row became no cluster');
  return cluster;
}

function notFound(): LatchkeyError {
  return new LatchkeyError('cluster_not_found', 'there is no such cluster', { status: 404 });
}

/** Rows as clusters. A node counts while its spoke is there: one that was deleted is of no status that is counted. */
async function counted(db: Tx, rows: readonly ProxmoxClusterTable[]): Promise<Cluster[]> {
  if (rows.length === 0) return [];
  const nodes = await db
    .selectFrom('proxmox_node as node')
    .innerJoin('peer', 'peer.id', 'node.spoke_id')
    .select(({ fn }) => ['node.cluster_id', 'peer.status', fn.countAll().as('count')])
    .where(
      'node.cluster_id',
      'in',
      rows.map(({ id }) => id),
    )
    .groupBy(['node.cluster_id', 'peer.status'])
    .execute();
  return rows.map(({ id, name, datacenter, description, created_at: createdAt }) => {
    const of = (status: string): number =>
      Number(nodes.find((row) => row.cluster_id === id && row.status === status)?.count ?? 0);
    const counts = {
      pending: of('pending'),
      active: of('active'),
      inactive: of('inactive'),
      disabled: of('disabled'),
    };
    return { id, name, datacenter, description, createdAt: Number(createdAt), nodes: counts };
  });
}

/**
 * Changes what people say of a cluster; without a difference nothing is written. Throws `invalid_request` (400), naming the field, and
 * `cluster_not_found` (404).
 */
export async function changeCluster(
  tx: Tx,
  id: string,
  change: ClusterChange,
  by: Actor,
  now: number,
): Promise<Cluster> {
  const wanted = checkedChange(change);
  const before = await getCluster(tx, id);
  const { datacenter = before.datacenter, description = before.description } = wanted;
  const changes: Record<string, CanonicalValue> = {};
  if (datacenter !== before.datacenter) changes.datacenter = { before: before.datacenter, after: datacenter };
  if (description !== before.description) changes.description = { before: before.description, after: description };
  if (Object.keys(changes).length === 0) return before;
  await tx.updateTable('proxmox_cluster').set({ datacenter, description }).where('id', '=', id).execute();
  await record(tx, 'cluster_changed', before, by, now, { changes });
  return { ...before, datacenter, description };
}

function checkedChange({ datacenter, description }: ClusterChange): ClusterChange {
  return {
    ...(datacenter === undefined ? {} : { datacenter: textOrNull(datacenter, 'datacenter', MOST_DATACENTER) }),
    ...(description === undefined ? {} : { description: textOrNull(description, 'description', MOST_DESCRIPTION) }),
  };
}

/** Removes a cluster that has no node any more. Throws `cluster_not_found` (404) and `cluster_not_empty` (400, exit 3). */
export async function removeCluster(tx: Tx, id: string, by: Actor, now: number): Promise<Cluster> {
  const cluster = await getCluster(tx, id);
  const total = nodeTotal(cluster.nodes);
  if (total > 0) {
    throw new LatchkeyError('cluster_not_empty', `the cluster has ${total} ${total === 1 ? 'node' : 'nodes'}`, {
      status: 400,
      exit: 3,
      hint: 'remove the spokes that are its nodes first',
    });
  }
  await tx.deleteFrom('proxmox_node').where('cluster_id', '=', id).execute(); // those of spokes that are gone
  await tx.deleteFrom('proxmox_cluster').where('id', '=', id).execute();
  await record(tx, 'cluster_removed', cluster, by, now, {});
  return cluster;
}

async function record(
  tx: Tx,
  event: string,
  { id, name }: Pick<Cluster, 'id' | 'name'>,
  { name: by, source }: Actor,
  time: number,
  more: Readonly<Record<string, CanonicalValue>>,
): Promise<void> {
  const detail = { by, cluster: id, name, ...more };
  await appendAudit(tx, { time, event, ...(source === null ? {} : { source }), detail });
}
