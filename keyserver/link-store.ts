import { type Kysely, sql } from 'kysely';
import { statement } from '../platform/statement.ts';
import { issuedOne, promoted, type Standing, standingOf } from './chain.ts';
import { type Link, linkFromBytes } from './link.ts';
import { type Pulse, pulseColumns, pulseFromRow, pulseOfNew, savePulse } from './pulse.ts';
import type { Database } from './schema.ts';

/** A link as the store has it. */
export interface LinkOnFile {
  readonly standing: Standing;
  /** `null` when the link is unknown. */
  readonly number: number | null;
  readonly hash: Uint8Array | null;
}

export const unknownLink: LinkOnFile = { standing: 'unknown', number: null, hash: null };

interface LinkRow {
  readonly hash: Uint8Array;
  readonly number: number;
}

const insertLink = statement<
  Database,
  [
    place: Uint8Array,
    client: string,
    id: string,
    hash: Uint8Array,
    number: number,
    previous: Uint8Array | null,
    afterNumber: number,
    afterSpentTo: number,
    afterTime: number,
  ]
>((db, slot) =>
  db.insertInto('link').values({
    place: slot<Uint8Array>(0),
    client_id: slot<string>(1),
    link_id: slot<string>(2),
    hash: slot<Uint8Array>(3),
    number: slot<number>(4),
    previous: slot<Uint8Array>(5),
    after_number: slot<number>(6),
    after_spent_to: slot<number>(7),
    after_time: slot<number>(8),
  }),
);

/** From the newest link back to the one of that id. An honest client is met at the first or second step. */
const walkBack = statement<Database, [newest: Uint8Array, id: string], LinkRow>((db, slot) => ({
  compile: () =>
    sql<LinkRow>`
      with recursive walk (link_id, hash, number, previous) as (
        select link_id, hash, number, previous from link where place = ${slot(0)}
        union all
        select link.link_id, link.hash, link.number, link.previous
          from link join walk on link.place = walk.previous where walk.link_id <> ${slot(1)}
      )
      select hash, number from walk where link_id = ${slot(1)}`.compile(db),
}));

/** Where the client's link of that id stands. */
export async function findLinkById(tx: Kysely<Database>, id: string, { newest, chain }: Pulse): Promise<LinkOnFile> {
  const row = newest === null ? undefined : (await walkBack(tx, newest, id))[0];
  if (row === undefined) return unknownLink;
  const { number, hash } = row;
  return { standing: standingOf(number, chain), number, hash };
}

/** Back from the newest link, through all confirmations since a link was spent, to the first that spent it. */
const firstSpending = statement<Database, [newest: Uint8Array, number: number], { time: number | null }>(
  (db, slot) => ({
    compile: () =>
      sql<{ time: number | null }>`
      with recursive walk (previous, after_number, after_spent_to, after_time) as (
        select previous, after_number, after_spent_to, after_time from link where place = ${slot(0)}
        union all
        select link.previous, link.after_number, link.after_spent_to, link.after_time
          from link join walk on link.place = walk.previous where walk.after_spent_to >= ${slot(1)}
      )
      select min(after_time) as time from walk
        where after_spent_to >= ${slot(1)} and after_number <> ${slot(1)}`.compile(db),
  }),
);

/** The `time` of the message that spent the client's link of that number. Call it for links that are spent. */
export async function spentTime(tx: Kysely<Database>, number: number, pulse: Pulse): Promise<number> {
  const { newest, confirmedAt } = pulse;
  const earlier = newest === null ? null : ((await firstSpending(tx, newest, number))[0]?.time ?? null);
  return earlier === null ? confirmedAt : Math.min(earlier, confirmedAt);
}

/** Writes down one more link of a client. Answers the pulse that goes with it, for the caller to save. */
export async function fileLink(tx: Kysely<Database>, client: string, link: Link, pulse: Pulse): Promise<Pulse> {
  const chain = issuedOne(pulse.chain);
  const { confirmed, spentTo } = pulse.chain;
  const after = [confirmed, spentTo, pulse.confirmedAt] as const;
  await insertLink(tx, link.place, client, link.id, link.hash, chain.issued, pulse.newest, ...after);
  return { ...pulse, chain, newest: link.place };
}

/**
 * Gives a client its first link, confirmed; whatever links it had become spent, and what was known of its machine is
 * forgotten. Call it inside the transaction that
 * enrols the client: `link` is the 32 bytes the answer will carry.
 */
export async function startChain(tx: Kysely<Database>, client: string, link: Buffer): Promise<void> {
  const row = await tx
    .selectFrom('pulse')
    .select(pulseColumns)
    .where('client_id', '=', client)
    .executeTakeFirstOrThrow();
  const filed = await fileLink(tx, client, linkFromBytes(link), pulseOfNew(pulseFromRow(row)));
  await savePulse(tx, client, {
    ...filed,
    chain: promoted(filed.chain.issued, filed.chain),
    confirmedAt: filed.lastTime,
  });
}
