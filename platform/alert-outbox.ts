import type { CompiledQuery, Kysely, QueryResult } from 'kysely';
import type { RandomBytes } from './clock.ts';
import type { Store } from './store.ts';

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

/** A message as a channel gets it. */
export interface QueuedMessage {
  readonly seq: number;
  readonly severity: string;
  readonly body: string;
  readonly raisedAt: number;
  /** Messages of its topic that were only counted before it. */
  readonly earlier: number;
}

/** What goes out as one: a single message, or several of one severity as a digest. */
export interface Claim {
  readonly channel: string;
  /** Counting this one; of the oldest message. */
  readonly attempts: number;
  readonly messages: readonly QueuedMessage[];
}

const minute = 60_000;
const hour = 60 * minute;

/** When and how often deliveries are made, milliseconds. */
export const schedule = {
  /** Who claims a delivery has it for so long; after that it is another's, or this one's again after a crash. */
  lease: minute,
  firstRetry: 10_000,
  longestRetry: hour,
  /** A delivery is given up when it is older than this and was tried at least `leastAttempts` times. */
  giveUpAfter: 72 * hour,
  leastAttempts: 10,
  /** So many messages of one severity go out by themselves in a window; the others come together. */
  floodCount: 5,
  floodWindow: 10 * minute,
  /** Between two digests of one severity on one channel. */
  digestPause: 5 * minute,
} as const;

/** Messages in one digest at the most; the rest come with the next. */
const digestLimit = 200;
/** Messages that are kept, told or not; older ones make room. */
const messageLimit = 10_000;
/** No delivery is put off further than this: one that is was put off before the clock was set back. */
const horizon = 2 * hour;

const raised: WeakSet<object> = new WeakSet();

/** A store that calls `wake` after each transaction that queued a message. */
export function wakeAfterCommit<DB>(store: Store<DB>, wake: () => void): Store<DB> {
  return {
    transaction: async (work) => {
      let queued = false;
      const result = await store.transaction(async (tx) => {
        const value = await work(tx);
        queued = raised.delete(tx); // set, not added to: the work may run twice
        return value;
      });
      if (queued) wake();
      return result;
    },
    read: (work) => store.read(work),
    close: () => store.close(),
  };
}

/** The outbox's tables, whatever else the database has. */
export function outboxTables(tx: OutboxTx): Kysely<OutboxTables> {
  return tx as unknown as Kysely<OutboxTables>;
}

