import type { Kysely } from 'kysely';
import type { Database } from '../schema.ts';
import { raiseAlert } from './raise.ts';

/** Notes that `server` (its URL) starts, and raises `server_started` when it had not been stopped in order before. */
export async function recordStart(tx: Kysely<Database>, server: string, now: number): Promise<void> {
  const before = await tx.selectFrom('server_run').selectAll().where('server', '=', server).executeTakeFirst();
  if (before !== undefined && before.stopped_at === null) {
    await raiseAlert(tx, { event: 'server_started', startedAt: now, aliveAt: before.alive_at }, now);
  }
  const run = { started_at: now, alive_at: now, stopped_at: null };
  await tx
    .insertInto('server_run')
    .values({ server, ...run })
    .onConflict((conflict) => conflict.column('server').doUpdateSet(run))
    .execute();
}

/** Notes that it still runs. */
export async function recordAlive(tx: Kysely<Database>, server: string, now: number): Promise<void> {
  await tx.updateTable('server_run').set({ alive_at: now }).where('server', '=', server).execute();
}

/** Notes its end in order. */
export async function recordStop(tx: Kysely<Database>, server: string, now: number): Promise<void> {
  await tx.updateTable('server_run').set({ alive_at: now, stopped_at: now }).where('server', '=', server).execute();
}
