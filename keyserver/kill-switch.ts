import type { Kysely, Selectable } from 'kysely';
import { appendAudit } from '../platform/audit-chain.ts';
import { raiseAlert } from './alerts/raise.ts';
import type { ClientTable, Database } from './schema.ts';

/** How a switch was thrown, for the alert. */
type Means = 'command' | 'page';

/** Since when the server's own switch is thrown (milliseconds since 1970), or `null`. */
export async function killedSince(tx: Kysely<Database>): Promise<number | null> {
  const row = await tx.selectFrom('switch').select('since').where('name', '=', 'kill').executeTakeFirst();
  return row?.since ?? null;
}

/** Stops every release of every client. Answers whether anything changed. */
export async function killAll(
  tx: Kysely<Database>,
  reason: string | null,
  now: number,
  by: Means = 'command',
): Promise<boolean> {
  if ((await killedSince(tx)) !== null) return false;
  await tx.insertInto('switch').values({ name: 'kill', since: now, reason }).execute();
  await appendAudit(tx, { time: now, event: 'server_killed', ...(reason !== null && { reason }) });
  await raiseAlert(tx, { event: 'killed', client: null, by, reason }, now);
  return true;
}

/** Takes that back; switches of single clients stay. */
export async function reviveAll(tx: Kysely<Database>, now: number, by: Means = 'command'): Promise<boolean> {
  const result = await tx.deleteFrom('switch').where('name', '=', 'kill').executeTakeFirst();
  if (result.numDeletedRows === 0n) return false;
  await appendAudit(tx, { time: now, event: 'server_revived' });
  await raiseAlert(tx, { event: 'revived', client: null, by }, now);
  return true;
}

/** Stops the releases of one client. */
export async function killClient(
  tx: Kysely<Database>,
  client: Selectable<ClientTable>,
  reason: string | null,
  now: number,
  by: Means = 'command',
): Promise<boolean> {
  if (client.killed_at !== null) return false;
  await tx.updateTable('client').set({ killed_at: now }).where('id', '=', client.id).execute();
  await appendAudit(tx, { time: now, event: 'client_killed', client: client.id, ...(reason !== null && { reason }) });
  await raiseAlert(tx, { event: 'killed', client, by, reason }, now);
  return true;
}

/** Takes that back. */
export async function reviveClient(
  tx: Kysely<Database>,
  client: Selectable<ClientTable>,
  now: number,
  by: Means = 'command',
): Promise<boolean> {
  if (client.killed_at === null) return false;
  await tx.updateTable('client').set({ killed_at: null }).where('id', '=', client.id).execute();
  await appendAudit(tx, { time: now, event: 'client_revived', client: client.id });
  await raiseAlert(tx, { event: 'revived', client, by }, now);
  return true;
}
