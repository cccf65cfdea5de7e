import type { Kysely } from 'kysely';
import type { Store } from '../../platform/store.ts';
import type { Gap } from '../presence/absence.ts';
import type { Database } from '../schema.ts';

/** Five minutes: heartbeats come each minute, and a machine counts as away after ten without one. */
export const heardSlot = 300_000;
const day = 86_400_000;
const slotsOfDay = day / heardSlot;
const keptDays = 31;

const emptyDay = '0'.repeat(slotsOfDay / 4);

/**
 * Keeps in which five minutes each client was heard. Heartbeats are too many for the audit log; here each five minutes of
 * a client cost one bit, and one short transaction for all clients.
 */
export class HeardBook {
  readonly #noted: Map<string, number> = new Map();

  /** Notes who was heard since the last time; called each minute. */
  async note(store: Store<Database>, now: number): Promise<void> {
    const rows = await store.read((tx) =>
      tx
        .selectFrom('pulse')
        .select(['client_id', 'heard_at'])
        .where('heard_at', '>', now - 2 * heardSlot)
        .execute(),
    );
    const fresh = rows
      .map((row) => ({ client: row.client_id, slot: Math.floor((row.heard_at ?? 0) / heardSlot) }))
      .filter(({ client, slot }) => this.#noted.get(client) !== slot);
    if (fresh.length === 0) return;
    await store.transaction(async (tx) => {
      for (const { client, slot } of fresh) await markSlot(tx, client, slot);
      const oldest = Math.floor(now / day) - keptDays;
      await tx.deleteFrom('heard_day').where('day', '<', oldest).execute();
    });
    for (const { client, slot } of fresh) this.#noted.set(client, slot);
  }
}

async function markSlot(tx: Kysely<Database>, client: string, slot: number): Promise<void> {
  const onDay = Math.floor(slot / slotsOfDay);
  const row = await tx
    .selectFrom('heard_day')
    .select('slots')
    .where('client_id', '=', client)
    .where('day', '=', onDay)
    .executeTakeFirst();
  const slots = withBit(row?.slots ?? emptyDay, slot % slotsOfDay);
  await tx
    .insertInto('heard_day')
    .values({ client_id: client, day: onDay, slots })
    .onConflict((conflict) => conflict.columns(['client_id', 'day']).doUpdateSet({ slots }))
    .execute();
}

function withBit(slots: string, index: number): string {
  const digit = Math.floor(index / 4);
  const value = Number.parseInt(slots[digit] ?? '0', 16) | (8 >> (index % 4));
  return slots.slice(0, digit) + value.toString(16) + slots.slice(digit + 1);
}

function hasBit(slots: string | undefined, index: number): boolean {
  return (Number.parseInt(slots?.[Math.floor(index / 4)] ?? '0', 16) & (8 >> (index % 4))) !== 0;
}

/** How a client was present in a stretch of time. `unwatched`: the key server itself was away. */
export interface Presence extends Gap {
  readonly kind: 'heard' | 'silent' | 'unwatched';
}

/** What was heard of some clients since `from`, by client. */
export async function heardDays(
  tx: Kysely<Database>,
  clients: readonly string[],
  from: number,
): Promise<ReadonlyMap<string, ReadonlyMap<number, string>>> {
  const rows = await tx
    .selectFrom('heard_day')
    .selectAll()
    .where('client_id', 'in', [...clients])
    .where('day', '>=', Math.floor(from / day))
    .execute();
  const byClient = new Map<string, Map<number, string>>();
  for (const row of rows) {
    const days = byClient.get(row.client_id) ?? new Map<number, string>();
    byClient.set(row.client_id, days.set(row.day, row.slots));
  }
  return byClient;
}

/** The stretches in which the key server itself was away for a while. */
export function unwatchedSlots(ownGaps: readonly Gap[], span: Gap): ReadonlySet<number> {
  const slots = new Set<number>();
  for (const gap of ownGaps) {
    const last = Math.ceil(Math.min(gap.until, span.until) / heardSlot);
    for (let slot = Math.floor(Math.max(gap.since, span.since) / heardSlot); slot < last; slot++) slots.add(slot);
  }
  return slots;
}

/** A client's presence from its first known heartbeat in that time to the last five minutes that are over. */
export function presenceOf(
  days: ReadonlyMap<number, string>,
  unwatched: ReadonlySet<number>,
  { since: from, until }: Gap,
): readonly Presence[] {
  const runs: { kind: Presence['kind']; since: number; until: number }[] = [];
  const end = Math.floor(until / heardSlot);
  for (let slot = Math.ceil(from / heardSlot); slot < end; slot++) {
    const heard = hasBit(days.get(Math.floor(slot / slotsOfDay)), slot % slotsOfDay);
    if (runs.length === 0 && !heard) continue;
    const kind = heard ? 'heard' : unwatched.has(slot) ? 'unwatched' : 'silent';
    const last = runs.at(-1);
    const over = (slot + 1) * heardSlot;
    if (last?.kind === kind) last.until = over;
    else runs.push({ kind, since: slot * heardSlot, until: over });
  }
  return runs;
}
