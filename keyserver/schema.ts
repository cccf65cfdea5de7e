import type { Generated, Migration } from 'kysely';
import type { OutboxTables } from '../platform/alert-outbox.ts';
import type { AuditTables } from '../platform/audit-chain.ts';
import { tables } from './migrations/001-tables.ts';
import { gateTables } from './migrations/002-gates.ts';
import { alerts } from './migrations/003-alerts.ts';
import { certificates } from './migrations/004-certificates.ts';
import { adminTables } from './migrations/005-admin.ts';
import { operations } from './migrations/006-operations.ts';
import { notices } from './migrations/007-notices.ts';

/**
 * The key server's tables. Times are milliseconds since 1970, yes/no is 1/0, digests are raw bytes, and a column named
 * `…_sealed` holds what the vault made of a secret. Nothing here opens a key without the vault.
 */
export interface Database extends AuditTables, OutboxTables {
  client: ClientTable;
  pulse: PulseTable;
  link: LinkTable;
  stored_key: StoredKeyTable;
  enrolment: EnrolmentTable;
  grant: GrantTable;
  certificate: CertificateTable;
  server_secret: ServerSecretTable;
  approval: ApprovalTable;
  alive: AliveTable;
  own_gap: OwnGapTable;
  switch: SwitchTable;
  write_probe: WriteProbeTable;
  alert_channel: AlertChannelTable;
  server_run: ServerRunTable;
  admin: AdminTable;
  heard_day: HeardDayTable;
  backup: BackupTable;
  client_notice: ClientNoticeTable;
}

/** One enrolled host and what its owner decided about it; changed by commands, hardly ever by requests. */
export interface ClientTable {
  id: string;
  /** Unique; what the operator types. */
  name: string;
  /** `new` waits for its enrolment code, `locked` after a fork, `revoked` for good. */
  state: 'new' | 'enrolled' | 'locked' | 'revoked';
  /** SHA-256 of the 32 token bytes; `null` before enrolment. */
  token_hash: Uint8Array | null;
  /** Sealed as `{kind: 'totp', client: id, id: 'totp', version: 1}`, the raw secret; `null` without TOTP. */
  totp_sealed: Uint8Array | null;
  /** 1: `GET /key` is allowed. */
  basic: number;
  /** JSON list of CIDRs. An empty list refuses everybody: `client add` without --from stores what it chose. */
  networks: string;
  rate_per_hour: number;
  burst: number;
  lockout: number;
  /** Seconds. */
  ttl: number;
  stale_if_error: number;
  fork_policy: 'lock+purge' | 'lock' | 'alert';
  /** Whether it must show a certificate; `auto`: when it was issued one. */
  certificate_policy: Generated<'auto' | 'required' | 'off'>;
  /** Since when it has certificates; `null` without. */
  certificate_since: number | null;
  /** JSON of the preset and what differs from it; see policy.ts. */
  gate_policy: Generated<string>;
  /** The per-client kill switch: since when, or `null`. */
  killed_at: number | null;
  /** SHA-256 of the token it changes to: until its first use the present one is good too. `null`: it stays. */
  next_token_hash: Uint8Array | null;
  /** The TOTP secret it changes to, sealed as the present one is. */
  next_totp_sealed: Uint8Array | null;
  /** What it is told of them, sealed as `{kind: 'rotation', client: id, id: 'next', version: 1}`; `null` without a change. */
  next_sealed: Uint8Array | null;
  next_since: number | null;
  /** When it was told first: from then on it may have stored them, and they cannot be taken back. */
  next_told_at: number | null;
  /** The secrets of before the last change: they open nothing, and whoever still uses them is another machine. */
  former_token_hash: Uint8Array | null;
  former_totp_sealed: Uint8Array | null;
  created_at: number;
  enrolled_at: number | null;
}

