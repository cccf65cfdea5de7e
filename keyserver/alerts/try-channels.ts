import { failureText, type OutboxChannel, sendLimit } from '../../platform/alert-delivery.ts';
import { isLatchkeyError } from '../../platform/errors.ts';
import { alertTexts, factsOf } from './alert.ts';

export type TryResult =
  | { readonly name: string; readonly ok: true }
  | { readonly name: string; readonly ok: false; readonly error: string; readonly hint: string | null };

/** Sends a test by all channels at once, past the outbox, and answers how each did. */
export function tryChannels(
  channels: readonly { readonly name: string; readonly channel: OutboxChannel }[],
  now: number,
): Promise<TryResult[]> {
  const alert = { event: 'test' } as const;
  const { severity } = alertTexts(alert);
  const message = { seq: 0, severity, body: JSON.stringify(factsOf(alert)), raisedAt: now, earlier: 0 };
  return Promise.all(
    channels.map(async ({ name, channel }): Promise<TryResult> => {
      try {
        await channel.send([message], AbortSignal.timeout(sendLimit));
        return { name, ok: true };
      } catch (cause) {
        const hint = isLatchkeyError(cause) ? (cause.hint ?? null) : null;
        return { name, ok: false, error: failureText(cause), hint };
      }
    }),
  );
}
