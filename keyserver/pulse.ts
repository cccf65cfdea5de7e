import type { Kysely } from 'kysely';
import { statement } from '../platform/statement.ts';
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

const setReleased = statement<
  Database,
  [client: string, time: number, fingerprint: string | null, source: string, releasedAt: number]
>((db, slot) =>
  db
    .updateTable('pulse')
    .set({
      last_time: slot<number>(1),
      fingerprint: slot<string>(2),
      source: slot<string>(3),
      heard_at: slot<number>(4),
      released_at: slot<number>(4),
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

/** A judged message that got no further: its time counts, so that the same message again is stale. */
export async function rememberTime(tx: Kysely<Database>, client: string, time: number): Promise<void> {
  await tx.executeQuery(setTime(tx, client, time));
}

/** An open or a heartbeat was accepted. */
export async function rememberHeard(
  tx: Kysely<Database>,
  client: string,
  message: { readonly time: number; readonly bootId: string | null },
  source: string,
  now: number,
): Promise<void> {
  await tx.executeQuery(setHeard(tx, client, message.time, message.bootId, source, now));
}

/** Keys were released to the chained profile. */
export async function rememberRelease(
  tx: Kysely<Database>,
  client: string,
  message: { readonly time: number; readonly fingerprint: string | null },
  source: string,
  now: number,
): Promise<void> {
  await tx.executeQuery(setReleased(tx, client, message.time, message.fingerprint, source, now));
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
