import { type DeliveryTable, type OutboxTx, outboxTables } from './alert-outbox.ts';

/** How a channel does. */
export interface ChannelHealth {
  readonly channel: string;
  readonly waiting: number;
  readonly givenUp: number;
  readonly sentAt: number | null;
  /** Why the newest message did not go out; `null` when something went out after it was given up. */
  readonly error: string | null;
}

/** Every channel that ever had a delivery. */
export async function channelHealth(tx: OutboxTx): Promise<ChannelHealth[]> {
  const db = outboxTables(tx);
  const counts = await db
    .selectFrom('outbox_delivery')
    .select(['channel', 'state'])
    .select((eb) => [eb.fn.countAll<number>().as('count'), eb.fn.max('settled_at').as('last')])
    .groupBy(['channel', 'state'])
    .orderBy('channel')
    .execute();
  const errors = await db
    .selectFrom('outbox_delivery')
    .select(['channel', 'state', 'settled_at', 'error'])
    .where('state', '!=', 'sent')
    .where('error', 'is not', null)
    .orderBy('seq')
    .execute();
  return [...new Set(counts.map((row) => row.channel))].map((channel) => {
    const of = (state: string) => counts.find((row) => row.channel === channel && row.state === state);
    const sentAt = of('sent')?.last ?? null;
    const failures = errors.filter((row) => {
      return row.channel === channel && (row.state === 'waiting' || (row.settled_at ?? 0) > (sentAt ?? 0));
    });
    return {
      channel,
      waiting: Number(of('waiting')?.count ?? 0),
      givenUp: Number(of('given_up')?.count ?? 0),
      sentAt,
      error: failures.at(-1)?.error ?? null,
    };
  });
}

/** A message with how far it got on each channel. */
export interface LoggedMessage {
  readonly seq: number;
  readonly severity: string;
  readonly body: string;
  readonly raisedAt: number;
  readonly repeats: number;
  readonly lastAt: number;
  readonly deliveries: readonly Omit<DeliveryTable, 'seq' | 'severity'>[];
}

/** The newest messages, oldest of them first. */
export async function readOutbox(tx: OutboxTx, limit: number): Promise<LoggedMessage[]> {
  const db = outboxTables(tx);
  const rows = await db.selectFrom('outbox_message').selectAll().orderBy('seq', 'desc').limit(limit).execute();
  const first = rows.at(-1)?.seq ?? 0;
  const deliveries = await db
    .selectFrom('outbox_delivery')
    .selectAll()
    .where('seq', '>=', first)
    .orderBy('channel')
    .execute();
  return rows.reverse().map((row) => ({
    seq: row.seq,
    severity: row.severity,
    body: row.body,
    raisedAt: row.raised_at,
    repeats: row.repeats,
    lastAt: row.last_at,
    deliveries: deliveries
      .filter((delivery) => delivery.seq === row.seq)
      .map(({ seq: _seq, severity: _severity, ...rest }) => rest),
  }));
}
