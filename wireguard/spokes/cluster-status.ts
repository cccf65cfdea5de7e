import type { LivingStatus } from '../store/peer-counts.ts';

/** `critical`: most of its nodes are offline. `empty`: all of them were removed. */
export const CLUSTER_STATUSES = ['all-active', 'degraded', 'critical', 'empty'] as const;
export type ClusterStatus = (typeof CLUSTER_STATUSES)[number];

/** How many of its nodes are there, by the status of their spokes; removed ones are not counted. */
export type NodeCounts = Readonly<Record<LivingStatus, number>>;

/** Pure. A node is online while its spoke is active; one that was never heard or is switched off is as offline as one that fell silent. */
export function clusterStatus(nodes: NodeCounts): ClusterStatus {
  const total = nodeTotal(nodes);
  if (total === 0) return 'empty';
  const offline = total - nodes.active;
  if (offline === 0) return 'all-active';
  return offline * 2 > total ? 'critical' : 'degraded';
}

export function nodeTotal({ pending, active, inactive, disabled }: NodeCounts): number {
  return pending + active + inactive + disabled;
}
