import { LatchkeyError } from '../../platform/errors.ts';
import { offsetOf, type Pool } from '../address/pool.ts';
import { formatPrefix, overlap, type Prefix, parseNetwork } from '../address/prefix.ts';
import { parsePublicKey, type WireGuardKey } from '../keys.ts';
import type { InterfaceFacts } from '../store/interface-facts.ts';
import type { PeerKind, Platform } from '../store/schema.ts';

/** What a front door asks for. Texts are checked here, once for all doors. */
export interface PeerOrder {
  readonly name: string;
  readonly owner?: string | null;
  readonly kind: PeerKind;
  readonly platform?: string | null;
  /** Of a spoke whose installer is known; `platform` is its own words. */
  readonly osFamily?: Platform | null;
  /** Without one a pair is made, and its private half is told once. */
  readonly publicKey?: string;
  readonly presharedKey?: boolean;
  readonly keepalive?: number;
  readonly wishedAddress?: string | null;
  readonly extraNetworks?: readonly string[];
  /** Milliseconds since 1970. */
  readonly expiresAt?: number | null;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** What a front door calls the fields of an order that somebody outside writes, for its errors. */
export type OrderFields = Readonly<Record<Exclude<keyof PeerOrder, 'osFamily'>, string>>;

/** Their names where JSON is spoken. */
export const ORDER_FIELDS: OrderFields = {
  name: 'name',
  owner: 'owner',
  kind: 'kind',
  platform: 'platform',
  publicKey: 'publicKey',
  presharedKey: 'presharedKey',
  keepalive: 'keepalive',
  wishedAddress: 'address',
  extraNetworks: 'networks',
  expiresAt: 'expires',
  metadata: 'metadata',
};

/** An order that holds; `publicKey` is `null` where a pair is to be made. */
export interface CheckedOrder {
  readonly name: string;
  readonly owner: string | null;
  readonly kind: PeerKind;
  readonly platform: string | null;
  readonly osFamily: Platform | null;
  readonly publicKey: WireGuardKey | null;
  readonly isPreshared: boolean;
  readonly keepalive: number;
  readonly wishedAddress: string | null;
  /** In their one spelling. */
  readonly extraNetworks: readonly string[];
  readonly expiresAt: number | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}

const MOST_NAME = 64;
const MOST_OWNER = 128;
const MOST_PLATFORM = 128;
const MOST_NETWORKS = 64;
/** Of its JSON: notes, and not a place to keep files. */
const MOST_METADATA_BYTES = 4096;
/** One inside the other: who reads a list of peers may stop at a few hundred, and would then see nobody. */
const MOST_METADATA_LEVELS = 32;
/** Two halves of the Internet would be all of it; no network behind a peer is larger than these. */
const LEAST_BITS = { 4: 8, 6: 16 } as const;
/** Addresses that no packet of a tunnel has: loopback, link-local, multicast. */
const NOT_ROUTED = ['127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '::/16', 'fe80::/10', 'ff00::/8'].map((text) =>
  parseNetwork(text, 'networks'),
);

/**
 * Pure: what an order asks for, checked by all that can be told without the store. Throws `invalid_request`, `invalid_key`,
 * `invalid_address` (400, exit 2) and `network_overlap` (409), naming the field as its door does. `interfaces` are all that the hub has.
 */
export function checkOrder(
  order: PeerOrder,
  facts: InterfaceFacts,
  pool: Pool,
  interfaces: readonly Pick<InterfaceFacts, 'name' | 'networks'>[],
  now: number,
  fields: OrderFields = ORDER_FIELDS,
): CheckedOrder {
  const keepalive = order.keepalive ?? facts.keepalive;
  if (!Number.isInteger(keepalive) || keepalive < 0 || keepalive > 65_535) {
    throw invalid(fields.keepalive, 'must be an integer from 0 to 65535');
  }
  const expiresAt = order.expiresAt ?? null;
  if (expiresAt !== null && !(Number.isSafeInteger(expiresAt) && expiresAt > now)) {
    throw invalid(fields.expiresAt, 'must be a time that is still to come');
  }
  const wishedAddress = order.wishedAddress ?? null;
  if (wishedAddress !== null) offsetOf(pool, wishedAddress, fields.wishedAddress); // throws for one that is not handed out
  return {
    name: text(order.name, fields.name, MOST_NAME),
    owner: textOrNull(order.owner, fields.owner, MOST_OWNER),
    kind: order.kind,
    platform: textOrNull(order.platform, fields.platform, MOST_PLATFORM),
    osFamily: order.osFamily ?? null,
    publicKey: order.publicKey === undefined ? null : keyOf(order.publicKey, facts, fields.publicKey),
    isPreshared: order.presharedKey === true,
    keepalive,
    wishedAddress,
    extraNetworks: networksOf(order.extraNetworks ?? [], interfaces, fields.extraNetworks),
    expiresAt,
    metadata: metadataOf(order.metadata ?? {}, fields.metadata),
  };
}

/** Throws `network_overlap` (409), naming the other, when a network is behind another peer already. Pure. */
export function refuseSharedNetworks(
  networks: readonly string[],
  others: readonly { readonly name: string; readonly extraNetworks: readonly string[] }[],
  field: string,
): void {
  const own = networks.map((network) => parseNetwork(network, field));
  for (const { name, extraNetworks } of others) {
    for (const theirs of extraNetworks) {
      const clash = own.find((network) => overlap(network, parseNetwork(theirs, field)));
      if (clash !== undefined) throw shared(field, clash, theirs, `the peer ${name}`);
    }
  }
}

/** Characters that end a line, steer a terminal, or turn the order of what is read; and halves of characters. */
const UNSEEN = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/u;

function text(value: string, field: string, most: number): string {
  const length = [...value].length;
  if (length < 1 || length > most) throw invalid(field, `must be 1 to ${most} characters`);
  if (UNSEEN.test(value)) throw invalid(field, 'must not hold control characters');
  if (value.trim() !== value) throw invalid(field, 'must not begin or end with a blank');
  return value;
}

/** Pure: a text that is shown to people as it stands, or none. Throws `invalid_request`, naming the field. */
export function textOrNull(value: string | null | undefined, field: string, most: number): string | null {
  return value === null || value === undefined ? null : text(value, field, most);
}

function keyOf(given: string, facts: InterfaceFacts, field: string): WireGuardKey {
  const publicKey = parsePublicKey(given, field);
  if (publicKey !== facts.publicKey) return publicKey;
  throw new LatchkeyError('invalid_key', `"${field}" must not be the hub's own`, { status: 400, exit: 2, field });
}

function networksOf(
  given: readonly string[],
  interfaces: readonly Pick<InterfaceFacts, 'name' | 'networks'>[],
  field: string,
): string[] {
  if (given.length > MOST_NETWORKS) throw invalid(field, `must be at most ${MOST_NETWORKS} networks`);
  const networks = given.map((one) => parseNetwork(one, field));
  networks.forEach((network, at) => {
    if (network.bits < LEAST_BITS[network.family]) {
      throw invalid(field, `must be networks of /${LEAST_BITS[network.family]} or smaller, not everything`);
    }
    if (NOT_ROUTED.some((other) => overlap(other, network))) {
      throw invalid(field, 'must not be loopback, link-local or multicast');
    }
    for (const { name, networks: theirs } of interfaces) {
      const other = theirs.find((one) => overlap(parseNetwork(one, field), network));
      if (other !== undefined) throw shared(field, network, other, `the interface ${name}`);
    }
    const twin = networks.slice(0, at).find((other) => overlap(other, network));
    if (twin !== undefined) throw shared(field, network, formatPrefix(twin), 'the same peer');
  });
  return networks.map(formatPrefix);
}

function metadataOf(given: Readonly<Record<string, unknown>>, field: string): Readonly<Record<string, unknown>> {
  if (isDeeper(given, MOST_METADATA_LEVELS))
    throw invalid(field, `must be at most ${MOST_METADATA_LEVELS} levels deep`);
  if (Buffer.byteLength(JSON.stringify(given)) > MOST_METADATA_BYTES) {
    throw invalid(field, `must be at most ${MOST_METADATA_BYTES} bytes of JSON`);
  }
  return given;
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((one) => isDeeper(one, levels - 1));
}

function shared(field: string, network: Prefix, other: string, whose: string): LatchkeyError {
  const words = `"${field}" has ${formatPrefix(network)}, which overlaps with ${other} of ${whose}`;
  return new LatchkeyError('network_overlap', words, { status: 409, exit: 2, field });
}

function invalid(field: string, words: string): LatchkeyError {
  return new LatchkeyError('invalid_request', `"${field}" ${words}`, { status: 400, exit: 2, field });
}
