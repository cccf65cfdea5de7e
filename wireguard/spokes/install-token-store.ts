import { type Kysely, type Selectable, sql } from 'kysely';
import { LatchkeyError } from '../../platform/errors.ts';
import { addressesAt, offsetOf, type Pool } from '../address/pool.ts';
import { freeOffset, takeOffset } from '../store/address-book.ts';
import type { HubDatabase, InstallTokenTable, Platform, TokenEnd } from '../store/schema.ts';
import { type HubAddress, type InstallToken, REGISTRATION_MS } from './install-token.ts';

type Tx = Kysely<HubDatabase>;

/** A token as it is asked for; everything in it has been checked. */
export interface NewInstallToken {
  readonly id: string;
  readonly hash: Uint8Array;
  readonly interface: string;
  readonly spokeId: string;
  readonly spokeName: string;
  readonly platform: Platform | null;
  readonly hub: HubAddress;
  readonly scripts: Readonly<Partial<Record<Platform, string>>>;
  readonly members: number;
  readonly parent: string | null;
  readonly createdBy: string;
  readonly createdFrom: string | null;
  readonly createdAt: number;
  readonly expiresAt: number;
}

/** Where and by whom a script was fetched. */
export interface Fetch {
  readonly at: number;
  readonly from: string;
  readonly agent: string | null;
  readonly platform: Platform;
}

/**
 * Stores a token and keeps an address for its spoke: the wished one, or the lowest that is free. Throws `ip_taken` (409),
 * `invalid_address` (400) and `pool_exhausted` (503).
 */
export async function insertToken(
  tx: Tx,
  pool: Pool,
  wishedAddress: string | null,
  given: NewInstallToken,
): Promise<InstallToken> {
  const wished = wishedAddress === null ? null : offsetOf(pool, wishedAddress, 'customIP');
  const place = await takeOffset(tx, given.interface, wished);
  const row: InstallTokenTable = {
    id: given.id,
    token_hash: given.hash,
    interface: given.interface,
    spoke_id: given.spokeId,
    spoke_name: given.spokeName,
    platform: given.platform,
    place,
    addresses: JSON.stringify(addressesAt(pool, place)),
    hub: JSON.stringify(given.hub),
    scripts: JSON.stringify(given.scripts),
    members: given.members,
    parent: given.parent,
    created_by: given.createdBy,
    created_from: given.createdFrom,
    created_at: given.createdAt,
    expires_at: given.expiresAt,
    fetched_at: null,
    fetched_from: null,
    fetched_agent: null,
    fetched_platform: null,
    registered_at: null,
    registered_from: null,
    invited_at: null,
    ended_at: null,
    end: null,
  };
  await tx.insertInto('install_token').values(row).execute();
  return tokenOf(row);
}

export async function findInstallToken(db: Tx, hash: Uint8Array): Promise<InstallToken | null> {
  const row = await db.selectFrom('install_token').selectAll().where('token_hash', '=', hash).executeTakeFirst();
  return row === undefined ? null : tokenOf(row);
}

/** One statement decides who gets the script: `null` for everybody but the first, and for all when its time is over. */
export async function takeScript(tx: Tx, id: string, fetch: Fetch): Promise<InstallToken | null> {
  const row = await tx
    .updateTable('install_token')
    .set({
      fetched_at: fetch.at,
      fetched_from: fetch.from,
      fetched_agent: fetch.agent,
      fetched_platform: fetch.platform,
    })
    .where('id', '=', id)
    .where('fetched_at', 'is', null)
    .where('ended_at', 'is', null)
    .where('expires_at', '>', fetch.at)
    .returningAll()
    .executeTakeFirst();
  return row === undefined ? null : tokenOf(row);
}

/** One statement decides who registers: `null` for everybody but the first, and for all outside the time after the download. */
export async function takeRegistration(tx: Tx, id: string, from: string, now: number): Promise<InstallToken | null> {
  const row = await tx
    .updateTable('install_token')
    .set({ registered_at: now, registered_from: from, ended_at: now, end: 'registered' })
    .where('id', '=', id)
    .where('fetched_at', '>', now - REGISTRATION_MS)
    .where('ended_at', 'is', null)
    .returningAll()
    .executeTakeFirst();
  return row === undefined ? null : tokenOf(row);
}

/** One statement decides who invites the rest of the cluster: `null` for everybody but the first. */
export async function takeInvitation(tx: Tx, id: string, now: number): Promise<InstallToken | null> {
  const row = await tx
    .updateTable('install_token')
    .set({ invited_at: now })
    .where('id', '=', id)
    .where('invited_at', 'is', null)
    .where('end', '=', 'registered')
    .returningAll()
    .executeTakeFirst();
  return row === undefined ? null : tokenOf(row);
}

