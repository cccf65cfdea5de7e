import type { Kysely } from 'kysely';
import { constantTimeEqual } from '../platform/encoding.ts';
import { statement } from '../platform/statement.ts';
import { type ChainCounters, issuedOne, promoted, type Standing, standingOf } from './chain.ts';
import { type Link, linkFromBytes } from './link.ts';
import type { Database } from './schema.ts';

/** A link as the store has it. */
export interface LinkOnFile {
  readonly standing: Standing;
  /** `null` when the link is unknown. */
  readonly number: number | null;
  readonly hash: Uint8Array | null;
}

const unknownLink: LinkOnFile = { standing: 'unknown', number: null, hash: null };

const oneLink = statement<Database, [client: string, id: string], { hash: Uint8Array; number: number }>((db, slot) =>
  db
    .selectFrom('link')
    .select(['hash', 'number'])
    .where('client_id', '=', slot<string>(0))
    .where('link_id', '=', slot<string>(1)),
);

const insertLink = statement<Database, [client: string, id: string, hash: Uint8Array, number: number]>((db, slot) =>
  db.insertInto('link').values({
    client_id: slot<string>(0),
    link_id: slot<string>(1),
    hash: slot<Uint8Array>(2),
    number: slot<number>(3),
  }),
);

/** Where the link of that id stands with this client, whose counters are `chain`. */
export async function findLink(
  tx: Kysely<Database>,
  client: string,
  id: string,
  chain: ChainCounters,
): Promise<LinkOnFile> {
  const row = (await tx.executeQuery(oneLink(tx, client, id))).rows[0];
  return row === undefined ? unknownLink : { standing: standingOf(row.number, chain), ...row };
}

/** Where exactly this link stands: one that only shares its id with a known one is unknown. */
export async function findExactLink(
  tx: Kysely<Database>,
  client: string,
  link: Link,
  chain: ChainCounters,
): Promise<LinkOnFile> {
  const found = await findLink(tx, client, link.id, chain);
  return found.hash !== null && constantTimeEqual(found.hash, link.hash) ? found : unknownLink;
}

/** Writes down a link under its number; the caller stores the counters that go with it. */
export async function fileLink(tx: Kysely<Database>, client: string, link: Link, number: number): Promise<void> {
  await tx.executeQuery(insertLink(tx, client, link.id, link.hash, number));
}

/**
 * Gives a client its first link, confirmed; whatever links it had become spent. Call it inside the transaction that
 * enrols the client: `link` is the 32 bytes the answer will carry.
 */
export async function startChain(tx: Kysely<Database>, client: string, link: Uint8Array): Promise<void> {
  const row = await tx
    .selectFrom('pulse')
    .select(['issued', 'confirmed', 'spent_to'])
    .where('client_id', '=', client)
    .executeTakeFirstOrThrow();
  const chain = issuedOne({ issued: row.issued, confirmed: row.confirmed, spentTo: row.spent_to });
  const { issued, confirmed, spentTo } = promoted(chain.issued, chain);
  await fileLink(tx, client, linkFromBytes(link), issued);
  await tx.updateTable('pulse').set({ issued, confirmed, spent_to: spentTo }).where('client_id', '=', client).execute();
}
