import type { Kysely } from 'kysely';
import { statement } from '../platform/statement.ts';
import type { ChainCounters } from './chain.ts';
import type { Database } from './schema.ts';

const setTime = statement<Database, [client: string, time: number]>((db, slot) =>
  db
    .updateTable('pulse')
    .set({ last_time: slot<number>(1) })
    .where('client_id', '=', slot<string>(0)),
);

const setHeard = statement<
  Database,
  [client: string, time: number, bootId: string | null, source: string, heardAt: number]
>((db, slot) =>
  db
    .updateTable('pulse')
    .set({
      last_time: slot<number>(1),
      boot_id: slot<string>(2),
      source: slot<string>(3),
      heard_at: slot<number>(4),
    })
    .where('client_id', '=', slot<string>(0)),
);

const setOpened = statement<
  Database,
  [
    client: string,
    time: number,
    bootId: string | null,
    source: string,
    heardAt: number,
    issued: number,
    confirmed: number,
    spentTo: number,
  ]
>((db, slot) =>
  db
    .updateTable('pulse')
    .set({
      last_time: slot<number>(1),
      boot_id: slot<string>(2),
      source: slot<string>(3),
      heard_at: slot<number>(4),
      issued: slot<number>(5),
      confirmed: slot<number>(6),
      spent_to: slot<number>(7),
    })
    .where('client_id', '=', slot<string>(0)),
);

const setReleased = statement<
  Database,
  [
    client: string,
    time: number,
    fingerprint: string | null,
    source: string,
    releasedAt: number,
    confirmed: number,
    spentTo: number,
  ]
>((db, slot) =>
  db
    .updateTable('pulse')
    .set({
      last_time: slot<number>(1),
      fingerprint: slot<string>(2),
      source: slot<string>(3),
      heard_at: slot<number>(4),
      released_at: slot<number>(4),
      confirmed: slot<number>(5),
      spent_to: slot<number>(6),
    })
    .where('client_id', '=', slot<string>(0)),
);

const setTotpStep = statement<Database, [client: string, step: number, source: string, releasedAt: number]>(
  (db, slot) =>
    db
      .updateTable('pulse')
      .set({
        totp_step: slot<number>(1),
        source: slot<string>(2),
        heard_at: slot<number>(3),
        released_at: slot<number>(3),
      })
      .where('client_id', '=', slot<string>(0)),
);

/** When and from where a message came that was accepted. */
export interface Arrival {
  readonly source: string;
  /** The message's own time. */
  readonly time: number;
  readonly now: number;
}

/** A judged message that got no further: its time counts, so that the same message again is stale. */
export async function rememberTime(tx: Kysely<Database>, client: string, time: number): Promise<void> {
  await tx.executeQuery(setTime(tx, client, time));
}

/** A heartbeat was accepted. */
export async function rememberHeard(
  tx: Kysely<Database>,
  client: string,
  { time, source, now }: Arrival,
  bootId: string,
): Promise<void> {
  await tx.executeQuery(setHeard(tx, client, time, bootId, source, now));
}

/** An open was accepted; `chain` counts the link it issued. */
export async function rememberOpen(
  tx: Kysely<Database>,
  client: string,
  { time, source, now }: Arrival,
  bootId: string | null,
  { issued, confirmed, spentTo }: ChainCounters,
): Promise<void> {
  await tx.executeQuery(setOpened(tx, client, time, bootId, source, now, issued, confirmed, spentTo));
}

/** Keys were released to the chained profile; `chain` has the released link confirmed. */
export async function rememberRelease(
  tx: Kysely<Database>,
  client: string,
  { time, source, now }: Arrival,
  fingerprint: string | null,
  { confirmed, spentTo }: ChainCounters,
): Promise<void> {
  await tx.executeQuery(setReleased(tx, client, time, fingerprint, source, now, confirmed, spentTo));
}

/** A key was released to the basic profile for the code of this step, which is thereby used up. */
export async function rememberTotpStep(
  tx: Kysely<Database>,
  client: string,
  step: number,
  source: string,
  now: number,
): Promise<void> {
  await tx.executeQuery(setTotpStep(tx, client, step, source, now));
}
