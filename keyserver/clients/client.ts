import type { Selectable } from 'kysely';
import * as z from 'zod';
import type { RandomBytes } from '../../platform/clock.ts';
import type { RatePolicy } from '../../platform/rate.ts';
import type { ItemName } from '../../platform/vault/vault.ts';
import { type GatePolicy, gatePolicyOf } from '../policy/policy.ts';
import type { ClientTable } from '../schema.ts';

/** `lk-` and 24 hex digits: 96 random bits, so that ids cannot be guessed and a refusal tells nobody which exist. */
export const clientId = z.string().regex(/^lk-[0-9a-f]{24}$/, 'must be a client id: lk- and 24 hex digits');

/** What the operator calls a client. */
export const clientName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'must be 1 to 63 of a-z 0-9 . _ - and start with a letter or digit');

/** A client as the gates read it. */
export interface Client {
  readonly id: string;
  readonly name: string;
  readonly state: 'new' | 'enrolled' | 'locked' | 'revoked';
  readonly tokenHash: Uint8Array | null;
  readonly totpSealed: Uint8Array | null;
  readonly basic: boolean;
  /** CIDRs; none refuses every source. */
  readonly networks: readonly string[];
  readonly rate: RatePolicy;
  /** Seconds. */
  readonly policy: { readonly ttl: number; readonly staleIfError: number };
  readonly forkPolicy: 'lock+purge' | 'lock' | 'alert';
  readonly gates: GatePolicy;
  readonly killed: boolean;
  /** The secrets it changes to, until it uses them for the first time. */
  readonly rotation?: Rotation | null;
  /** The secrets of before the last change. */
  readonly former?: FormerSecrets | null;
  /** Whether it must show a certificate: `auto` from the time it was issued one, milliseconds since 1970. */
  readonly certificate: { readonly policy: 'auto' | 'required' | 'off'; readonly since: number | null };
}

export interface FormerSecrets {
  readonly tokenHash: Uint8Array | null;
  readonly totpSealed: Uint8Array | null;
}

export interface Rotation {
  /** `null`: the token stays. */
  readonly tokenHash: Uint8Array | null;
  /** `null`: the TOTP secret stays. */
  readonly totpSealed: Uint8Array | null;
  /** What the client is told. */
  readonly sealed: Uint8Array;
  readonly since: number;
  /** When it was told first; `null` before. */
  readonly toldAt: number | null;
}

/** What a client starts with when its owner said nothing else. */
export const clientDefaults = {
  ratePerHour: 60,
  burst: 30,
  lockout: true,
  ttl: 3600,
  staleIfError: 86_400,
  forkPolicy: 'lock+purge',
} as const;

/** A fresh client id. */
export function newClientId(random: RandomBytes): string {
  return `lk-${random(12).toString('hex')}`;
}

/** The row as a client. */
export function clientFromRow(row: Selectable<ClientTable>): Client {
  return {
    id: row.id,
    name: row.name,
    state: row.state,
    tokenHash: row.token_hash,
    totpSealed: row.totp_sealed,
    basic: row.basic === 1,
    networks: networksOf(row.networks),
    rate: { perHour: row.rate_per_hour, burst: row.burst, lockout: row.lockout === 1 },
    policy: { ttl: row.ttl, staleIfError: row.stale_if_error },
    forkPolicy: row.fork_policy,
    gates: gatePolicyOf(row.gate_policy),
    killed: row.killed_at !== null,
    rotation: rotationOf(row),
    former: formerOf(row),
    certificate: { policy: row.certificate_policy, since: row.certificate_since },
  };
}

function formerOf(row: Selectable<ClientTable>): FormerSecrets | null {
  const { former_token_hash: tokenHash, former_totp_sealed: totpSealed } = row;
  return tokenHash === null && totpSealed === null ? null : { tokenHash, totpSealed };
}

function rotationOf(row: Selectable<ClientTable>): Rotation | null {
  if (row.next_sealed === null) return null;
  return {
    tokenHash: row.next_token_hash,
    totpSealed: row.next_totp_sealed,
    sealed: row.next_sealed,
    since: row.next_since ?? 0,
    toldAt: row.next_told_at,
  };
}

/** Parsed lists by their spelling; clients share a few, and every request reads its client's. */
const lists = new Map<string, readonly string[]>();
const listLimit = 1_000;

function networksOf(text: string): readonly string[] {
  const known = lists.get(text);
  if (known !== undefined) return known;
  if (lists.size >= listLimit) lists.clear();
  const list = JSON.parse(text) as string[];
  lists.set(text, list);
  return list;
}

/** How the vault names a client's TOTP secret. */
export function totpItem(client: string): ItemName {
  return { kind: 'totp', client, id: 'totp', version: 1 };
}

/** How the vault names a stored key. */
export function keyItem(client: string, keyId: string): ItemName {
  return { kind: 'key', client, id: keyId, version: 1 };
}
