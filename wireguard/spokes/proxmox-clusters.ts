import type { Kysely } from 'kysely';
import { appendAudit } from '../../platform/audit-chain.ts';
import type { RandomBytes } from '../../platform/clock.ts';
import { HUB } from '../hub/actor.ts';
import type { HubDatabase } from '../store/schema.ts';

type Tx = Kysely<HubDatabase>;

/** What a Proxmox node tells of itself when it registers; its peer's row is there already. */
export interface NewNode {
  readonly spokeId: string;
  readonly nodeName: string;
  /** `null` for a node that stands alone. */
  readonly clusterName: string | null;
  /** Of Proxmox VE. */
  readonly version: string | null;
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
  // whatever it calls itself: the system of a node is a Debian
  await tx.updateTable('peer').set({ os_family: 'proxmox' }).where('id', '=', spokeId).execute();
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
  const detail = { by: HUB.name, cluster: id, name, spoke };
  await appendAudit(tx, { time: now, event: 'cluster_created', detail });
  return { id, name };
}
