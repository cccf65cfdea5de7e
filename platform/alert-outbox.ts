import type { CompiledQuery, Kysely, QueryResult } from 'kysely';

/** The two tables an outbox needs; times are milliseconds since 1970. */
export interface OutboxTables {
  outbox_message: MessageTable;
  outbox_delivery: DeliveryTable;
}

/** One thing to tell, kept for a while after it was told. */
export interface MessageTable {
  seq: number;
  /** What it is the same as; `null` for a message that is always news. */
  topic: string | null;
  severity: string;
  /** What the program's own renderer makes texts from. */
  body: string;
  raised_at: number;
  /** Of the last repeat. */
  last_at: number;
  /** How often it was raised again within its quiet time. */
  repeats: number;
  /** The repeats of the message of this topic before this one: nobody was told of them yet. */
  earlier: number;
}

/** One message on its way by one channel. */
export interface DeliveryTable {
  seq: number;
  channel: string;
  /** The message's. */
  severity: string;
  state: 'waiting' | 'sent' | 'given_up';
  /** How often it was begun. Whoever raises the number has the delivery until `due_at`. */
  attempts: number;
  due_at: number;
  settled_at: number | null;
  /** Why the last attempt failed, in our own words. */
  error: string | null;
}

/** What of a transaction this file needs; Kysely's own objects and the store's have it. */
export interface OutboxTx {
  executeQuery<R>(query: CompiledQuery<R>): Promise<QueryResult<R>>;
}

export interface OutboxMessage {
  /** `info`, `warning`, `critical`: a flood of one does not hold up another. */
  readonly severity: string;
  readonly body: string;
  /** Messages of one topic are counted for `quiet` milliseconds after the first, and the next one tells how many. */
  readonly same: { readonly topic: string; readonly quiet: number } | null;
}

function tables(tx: OutboxTx): Kysely<OutboxTables> {
  return tx as unknown as Kysely<OutboxTables>;
}

/** Queues a message in the caller's transaction, one delivery for each channel; false when it was only counted. */
export async function enqueue(
  tx: OutboxTx,
  message: OutboxMessage,
  channels: readonly string[],
  now: number,
): Promise<boolean> {
  const db = tables(tx);
  const { severity, body, same } = message;
  const before = same === null ? undefined : await newestOf(db, same.topic);
  if (same !== null && before !== undefined && Math.abs(now - before.raised_at) < same.quiet) {
    await db
      .updateTable('outbox_message')
      .set((eb) => ({ repeats: eb('repeats', '+', 1), last_at: now }))
      .where('seq', '=', before.seq)
      .execute();
    return false;
  }
  const last = await db.selectFrom('outbox_message').select('seq').orderBy('seq', 'desc').limit(1).executeTakeFirst();
  const seq = (last?.seq ?? 0) + 1;
  const times = { raised_at: now, last_at: now };
  const counts = { repeats: 0, earlier: before?.repeats ?? 0 };
  await db
    .insertInto('outbox_message')
    .values({ seq, topic: same?.topic ?? null, severity, body, ...times, ...counts })
    .execute();
  for (const channel of channels) {
    await db
      .insertInto('outbox_delivery')
      .values({ seq, channel, severity, state: 'waiting', attempts: 0, due_at: now, settled_at: null, error: null })
      .execute();
  }
  return true;
}

function newestOf(db: Kysely<OutboxTables>, topic: string) {
  return db
    .selectFrom('outbox_message')
    .select(['seq', 'raised_at', 'repeats'])
    .where('topic', '=', topic)
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst();
}
