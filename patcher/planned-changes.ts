import type { Action } from './actions/action.ts';
import type { LocalApp } from './app-files.ts';
import { actionContext } from './journal/transaction.ts';
import type { Step } from './plan.ts';
import { actionsFor } from './steps.ts';
import type { Workplace } from './workplace.ts';

/** One action before it is done: what it is, and the exact change as a unified diff or lines like one. */
export interface PlannedChange {
  readonly what: string;
  readonly diff: string;
}

/** What the steps would do to the server as it is now. Changes nothing. */
export function describePlan(place: Workplace, steps: readonly Step[], app: LocalApp): Promise<PlannedChange[]> {
  return describeActions(
    place,
    steps.flatMap((step) => actionsFor(step, place.instance, app)),
  );
}

export async function describeActions(place: Workplace, actions: readonly Action[]): Promise<PlannedChange[]> {
  const context = actionContext(place);
  const changes: PlannedChange[] = [];
  for (const action of actions) changes.push({ what: action.describe(), diff: await action.diff(context) });
  return changes;
}
