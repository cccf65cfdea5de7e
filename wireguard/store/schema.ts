import type { Migration } from 'kysely';
import type { AuditTables } from '../../platform/audit-chain.ts';
import type { PeerStatus } from '../peers/peer-status.ts';
import { peerTables } from './migrations/001-peers.ts';
import { hubTables } from './migrations/002-hub.ts';

/**
 * The hub's tables. Times are milliseconds since 1970, lists and objects are JSON, a column named `…_sealed` holds what the
 * hub's seal made of a secret.
 */
export interface HubDatabase extends AuditTables {
  interface: InterfaceTable;
  peer: PeerTable;
  free_range: FreeRangeTable;
  account: AccountTable;
  api_token: ApiTokenTable;
  jwt_key: JwtKeyTable;
  gateway: GatewayTable;
  backup: BackupTable;
  server_secret: { name: string; sealed: Uint8Array; created_at: number };
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

/** Somebody who logs in. */
export interface AccountTable {
  name: string;
  role: Role;
  /** PHC string format. */
  password_hash: string;
  /** Sealed as `{kind: 'account-totp', client: '', id: name, version: 1}`, the raw secret. */
  totp_sealed: Uint8Array;
  /** The latest step whose code was used. */
  totp_step: number;
  created_at: number;
  /** When password, TOTP secret or role were last set; sessions of before end. */
  changed_at: number;
  used_at: number | null;
}

export type Role = 'admin' | 'operator' | 'viewer';

/** A program that asks with a token of its own. */
export interface ApiTokenTable {
  id: string;
  name: string;
  /** SHA-256 of the token's 32 bytes. */
  token_hash: Uint8Array;
  /** JSON list. */
  scopes: string;
  created_at: number;
  expires_at: number | null;
  used_at: number | null;
}

/** A key whose JWTs are believed. */
export interface JwtKeyTable {
  /** The `kid` of its tokens. */
  name: string;
  algorithm: 'EdDSA' | 'HS256';
  /** Sealed as `{kind: 'jwt-key', client: '', id: name, version: 1}`: the public key (SPKI, DER) or the shared secret. */
  key_sealed: Uint8Array;
  created_at: number;
}

/** A gateway that signs its requests. */
export interface GatewayTable {
  name: string;
  /** The interface its peers go to. */
  interface: string;
  /** Sealed as `{kind: 'gateway', client: '', id: name, version: 1}`, 32 bytes. */
  secret_sealed: Uint8Array;
  /** The secret that takes over when it is used first, sealed under the same name; `null` unless one was made. */
  next_sealed: Uint8Array | null;
  /** Whether its payloads have to be sealed, may be, or are not. */
  payloads: 'plain' | 'either' | 'sealed';
  /** The newest `X-Timestamp`, in seconds, that was taken with the secret: after a restart nothing older is. */
  newest: number;
  created_at: number;
  used_at: number | null;
}

/** A backup that was read back whole, or the one this store was restored from. */
export interface BackupTable {
  /** Of the file, hex. */
  sha256: string;
  made_at: number;
  size: number;
  /** Its name when it was made, without the folder. */
  file: string;
  sealed_with: 'passphrase' | 'keyfile' | 'age' | 'nothing';
}

export const PEER_KINDS = ['spoke', 'device', 'gateway'] as const;
export type PeerKind = (typeof PEER_KINDS)[number];

export const migrations: Readonly<Record<string, Migration>> = {
  '001-peers': peerTables,
  '002-hub': hubTables,
};