/** What moves with a client's messages. A row is made with the client's. */
export interface PulseTable {
  client_id: string;
  /** The `time` of the last message judged; later ones must be greater. 0 before the first. */
  last_time: number;
  /** How many links were issued so far. */
  issued: Generated<number>;
  /** Number of the confirmed link; 0 before the first. */
  confirmed: Generated<number>;
  /** Links up to this number are spent, but for the confirmed one. */
  spent_to: Generated<number>;
  /** The `time` of the message that confirmed the confirmed link. */
  confirmed_at: Generated<number>;
  /** The last TOTP step accepted by the basic profile; a code is good once. */
  totp_step: number;
  /** Place of the newest link issued; `null` before the first. */
  newest: Uint8Array | null;
  boot_id: string | null;
  /** Where the last accepted message came from. */
  source: string | null;
  /** Fingerprint of the last release. */
  fingerprint: string | null;
  heard_at: number | null;
  released_at: number | null;
  /** When its being set up was over; `null` before the first release after enrolment. */
  settled_at: number | null;
  /** The last heartbeat, or a person's yes that was used since. */
  present_at: number | null;
  /** An absence nobody has cleared yet; see absence.ts. */
  absence: string | null;
  /** Of the last release since enrolment; `none` when it had none. */
  released_boot_id: string | null;
  /** The enrolled fingerprints; see known-machine.ts. */
  web_fingerprint: string | null;
  command_fingerprint: string | null;
  /** What was learned of its fetches; see habits.ts. */
  habits: string | null;
}

/**
 * Every link ever issued, written once. Where a link stands follows from its number and the counters in `pulse`
 * (`standingOf` in chain.ts): a release moves two numbers and touches no other row.
 */
export interface LinkTable {
  /** The link's first twelve bytes. They begin with the time, so that rows are filed one behind the other. */
  place: Uint8Array;
  client_id: string;
  /** 16 hex digits. */
  link_id: string;
  /** SHA-256 of the 32 link bytes. */
  hash: Uint8Array;
  /** 1 for the client's first link, counting up. */
  number: number;
  /** Place of the client's link before this one: who only knows a link's id walks back from the newest. */
  previous: Uint8Array | null;
  /** What stood confirmed when it was issued: the number, up to where links were spent, and the `time` of that message. */
  after_number: number;
  after_spent_to: number;
  after_time: number;
}

export interface StoredKeyTable {
  client_id: string;
  key_id: string;
  /** Sealed as `{kind: 'key', client, id: keyId, version: 1}`. */
  sealed: Uint8Array;
  created_at: number;
}

/** One-time codes that turn a `new` client into an enrolled one; a row is kept after use as a trace. */
export interface EnrolmentTable {
  /** SHA-256 of the 32 code bytes. */
  code_hash: Uint8Array;
  client_id: string;
  created_at: number;
  expires_at: number;
  used_at: number | null;
}

/** One-time permissions to store keys. */
export interface GrantTable {
  /** SHA-256 of the 32 grant bytes. */
  grant_hash: Uint8Array;
  client_id: string;
  created_at: number;
  expires_at: number;
  first_used_at: number | null;
}

/** Every certificate ever issued; rows are kept as a trace. */
export interface CertificateTable {
  /** Upper-case hex. */
  serial: string;
  /** `null` but for clients' certificates. */
  client_id: string | null;
  purpose: 'ca' | 'server' | 'client' | 'admin';
  pem: string;
  not_before: number;
  not_after: number;
  /** Ended: a person revoked it, another one took its place, or its authority ended. */
  revoked_at: number | null;
  /** Serial of the authority that signed it; an authority's own is its own. */
  issuer: string;
  /** SHA-256 of the certificate's DER form. */
  digest: Uint8Array;
  issued_at: number;
  /** Clients: when a call that passed every gate first showed it. */
  used_at: number | null;
  /** Administrators: whose it is. */
  name: string | null;
  revoke_reason: 'replaced' | 'revoked' | 'authority ended' | 'client reset' | 'client revoked' | null;
}

