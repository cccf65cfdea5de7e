import type { Kysely } from 'kysely';
import { statement } from '../platform/statement.ts';
import { type Link, linkFromBytes } from './link.ts';
import type { Database } from './schema.ts';

const insertLink = statement<
  Database,
  [client: string, id: string, hash: Uint8Array, state: 'confirmed' | 'pending', now: number]
>((db, slot) =>
  db.insertInto('link').values({
    client_id: slot<string>(0),
    link_id: slot<string>(1),
    hash: slot<Uint8Array>(2),
    state: slot<'pending'>(3),
    issued_at: slot<number>(4),
  }),
);

const spendOthers = statement<Database, [client: string, kept: string, now: number]>((db, slot) =>
  db
    .insertInto('spent_link')
    .columns(['client_id', 'link_id', 'hash', 'spent_at'])
    .expression((eb) =>
      eb
        .selectFrom('link')
        .select(['client_id', 'link_id', 'hash', eb.val(slot<number>(2)).as('spent_at')])
        .where('client_id', '=', slot<string>(0))
        .where('link_id', '!=', slot<string>(1)),
    ),
);

const deleteOthers = statement<Database, [client: string, kept: string]>((db, slot) =>
  db.deleteFrom('link').where('client_id', '=', slot<string>(0)).where('link_id', '!=', slot<string>(1)),
);

const confirm = statement<Database, [client: string, id: string, state: 'confirmed']>((db, slot) =>
  db
    .updateTable('link')
    .set({ state: slot<'confirmed'>(2) })
    .where('client_id', '=', slot<string>(0))
    .where('link_id', '=', slot<string>(1)),
);

/** Issues a pending link. */
export async function issueLink(tx: Kysely<Database>, client: string, link: Link, now: number): Promise<void> {
  await tx.executeQuery(insertLink(tx, client, link.id, link.hash, 'pending', now));
}

/** The link becomes the confirmed one; every other link issued so far is spent. */
export async function promoteLink(tx: Kysely<Database>, client: string, linkId: string, now: number): Promise<void> {
  await tx.executeQuery(spendOthers(tx, client, linkId, now));
  await tx.executeQuery(deleteOthers(tx, client, linkId));
  await tx.executeQuery(confirm(tx, client, linkId, 'confirmed'));
}

/**
 * Gives a client its first link, confirmed; whatever links it had become spent. Call it inside the transaction that
 * enrols the client: `link` is the 32 bytes the answer will carry.
 */
export async function startChain(tx: Kysely<Database>, client: string, link: Uint8Array, now: number): Promise<void> {
  const { id, hash } = linkFromBytes(link);
  await tx.executeQuery(insertLink(tx, client, id, hash, 'pending', now));
  await promoteLink(tx, client, id, now);
}
