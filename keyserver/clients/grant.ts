import type { Kysely } from 'kysely';
import type { RandomBytes } from '../../platform/clock.ts';
import { encodeBase64Url, sha256 } from '../../platform/encoding.ts';
import type { Database } from '../schema.ts';

/** A grant waits this long for its first use. */
export const grantLifetimeMs = 3_600_000;
/** From its first use on it serves one escrow run, of several keys, this long. */
export const grantRunMs = 600_000;

/** A one-time permission for `client` to store keys: 43 characters of base64url, kept as a digest only. */
export async function createGrant(
  tx: Kysely<Database>,
  client: string,
  now: number,
  random: RandomBytes,
): Promise<string> {
  const grant = random(32);
  await tx
    .insertInto('grant')
    .values({
      grant_hash: sha256(grant),
      client_id: client,
      created_at: now,
      expires_at: now + grantLifetimeMs,
      first_used_at: null,
    })
    .execute();
  return encodeBase64Url(grant);
}

/**
 * Whether `grant` (32 bytes) lets `client` store a key now. One statement judges it and counts its use, so that two
 * requests at once cannot both be the first. A refusal leaves no trace of why.
 */
export async function redeemGrant(
  tx: Kysely<Database>,
  client: string,
  grant: Uint8Array,
  now: number,
): Promise<boolean> {
  const result = await tx
    .updateTable('grant')
    .set((eb) => ({ first_used_at: eb.fn.coalesce('first_used_at', eb.val(now)) }))
    .where('grant_hash', '=', sha256(grant))
    .where('client_id', '=', client)
    .where((eb) =>
      eb.or([
        eb.and([eb('first_used_at', 'is', null), eb('expires_at', '>', now)]),
        eb('first_used_at', '>', now - grantRunMs),
      ]),
    )
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/** Ends every grant of a client that is not spent yet. */
export async function withdrawGrants(tx: Kysely<Database>, client: string): Promise<void> {
  await tx.deleteFrom('grant').where('client_id', '=', client).execute();
}