/**
 * The server's own secrets: TLS key, audit signing key, and each authority's key by its serial; sealed as
 * `{kind: name, client: '', id: name, version: 1}`.
 */
export interface ServerSecretTable {
  name: 'tls-key' | 'audit-key' | `ca-key:${string}`;
  sealed: Uint8Array;
  created_at: number;
}

/** A person's yes or no that was asked for, and what came of it. */
export interface ApprovalTable {
  /** `ap-` and 16 hex digits. */
  id: string;
  client_id: string;
  /** `pending` and `approved` hold until `expires_at`, whatever is written here. */
  state: 'pending' | 'approved' | 'denied' | 'lapsed' | 'used' | 'withdrawn';
  /** JSON list of the gates that held, each with its reason. */
  gates: string;
  /** What a yes is bound to, besides the client. */
  source: string;
  boot_id: string | null;
  fingerprint: string | null;
  /** JSON of what the person is shown; see approvals.ts. */
  facts: string;
  created_at: number;
  expires_at: number;
  decided_at: number | null;
  decided_by: string | null;
  used_at: number | null;
}

/** When the key server was last known to be there; the one row is 1. */
export interface AliveTable {
  id: number;
  at: number;
}

/** When the key server itself was away. */
export interface OwnGapTable {
  since: number;
  until: number;
}

/** The global kill switch is the row named `kill`; no row, not killed. */
export interface SwitchTable {
  name: 'kill';
  since: number;
  reason: string | null;
}

/** One row that is written to see whether the disk takes as much as an exchange needs. */
export interface WriteProbeTable {
  id: 1;
  filling: Uint8Array;
}

/** One way to tell the owner; see alerts/channel.ts. */
export interface AlertChannelTable {
  /** What the operator types. */
  name: string;
  kind: string;
  /** The least severity that goes this way. */
  least: 'info' | 'warning' | 'critical';
  /** JSON without secrets. */
  config: string;
  /** Sealed as `{kind: 'alert-channel', client: '', id: name, version: 1}`; `null` when there is nothing to seal. */
  secret_sealed: Uint8Array | null;
  created_at: number;
}

/** When a server ran; a row is made at its first start. */
export interface ServerRunTable {
  /** Its URL: several servers may share a database. */
  server: string;
  started_at: number;
  /** Noted every minute. */
  alive_at: number;
  /** `null` while it runs, and after an end that was not in order. */
  stopped_at: number | null;
}

/** Backups that were read back and found good; where they went is not kept. */
export interface BackupTable {
  made_at: number;
  /** Of the file, hex. */
  sha256: string;
  /** Bytes. */
  size: number;
}

/** The last notice of each client that ever had one, so that the same is not told twice. */
export interface ClientNoticeTable {
  client_id: string;
  code: string;
  /** By the client's clock. */
  at: number;
}

/** Who may use the pages. */
export interface AdminTable {
  name: string;
  /** Argon2id, in the PHC string format. */
  password_hash: string;
  /** Sealed as `{kind: 'admin-totp', client: '', id: name, version: 1}`, the raw secret. */
  totp_sealed: Uint8Array;
  /** The last step whose code was accepted; a code is good once. */
  totp_step: number;
  created_at: number;
  /** When password or TOTP secret were last set; sessions of before are over. */
  changed_at: number;
  used_at: number | null;
}

/** In which stretches of five minutes of one day a client was heard. */
export interface HeardDayTable {
  client_id: string;
  /** Days since 1970, UTC. */
  day: number;
  /** 72 hex digits, one bit a stretch, the first stretch in the highest bit. */
  slots: string;
}

/** In the order of their names, each once; hand them to the store when it opens. */
export const migrations: Readonly<Record<string, Migration>> = {
  '001-tables': tables,
  '002-gates': gateTables,
  '003-alerts': alerts,
  '004-certificates': certificates,
  '005-admin': adminTables,
  '006-operations': operations,
  '007-notices': notices,
};
