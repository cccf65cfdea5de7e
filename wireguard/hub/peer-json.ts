import type { Peer } from '../store/peers.ts';

/** A peer as programs are told of it, by commands and calls alike: times are ISO 8601, and no secret is in it. */
export interface PeerJson extends Omit<Peer, Renamed> {
  /** Networks behind the peer. */
  readonly networks: readonly string[];
  /** Whether there is a preshared key. */
  readonly preshared: boolean;
  readonly createdAt: string;
  readonly expiresAt: string | null;
  readonly lastHandshake: string | null;
}

type Renamed = 'extraNetworks' | 'isPreshared' | 'createdAt' | 'expiresAt' | 'lastHandshake';

export function peerJson(peer: Peer): PeerJson {
  const { extraNetworks, isPreshared, createdAt, expiresAt, lastHandshake, ...facts } = peer;
  return {
    ...facts,
    networks: extraNetworks,
    preshared: isPreshared,
    createdAt: new Date(createdAt).toISOString(),
    expiresAt: isoTime(expiresAt),
    lastHandshake: isoTime(lastHandshake),
  };
}

/** ISO 8601; `null` stays `null`. */
export function isoTime(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}
