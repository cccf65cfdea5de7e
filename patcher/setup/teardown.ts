import { STATE_PARENT } from '../facts.ts';
import { journalDirectory } from '../journal/transaction.ts';
import type { Progress } from '../progress.ts';
import type { Transport } from '../transports/transport.ts';
import type { SetupStep, StepName } from './setup-step.ts';

export interface RemovalPlan {
  readonly name: StepName;
  readonly title: string;
  readonly lines: readonly string[];
}

/** Keys first, while all that they could be asked through is there and looked after; then from the last step of a setup to its first. */
function removalOrder(steps: readonly SetupStep[]): readonly SetupStep[] {
  const isOfKeys = ({ name }: SetupStep): boolean => name === 'escrow';
  return [...steps.filter(isOfKeys), ...steps.filter((step) => !isOfKeys(step)).toReversed()];
}

/** What a teardown would take away, in its order. Each step takes its time to look. */
export async function describeRemoval(
  steps: readonly SetupStep[],
  progress?: Progress,
): Promise<readonly RemovalPlan[]> {
  const plans: RemovalPlan[] = [];
  for (const [index, step] of removalOrder(steps).entries()) {
    const { name, title } = step;
    progress?.portion?.(index, steps.length, 'steps looked at');
    const lines = await step.planRemoval();
    if (lines.length > 0) plans.push({ name, title, lines });
  }
  progress?.portionsEnd?.();
  return plans;
}

/**
 * Takes away what a setup makes. Keys are back on the server's disk before anything goes. The first that fails ends it; what was taken away stays away, and the next run goes on there.
 */
export async function takeAllAway(
  steps: readonly SetupStep[],
  options: { readonly purge: boolean },
  progress: Progress,
): Promise<readonly string[]> {
  const left: string[] = [];
  for (const step of removalOrder(steps)) {
    const isPurged = options.purge && step.name === 'key-server';
    if (!isPurged && (await step.planRemoval()).length === 0) continue;
    progress.step(`take back ${step.name}: ${step.title}`);
    const lines = await step.takeAway(options);
    for (const line of lines) progress.note(line);
    left.push(...lines);
  }
  return left;
}

/** What ncpatch has written down of its changes goes last: nothing is left that it could put back. Folders that others use stay. */
export async function removeJournal(server: Transport, instanceId: string): Promise<void> {
  await server.removeTree(journalDirectory(instanceId), { named: instanceId });
  for (const folder of [`${STATE_PARENT}/ncpatch`, STATE_PARENT]) {
    if ((await server.list(folder))?.length === 0) await server.remove(folder);
  }
}
