import type { LocalApp } from './app-files.ts';
import { refuseObstacles } from './obstacles.ts';
import { planFor } from './plan.ts';
import { actionsFor } from './steps.ts';
import { type JournalDeps, transaction, withJournal } from './transaction.ts';
import { type Verification, verify } from './verify.ts';
import type { Workplace } from './workplace.ts';

export interface ApplyReport {
  readonly changed: boolean;
  /** What was done, in order. */
  readonly done: readonly string[];
  readonly verification: Verification;
}

/**
 * Brings the server to what the plan wants, as one transaction: each action's undo is on the server's disk before the
 * action is done, and all of it is undone unless the app is shown to work at the end. A run that was cut off is
 * settled first. Where nothing is missing nothing is changed, and only the proof is made.
 */
export async function apply(place: Workplace, app: LocalApp, deps: JournalDeps): Promise<ApplyReport> {
  const { progress } = deps;
  return withJournal(place, deps, async (journal) => {
    const facts = await place.facts();
    const plan = planFor(facts, app);
    refuseObstacles(plan.obstacles);
    const { occ } = place.instance;
    if (plan.steps.length === 0) {
      return { changed: false, done: [], verification: await verify(occ, facts, progress) };
    }
    return transaction(journal, 'apply', progress, async () => {
      const done: string[] = [];
      for (const action of plan.steps.flatMap((step) => actionsFor(step, place.instance, app))) {
        const what = action.describe();
        progress.step(what);
        if ((await journal.perform(action)) === 'done') done.push(what);
      }
      return { changed: true, done, verification: await verify(occ, await place.facts(), progress) };
    });
  });
}