/**
 * Ends a token that no spoke came of, and frees its address. Throws `token_not_found` (404), and `token_already_used` (400) for one
 * that a spoke registered with, or whose script is out, unless `fetched`: then whoever has the script is refused at registration.
 */
export async function revokeToken(tx: Tx, id: string, now: number, { fetched = false } = {}): Promise<InstallToken> {
  const row = /^[\w-]{1,64}$/.test(id)
    ? await tx.selectFrom('install_token').selectAll().where('id', '=', id).executeTakeFirst()
    : undefined;
  if (row === undefined || row.end === 'revoked') {
    throw new LatchkeyError('token_not_found', 'there is no such install token', {
      status: 404,
      hint: 'wghub spoke invites shows those that there are',
    });
  }
  if (row.end === 'registered') {
    throw new LatchkeyError('token_already_used', 'the install token is used already: a spoke came of it', {
      status: 400,
      hint: 'remove that spoke; on the hub: wghub spoke remove',
    });
  }
  if (row.fetched_at !== null && !fetched) {
    throw new LatchkeyError('token_already_used', 'the install token is used already: its script was fetched', {
      status: 400,
      hint: 'without a spoke it ends half an hour after the download; at once with ?fetched=true, on the hub: wghub spoke revoke --fetched',
    });
  }
  if (row.ended_at === null) await freeOffset(tx, row.interface, Number(row.place));
  await end(tx, id, 'revoked', now);
  return tokenOf({ ...row, ended_at: now, end: 'revoked' });
}

/** Ends those tokens that a spoke's own was used to make and nobody has fetched, and frees their addresses. */
export async function revokeMembers(tx: Tx, spokeId: string, now: number): Promise<InstallToken[]> {
  const rows = await tx
    .selectFrom('install_token')
    .selectAll()
    .where('ended_at', 'is', sql.lit(null))
    .where('fetched_at', 'is', null)
    .where('parent', '=', (from) =>
      from.selectFrom('install_token as own').select('own.id').where('own.spoke_id', '=', spokeId),
    )
    .orderBy('id')
    .execute();
  for (const row of rows) {
    await freeOffset(tx, row.interface, Number(row.place));
    await end(tx, row.id, 'revoked', now);
  }
  return rows.map((row) => tokenOf({ ...row, ended_at: now, end: 'revoked' }));
}

/** Ends tokens whose time is over and frees their addresses, `limit` at the most. */
export async function expireTokens(tx: Tx, now: number, limit: number): Promise<InstallToken[]> {
  const rows = await tx
    .selectFrom('install_token')
    .selectAll()
    .where('ended_at', 'is', sql.lit(null))
    .where((is) =>
      is.or([
        is.and([is('expires_at', '<=', now), is('fetched_at', 'is', null)]),
        is('fetched_at', '<=', now - REGISTRATION_MS),
      ]),
    )
    .orderBy('expires_at')
    .limit(limit)
    .execute();
  for (const row of rows) {
    await freeOffset(tx, row.interface, Number(row.place));
    await end(tx, row.id, 'expired', now);
  }
  return rows.map((row) => tokenOf({ ...row, ended_at: now, end: 'expired' }));
}

/** Forgets tokens that ended before that time; the audit log keeps what they were. */
export async function forgetTokens(tx: Tx, endedBefore: number): Promise<void> {
  await tx.deleteFrom('install_token').where('ended_at', '<', endedBefore).execute();
}

async function end(tx: Tx, id: string, how: TokenEnd, now: number): Promise<void> {
  await tx.updateTable('install_token').set({ ended_at: now, end: how }).where('id', '=', id).execute();
}

export function tokenOf(row: Selectable<InstallTokenTable>): InstallToken {
  const time = (value: number | null): number | null => (value === null ? null : Number(value));
  return {
    id: row.id,
    interface: row.interface,
    spokeId: row.spoke_id,
    spokeName: row.spoke_name,
    platform: row.platform,
    place: Number(row.place),
    addresses: JSON.parse(row.addresses) as string[],
    hub: JSON.parse(row.hub) as HubAddress,
    scripts: JSON.parse(row.scripts) as Partial<Record<Platform, string>>,
    members: Number(row.members),
    createdBy: row.created_by,
    createdAt: Number(row.created_at),
    expiresAt: Number(row.expires_at),
    fetchedAt: time(row.fetched_at),
    fetchedFrom: row.fetched_from,
    fetchedAgent: row.fetched_agent,
    fetchedPlatform: row.fetched_platform,
    registeredAt: time(row.registered_at),
    registeredFrom: row.registered_from,
    invitedAt: time(row.invited_at),
    endedAt: time(row.ended_at),
    end: row.end,
  };
}
