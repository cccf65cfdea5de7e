import { type Kysely, sql } from 'kysely';
import { LatchkeyError } from '../../platform/errors.ts';
import { addressesAt, offsetOf, type Pool } from '../address/pool.ts';
import type { WireGuardKey } from '../keys.ts';
import { osFamily } from '../peers/os-family.ts';
import type { PeerStatus } from '../peers/peer-status.ts';
import { freeOffset, takeOffset } from './address-book.ts';
import { byId, byKey, forgetNode, markDeleted, storeRow, valuesOf, wholeRow } from './peer-row.ts';
import type { HubDatabase, PeerKind, PeerTable, Platform } from './schema.ts';
import { type Seal, sealText } from './seal.ts';

type Tx = Kysely<HubDatabase>;

/** A peer as it is asked for; everything in it has been checked. */
export interface NewPeer {
  readonly id: string;
  readonly name: string;
  readonly owner: string | null;
  readonly publicKey: WireGuardKey;
  readonly presharedKey: WireGuardKey | null;
  readonly kind: PeerKind;
  readonly platform: string | null;
  /** `null`: as `platform` tells. */
  readonly osFamily?: Platform | null;
  readonly keepalive: number;
  /** An address it wants to have; `null` for the lowest free one. */
  readonly wishedAddress: string | null;
  readonly extraNetworks: readonly string[];
  readonly expiresAt: number | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** A peer as it is told to others; no secret is in it. */
export interface Peer {
  readonly id: string;
  readonly interface: string;
  readonly name: string;
  readonly owner: string | null;
  readonly publicKey: WireGuardKey;
  readonly addresses: readonly string[];
  readonly extraNetworks: readonly string[];
  readonly endpoint: string | null;
  readonly keepalive: number;
  readonly kind: PeerKind;
  readonly platform: string | null;
  /** `null` for a platform that is of none, or not told. */
  readonly osFamily: Platform | null;
  readonly status: PeerStatus;
  /** True when hub and peer share a preshared key beside their pairs. */
  readonly isPreshared: boolean;
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly lastHandshake: number | null;
  readonly rx: number;
  readonly tx: number;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** What a front door calls the fields that only the store can refuse. */
export interface StoreFields {
  readonly publicKey: string;
  readonly wishedAddress: string;
}

const USUAL_FIELDS: StoreFields = { publicKey: 'publicKey', wishedAddress: 'customIP' };

/**
 * Stores a peer and gives it its addresses: those of the `kept` place, which is not among the free ones, or else the wished or the
 * lowest. Throws `public_key_exists` and `ip_taken` (409), `pool_exhausted` (503). The interface learns of it from the reconciler,
 * after the commit.
 */
export async function insertPeer(
  tx: Tx,
  about: { interface: string; pool: Pool; seal: Seal; now: number; fields?: StoreFields },
  given: NewPeer,
  kept: number | null = null,
): Promise<Peer> {
  const { interface: name, pool, seal, now, fields = USUAL_FIELDS } = about;
  await assertNewKey(tx, name, given.publicKey, fields.publicKey);
  const wished = given.wishedAddress === null ? null : offsetOf(pool, given.wishedAddress, fields.wishedAddress);
  const place = kept ?? (await takeOffset(tx, name, wished, fields.wishedAddress));
  const row: PeerTable = {
    id: given.id,
    interface: name,
    name: given.name,
    owner: given.owner,
    public_key: given.publicKey,
    preshared_key_sealed:
      given.presharedKey === null ? null : sealText(seal, 'preshared-key', given.id, given.presharedKey),
    place,
    addresses: JSON.stringify(addressesAt(pool, place)),
    extra_networks: JSON.stringify(given.extraNetworks),
    endpoint: null,
    keepalive: given.keepalive,
    kind: given.kind,
    platform: given.platform,
    os_family: given.osFamily ?? osFamily(given.platform),
    status: 'pending',
    created_at: now,
    expires_at: given.expiresAt,
    deleted_at: null,
    last_handshake: null,
    rx: 0,
    tx: 0,
    seen_rx: 0,
    seen_tx: 0,
    metadata: JSON.stringify(given.metadata),
  };
  await storeRow(tx, ...valuesOf(row));
  return peerOf(row);
}

async function assertNewKey(tx: Tx, name: string, publicKey: WireGuardKey, field: string): Promise<void> {
  const [same] = await byKey(tx, name, publicKey);
  if (same === undefined) return;
  throw new LatchkeyError('public_key_exists', 'a peer with this public key is there already', {
    status: 409,
    exit: 2,
    field,
  });
}

/** Deletes a living peer and frees its addresses; its row stays, and it is no node of a cluster any more. Throws `peer_not_found` (404). */
export async function deletePeer(tx: Tx, name: string, id: string, now: number): Promise<Peer> {
  const row = await livingRow(tx, name, id);
  await markDeleted(tx, now, id);
  if (row.kind === 'spoke') await forgetNode(tx, id);
  await freeOffset(tx, name, Number(row.place));
  return { ...peerOf(row), status: 'deleted' };
}

/** Switches a peer off, or on again; it keeps its addresses. Throws `peer_not_found` (404). */
export async function switchPeer(tx: Tx, name: string, id: string, isOn: boolean): Promise<Peer> {
  const row = await livingRow(tx, name, id);
  const status: PeerStatus = isOn ? (row.status === 'disabled' ? 'pending' : row.status) : 'disabled';
  await tx.updateTable('peer').set({ status }).where('id', '=', id).execute();
  return { ...peerOf(row), status };
}

/**
 * Gives a living peer other keys: it keeps its addresses and its totals, and is as one that was never heard. Its old key stays in
 * a row `formerId` of its own, deleted, by which it is known for one that must not be on the interface. Throws `peer_not_found` (404)
 * and `public_key_exists` (409).
 */
export async function rekeyPeer(
  tx: Tx,
  { interface: name, seal, now }: { interface: string; seal: Seal; now: number },
  id: string,
  keys: { readonly publicKey: WireGuardKey; readonly presharedKey: WireGuardKey | null; readonly formerId: string },
): Promise<{ readonly before: Peer; readonly after: Peer }> {
  const row = await livingRow(tx, name, id);
  await assertNewKey(tx, name, keys.publicKey, 'publicKey');
  const change = {
    public_key: keys.publicKey,
    preshared_key_sealed: keys.presharedKey === null ? null : sealText(seal, 'preshared-key', id, keys.presharedKey),
    status: row.status === 'disabled' ? row.status : ('pending' as const),
    endpoint: null,
    last_handshake: null,
    seen_rx: 0,
    seen_tx: 0,
  };
  await tx.updateTable('peer').set(change).where('id', '=', id).execute();
  const whole = wholeRow(row);
  const former = { ...whole, id: keys.formerId, status: 'deleted' as const, deleted_at: now };
  await storeRow(tx, ...valuesOf({ ...former, preshared_key_sealed: null }));
  return { before: peerOf(row), after: peerOf({ ...whole, ...change }) };
}

async function livingRow(tx: Tx, name: string, id: string): Promise<PeerTable> {
  const [row] = await byId(tx, id, name);
  if (row === undefined || row.status === 'deleted') {
    throw new LatchkeyError('peer_not_found', 'there is no such peer', { status: 404 });
  }
  return row;
}

/** The living peer with this key; `null` when there is none. */
export async function findByKey(db: Tx, name: string, publicKey: WireGuardKey): Promise<Peer | null> {
  const [row] = await byKey(db, name, publicKey);
  return row === undefined ? null : peerOf(row);
}

/** The living peer with this id; `null` when there is none. */
export async function findById(db: Tx, name: string, id: string): Promise<Peer | null> {
  if (!/^[\w-]{1,64}$/.test(id)) return null; // PostgreSQL has errors of its own for some texts
  const [row] = await byId(db, id, name);
  return row === undefined || row.status === 'deleted' ? null : peerOf(row);
}

/** Ids of living peers whose time is over. */
export async function expiredPeers(db: Tx, name: string, now: number): Promise<string[]> {
  const rows = await db
    .selectFrom('peer')
    .select('id')
    .where('interface', '=', name)
    .where('status', '<>', 'deleted')
    .where('expires_at', '<=', now)
    .execute();
  return rows.map(({ id }) => id);
}

/** Where a page begins: after this peer. */
export interface PageMark {
  readonly createdAt: number;
  readonly id: string;
}

export interface PeerFilter {
  readonly status?: PeerStatus;
  readonly kind?: PeerKind;
  readonly owner?: string;
  readonly osFamily?: Platform;
}

/** Living peers of that name, the oldest first, `limit` at the most; of one kind where it is told. */
export async function findByName(db: Tx, on: string, name: string, limit: number, kind?: PeerKind): Promise<Peer[]> {
  let query = db.selectFrom('peer').selectAll().where('interface', '=', on).where('name', '=', name);
  query = query.where('status', '<>', sql.lit('deleted'));
  if (kind !== undefined) query = query.where('kind', '=', kind);
  const rows = await query.orderBy('created_at').orderBy('id').limit(limit).execute();
  return rows.map(peerOf);
}

/** Living peers that have networks behind them, with what they have. */
export async function peersWithNetworks(db: Tx): Promise<Pick<Peer, 'id' | 'interface' | 'name' | 'extraNetworks'>[]> {
  const rows = await db
    .selectFrom('peer')
    .select(['id', 'interface', 'name', 'extra_networks'])
    .where('extra_networks', '<>', sql.lit('[]'))
    .where('status', '<>', sql.lit('deleted'))
    .orderBy('interface') // in the order of the index that has only these
    .orderBy('id')
    .execute();
  return rows.map(({ extra_networks: networks, ...row }) => ({
    ...row,
    extraNetworks: JSON.parse(networks) as string[],
  }));
}

/** Networks behind the peers that belong on an interface. */
export async function networksBehind(db: Tx, name: string): Promise<string[]> {
  const rows = await db
    .selectFrom('peer')
    .select('extra_networks')
    .where('interface', '=', name)
    .where('extra_networks', '<>', sql.lit('[]'))
    .where('status', '<>', sql.lit('deleted'))
    .where('status', '<>', sql.lit('disabled'))
    .orderBy('id')
    .execute();
  return rows.flatMap((row) => JSON.parse(row.extra_networks) as string[]);
}

/** Living peers in the order of their creation, a page at a time: costs what the page costs, however many there are. */
export async function listPeers(
  db: Tx,
  name: string,
  filter: PeerFilter,
  after: PageMark | null,
  limit: number,
): Promise<Peer[]> {
  let query = db.selectFrom('peer').selectAll().where('interface', '=', name);
  query = query.where('status', '<>', sql.lit('deleted')); // as it is written in the index
  if (filter.status !== undefined) query = query.where('status', '=', filter.status);
  if (filter.kind !== undefined) query = query.where('kind', '=', sql.lit(filter.kind)); // some indexes have spokes only
  if (filter.osFamily !== undefined) query = query.where('os_family', '=', filter.osFamily);
  if (filter.owner !== undefined) query = query.where('owner', '=', filter.owner);
  if (after !== null) {
    // both at once, so that the database begins at the mark and passes over nothing
    query = query.where(({ eb, refTuple, tuple }) =>
      eb(refTuple('created_at', 'id'), '>', tuple(after.createdAt, after.id)),
    );
  }
  const rows = await query.orderBy('created_at').orderBy('id').limit(limit).execute();
  return rows.map(peerOf);
}

function peerOf(row: PeerTable): Peer {
  return {
    id: row.id,
    interface: row.interface,
    name: row.name,
    owner: row.owner,
    publicKey: row.public_key,
    addresses: JSON.parse(row.addresses) as string[],
    extraNetworks: JSON.parse(row.extra_networks) as string[],
    endpoint: row.endpoint,
    keepalive: Number(row.keepalive),
    kind: row.kind,
    platform: row.platform,
    osFamily: row.os_family,
    status: row.status,
    isPreshared: row.preshared_key_sealed !== null,
    createdAt: Number(row.created_at),
    expiresAt: row.expires_at === null ? null : Number(row.expires_at),
    lastHandshake: row.last_handshake === null ? null : Number(row.last_handshake),
    rx: Number(row.rx),
    tx: Number(row.tx),
    metadata: JSON.parse(row.metadata) as Record<string, unknown>,
  };
}
