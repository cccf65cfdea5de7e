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

/** What a teardown would take away, the last step of a setup first. */
export async function describeRemoval(steps: readonly SetupStep[]): Promise<readonly RemovalPlan[]> {
  const plans: RemovalPlan[] = [];
  for (const step of steps.toReversed()) {
    const { name, title } = step;
    const lines = await step.planRemoval();
    if (lines.length > 0) plans.push({ name, title, lines });
  }
  return plans;
}

/**
 * Takes away what a setup makes, in the reverse order, so that keys are back on the server's disk before anything goes that they
 * could be asked through. The first that fails ends it; what was taken away stays away, and the next run goes on there.
 */
export async function takeAllAway(
  steps: readonly SetupStep[],
  options: { readonly purge: boolean },
  progress: Progress,
): Promise<readonly string[]> {
  const left: string[] = [];
  for (const step of steps.toReversed()) {
    if (!options.purge && (await step.planRemoval()).length === 0) continue;
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
