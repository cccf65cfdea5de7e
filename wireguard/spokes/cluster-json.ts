import { isoTime } from '../hub/peer-json.ts';
import type { Member } from './cluster-members.ts';
import { type ClusterStatus, clusterStatus, type NodeCounts, nodeTotal } from './cluster-status.ts';
import type { Cluster } from './proxmox-clusters.ts';

/** A cluster as programs are told of it. */
export interface ClusterJson {
  readonly id: string;
  readonly name: string;
  readonly datacenter: string | null;
  readonly description: string | null;
  readonly status: ClusterStatus;
  readonly nodes: NodeCounts & { readonly total: number };
  readonly createdAt: string | null;
}

export function clusterJson({ id, name, datacenter, description, nodes, createdAt }: Cluster): ClusterJson {
  return {
    ...{ id, name, datacenter, description },
    status: clusterStatus(nodes),
    nodes: { total: nodeTotal(nodes), ...nodes },
    createdAt: isoTime(createdAt),
  };
}

/** One of its nodes. */
export function memberJson({ lastHandshake, ...facts }: Member): object {
  return { ...facts, lastHandshake: isoTime(lastHandshake) };
}
