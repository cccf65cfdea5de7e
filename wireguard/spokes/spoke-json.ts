import { type PeerJson, peerJson } from '../hub/peer-json.ts';
import type { Peer } from '../store/peers.ts';

/** What is known of a spoke that is a Proxmox node. */
export interface NodeFacts {
  readonly nodeName: string;
  /** `null`, like the name, for one that stands alone. */
  readonly clusterId: string | null;
  readonly clusterName: string | null;
  /** Of Proxmox VE. */
  readonly version: string | null;
}

/** A peer that joined as a spoke. */
export interface Spoke {
  readonly peer: Peer;
  /** `null` for a spoke that is none. */
  readonly proxmox: NodeFacts | null;
}

/** A spoke as programs are told of it: a peer, what it runs in its own words, and what it is as a Proxmox node. */
export interface SpokeJson extends PeerJson {
  readonly os: string | null;
  readonly proxmox: NodeFacts | null;
}

export function spokeJson({ peer, proxmox }: Spoke): SpokeJson {
  return { ...peerJson(peer), os: peer.platform, proxmox };
}
