import type { Kysely } from 'kysely';
import { enqueue } from '../../platform/alert-outbox.ts';
import type { Database } from '../schema.ts';
import { type Alert, alertTexts, factsOf, sameAs } from './alert.ts';
import { severities } from './alert-schema.ts';

/**
 * Queues an alert in the caller's transaction: it will be told when, and only when, that commits. The same thing
 * happening again within its quiet time is counted, not queued. Cheap enough for a request: two or three short queries.
 */
export async function raiseAlert(tx: Kysely<Database>, alert: Alert, now: number): Promise<void> {
  const { severity } = alertTexts(alert);
  const rank = severities.indexOf(severity);
  const channels = await tx
    .selectFrom('alert_channel')
    .select('name')
    .where('least', 'in', severities.slice(0, rank + 1))
    .execute();
  const message = { severity, body: JSON.stringify(factsOf(alert)), same: sameAs(alert) };
  await enqueue(
    tx,
    message,
    channels.map((channel) => channel.name),
    now,
  );
}
