import type { Kysely } from 'kysely';
import { linkFromBytes } from './link.ts';
import type { Database } from './schema.ts';

/**
 * Gives a client its first link, confirmed; whatever links it had become spent. Call it inside the transaction that
 * enrols the client: `link` is the 32 bytes the answer will carry.
 */
export async function startChain(tx: Kysely<Database>, client: string, link: Uint8Array, now: number): Promise<void> {
  const live = await tx.selectFrom('link').selectAll().where('client_id', '=', client).execute();
  for (const old of live) {
    await tx
      .insertInto('spent_link')
      .values({ client_id: client, link_id: old.link_id, hash: old.hash, spent_at: now })
      .execute();
  }
  await tx.deleteFrom('link').where('client_id', '=', client).execute();
  const { id, hash } = linkFromBytes(link);
  await tx
    .insertInto('link')
    .values({ client_id: client, link_id: id, hash, state: 'confirmed', issued_at: now })
    .execute();
}
