import type { Migration } from 'kysely';
import type { PeerStatus } from '../peers/peer-status.ts';
import { peerTables } from './migrations/001-peers.ts';

/**
 * The hub's tables. Times are milliseconds since 1970, lists and objects are JSON, a column named `…_sealed` holds what the
 * hub's seal made of a secret.
 */
export interface HubDatabase {
  interface: InterfaceTable;
  peer: PeerTable;
  free_range: FreeRangeTable;
}

export interface InterfaceTable {
  name: string;
  /** One network, or one of each family. */
  networks: string;
  /** The hub's own, with their networks' lengths. */
  addresses: string;
  listen_port: number;
  /** `host:port` that peers are told. */
  endpoint: string;
  dns: string;
  /** `null`: computed from the obfuscation. */
  mtu: number | null;
  keepalive: number;
  fw_mark: number;
  level: string;
  obfuscation_sealed: Uint8Array;
  public_key: string;
  private_key_sealed: Uint8Array;
  created_at: number;
}

export interface PeerTable {
  id: string;
  interface: string;
  name: string;
  owner: string | null;
  public_key: string;
  preshared_key_sealed: Uint8Array | null;
  /** Offset in the pool of the interface. */
  place: number;
  addresses: string;
  /** Networks behind the peer, beside its own addresses. */
  extra_networks: string;
  endpoint: string | null;
  keepalive: number;
  kind: PeerKind;
  platform: string | null;
  status: PeerStatus;
  created_at: number;
  expires_at: number | null;
  deleted_at: number | null;
  last_handshake: number | null;
  rx: number;
  tx: number;
  seen_rx: number;
  seen_tx: number;
  metadata: string;
}

/** Offsets of a pool that nobody has, both ends included. */
export interface FreeRangeTable {
  interface: string;
  first: number;
  last: number;
}

export type PeerKind = 'spoke' | 'device' | 'gateway';

export const migrations: Readonly<Record<string, Migration>> = { '001-peers': peerTables };
