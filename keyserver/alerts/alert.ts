import type { AlertTexts, Kind } from './alert-kind.ts';
import { kinds } from './alert-kinds.ts';
import { type Alert, type AlertEvent, type AlertFacts, alertSchema } from './alert-schema.ts';

export type { AlertTexts } from './alert-kind.ts';
export type { Alert, AlertEvent } from './alert-schema.ts';

/** Facts as they are kept, nothing but what the schema names; throws a `ZodError` for a value that is no alert. */
export function factsOf(alert: Alert): AlertFacts {
  return alertSchema.parse(alert);
}

/** The client it is about. */
export function clientOf(alert: Alert): { readonly id: string; readonly name: string } | null {
  return 'client' in alert ? alert.client : null;
}

/** What people read of it. */
export function alertTexts(alert: Alert): AlertTexts {
  const facts = factsOf(alert);
  const kind = kindOf(facts.event);
  return { severity: kind.severity(facts), ...kind.texts(facts) };
}

/** What an alert is the same as, and for how many milliseconds such are only counted; `null` for one that is news. */
export function sameAs(alert: Alert): { readonly topic: string; readonly quiet: number } | null {
  const facts = factsOf(alert);
  const same = kindOf(facts.event).same(facts);
  if (same === null) return null;
  return { topic: JSON.stringify([facts.event, clientOf(facts)?.id ?? null, same.cause]), quiet: same.quiet };
}

function kindOf(event: AlertEvent): Kind<AlertEvent> {
  return kinds[event] as unknown as Kind<AlertEvent>;
}