/** Queues a message in the caller's transaction, one delivery for each channel; false when it was only counted. */
export async function enqueue(
  tx: OutboxTx,
  message: OutboxMessage,
  channels: readonly string[],
  now: number,
): Promise<boolean> {
  const db = outboxTables(tx);
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
  if (seq % 100 === 0)
    await db
      .deleteFrom('outbox_message')
      .where('seq', '<=', seq - messageLimit)
      .execute();
  raised.add(tx);
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

/** Channels for which something is due now. */
export async function dueChannels(tx: OutboxTx, now: number): Promise<string[]> {
  const rows = await dueDeliveries(outboxTables(tx), now).select('channel').distinct().execute();
  return rows.map((row) => row.channel);
}

/**
 * Takes what is to go out next by a channel, so that no other process does, or `null` when nothing is due or the pause
 * between two digests is not over. Who dies with a claim leaves it to be claimed again after the lease.
 */
export async function claimNext(tx: OutboxTx, channel: string, now: number): Promise<Claim | null> {
  const db = outboxTables(tx);
  const due = await dueDeliveries(db, now)
    .innerJoin('outbox_message', 'outbox_message.seq', 'outbox_delivery.seq')
    .select(['outbox_delivery.seq', 'outbox_delivery.severity', 'outbox_delivery.attempts'])
    .select(['outbox_message.body', 'outbox_message.raised_at', 'outbox_message.earlier'])
    .where('channel', '=', channel)
    .orderBy('outbox_delivery.seq')
    .execute();
  for (const severity of new Set(due.map((row) => row.severity))) {
    const group = due.filter((row) => row.severity === severity);
    const size = await sizeOfNext(db, channel, severity, group.length, now);
    const taken: typeof group = [];
    for (const row of group.slice(0, size)) if (await take(db, channel, row.seq, row.attempts, now)) taken.push(row);
    const [first] = taken;
    if (first === undefined) continue;
    const messages = taken.map(({ seq, body, raised_at, earlier }) => ({
      seq,
      severity,
      body,
      raisedAt: raised_at,
      earlier,
    }));
    return { channel, attempts: first.attempts + 1, messages };
  }
  return null;
}

function dueDeliveries(db: Kysely<OutboxTables>, now: number) {
  return db
    .selectFrom('outbox_delivery')
    .where('state', '=', 'waiting')
    .where((eb) => eb.or([eb('due_at', '<=', now), eb('due_at', '>', now + horizon)]));
}

/** How many of `waiting` messages go out as one. 0: not yet. */
async function sizeOfNext(
  db: Kysely<OutboxTables>,
  channel: string,
  severity: string,
  waiting: number,
  now: number,
): Promise<number> {
  const { sent, last } = await db
    .selectFrom('outbox_delivery')
    .select((eb) => [eb.fn.countAll<number>().as('sent'), eb.fn.max('settled_at').as('last')])
    .where('state', '=', 'sent')
    .where('channel', '=', channel)
    .where('severity', '=', severity)
    .where('settled_at', '>', now - schedule.floodWindow)
    .where('settled_at', '<=', now)
    .executeTakeFirstOrThrow();
  if (waiting + Number(sent) <= schedule.floodCount) return 1;
  const pause = Number(sent) >= schedule.floodCount && Number(last) + schedule.digestPause > now;
  return pause ? 0 : digestLimit;
}

/** Whoever raises the number of attempts first has the delivery. */
async function take(
  db: Kysely<OutboxTables>,
  channel: string,
  seq: number,
  attempts: number,
  now: number,
): Promise<boolean> {
  const taken = await db
    .updateTable('outbox_delivery')
    .set({ attempts: attempts + 1, due_at: now + schedule.lease })
    .where('seq', '=', seq)
    .where('channel', '=', channel)
    .where('attempts', '=', attempts)
    .where('state', '=', 'waiting')
    .executeTakeFirst();
  return taken.numUpdatedRows === 1n;
}

/** Notes that a claim went out; what waited for the channel to work again is due at once. */
export async function settleSent(tx: OutboxTx, claim: Claim, now: number): Promise<void> {
  await settle(tx, claim, { state: 'sent', settled_at: now, error: null });
  await outboxTables(tx)
    .updateTable('outbox_delivery')
    .set({ due_at: now })
    .where('channel', '=', claim.channel)
    .where('state', '=', 'waiting')
    .where('error', 'is not', null)
    .where('due_at', '>', now)
    .execute();
}

/**
 * Notes that a claim did not go out, and why: it is tried again after `delay` milliseconds, and nothing else goes by that
 * channel before then but what is raised in between. Answers how many messages were given up.
 */
export async function settleFailed(
  tx: OutboxTx,
  claim: Claim,
  error: string,
  delay: number,
  now: number,
): Promise<number> {
  const isOver = ({ raisedAt }: QueuedMessage): boolean =>
    claim.attempts >= schedule.leastAttempts && Math.abs(now - raisedAt) > schedule.giveUpAfter;
  const lost = claim.messages.filter(isOver);
  await settle(tx, { ...claim, messages: lost }, { state: 'given_up', settled_at: now, error });
  const kept = claim.messages.filter((message) => !isOver(message));
  await settle(tx, { ...claim, messages: kept }, { due_at: now + delay, error });
  await outboxTables(tx)
    .updateTable('outbox_delivery')
    .set({ due_at: now + delay, error })
    .where('channel', '=', claim.channel)
    .where('state', '=', 'waiting')
    .where('due_at', '<=', now)
    .execute();
  return lost.length;
}

async function settle(tx: OutboxTx, claim: Claim, change: Partial<DeliveryTable>): Promise<void> {
  if (claim.messages.length === 0) return;
  await outboxTables(tx)
    .updateTable('outbox_delivery')
    .set(change)
    .where('channel', '=', claim.channel)
    .where('state', '=', 'waiting')
    .where(
      'seq',
      'in',
      claim.messages.map((message) => message.seq),
    )
    .execute();
}

/** How long to wait after so many attempts: 10 s doubling up to an hour, less up to a quarter by chance. */
export function retryDelay(attempts: number, random: RandomBytes): number {
  const whole = Math.min(schedule.firstRetry * 2 ** Math.min(attempts - 1, 30), schedule.longestRetry);
  return Math.round(whole * (1 - random(1).readUInt8(0) / 1024));
}

/** Ends what still waits for a channel that is no more. */
export async function giveUpChannel(tx: OutboxTx, channel: string, error: string, now: number): Promise<void> {
  await outboxTables(tx)
    .updateTable('outbox_delivery')
    .set({ state: 'given_up', settled_at: now, error })
    .where('channel', '=', channel)
    .where('state', '=', 'waiting')
    .execute();
}
