import type { Kysely } from 'kysely';
import { appendAudit } from '../../platform/audit-chain.ts';
import { raiseAlert } from '../alerts/raise.ts';
import type { Client } from '../clients/client.ts';
import type { Database } from '../schema.ts';
import type { ClientNotice } from '../wire.ts';

/**
 * What of a heartbeat's message stands for its notice, behind the rest. No member can hold a `|`, so no two notices are
 * spelled alike, and none is spelled like a heartbeat without.
 */
export function noticeText(notice: ClientNotice | undefined): string {
  if (notice === undefined) return '';
  const { code, at, from = '', to = '' } = notice;
  return `|${code}|${at}|${from}|${to}`;
}

/**
 * Records what a host has to tell and hands it on to the owner, in the heartbeat's transaction. The same notice again, as
 * after an answer that was lost, is nothing new.
 */
export async function takeNotice(
  tx: Kysely<Database>,
  client: Pick<Client, 'id' | 'name'>,
  notice: ClientNotice,
  source: string,
  now: number,
): Promise<void> {
  const { code, at, from = null, to = null } = notice;
  const { id, name } = client;
  const last = await tx.selectFrom('client_notice').selectAll().where('client_id', '=', id).executeTakeFirst();
  if (last?.code === code && last.at === at) return;
  await tx
    .insertInto('client_notice')
    .values({ client_id: id, code, at })
    .onConflict((conflict) => conflict.column('client_id').doUpdateSet({ code, at }))
    .execute();
  const detail = { at, from, to };
  await appendAudit(tx, { time: now, event: 'client_notice', client: id, source, reason: code, detail });
  await raiseAlert(tx, { event: 'app_watch', client: { id, name }, source, code, at, from, to }, now);
}
