import type { Migration } from 'kysely';
import type { AuditTables } from '../../platform/audit-chain.ts';
import type { PeerStatus } from '../peers/peer-status.ts';
import { peerTables } from './migrations/001-peers.ts';
import { hubTables } from './migrations/002-hub.ts';
import { spokeTables } from './migrations/003-spokes.ts';
import { sessionTables } from './migrations/004-sessions.ts';

/**
 * The hub's tables. Times are milliseconds since 1970, lists and objects are JSON, a column named `…_sealed` holds what the
 * hub's seal made of a secret.
 */
export interface HubDatabase extends AuditTables {
  interface: InterfaceTable;
  peer: PeerTable;
  free_range: FreeRangeTable;
  account: AccountTable;
  session: SessionTable;
  api_token: ApiTokenTable;
  jwt_key: JwtKeyTable;
  gateway: GatewayTable;
  install_token: InstallTokenTable;
  proxmox_cluster: ProxmoxClusterTable;
  proxmox_node: ProxmoxNodeTable;
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
  /** Of `platform`; by it spokes are listed. */
  os_family: Platform | null;
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

/** Somebody who is logged in, at whichever hub on the database. */
export interface SessionTable {
  /** SHA-256 of the token's 32 bytes, hex. */
  id: string;
  account: string;
  /** A session is good from the address it began at; in a tunnel an address is a machine. */
  source: string;
  /** `changed_at` of the account when it began. */
  changed_at: number;
  began_at: number;
  /** When it was last used, to the minute. */
  seen_at: number;
}

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

/** A token with which one spoke joins, once. Its row stays when it is spent. */
export interface InstallTokenTable {
  id: string;
  /** SHA-256 of the token's 32 bytes. */
  token_hash: Uint8Array;
  interface: string;
  /** The id that the spoke will have as a peer. */
  spoke_id: string;
  spoke_name: string;
  /** The only platform whose script it gives; `null` for any. */
  platform: Platform | null;
  /** Offset in the pool, kept for it until `ended_at`. */
  place: number;
  addresses: string;
  /** JSON: what its scripts are made out to, `HubAddress`. */
  hub: string;
  /** SHA-256 (hex) of each script as it was shown, by platform. */
  scripts: string;
  /** How many other nodes of its cluster may be invited with it. */
  members: number;
  /** The token that this one was made with; `null` for one that an administrator made. */
  parent: string | null;
  created_by: string;
  created_from: string | null;
  created_at: number;
  expires_at: number;
  fetched_at: number | null;
  fetched_from: string | null;
  /** `User-Agent`, cut to 200 characters. */
  fetched_agent: string | null;
  fetched_platform: Platform | null;
  registered_at: number | null;
  registered_from: string | null;
  invited_at: number | null;
  /** When it was over; from then on it keeps no address. */
  ended_at: number | null;
  end: TokenEnd | null;
}

export const PLATFORMS = ['linux', 'macos', 'windows', 'proxmox'] as const;
/** What there is an installer for. */
export type Platform = (typeof PLATFORMS)[number];

/** `registered`: the address is the spoke's now. */
export type TokenEnd = 'registered' | 'revoked' | 'expired';

/** A Proxmox cluster, made when the first of its nodes registers. */
export interface ProxmoxClusterTable {
  id: string;
  name: string;
  datacenter: string | null;
  description: string | null;
  created_at: number;
}

/** What is known of a spoke that is a Proxmox node, as long as its peer's row is there. */
export interface ProxmoxNodeTable {
  spoke_id: string;
  /** `null` for a node that stands alone. */
  cluster_id: string | null;
  node_name: string;
  version: string | null;
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
  '003-spokes': spokeTables,
  '004-sessions': sessionTables,
};
