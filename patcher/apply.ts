import type { Occ } from './actions/action.ts';
import type { LocalApp } from './app-files.ts';
import type { Facts } from './facts.ts';
import type { Journal } from './journal/journal.ts';
import { type JournalDeps, transaction, withJournal } from './journal/transaction.ts';
import { refuseObstacles } from './obstacles.ts';
import { planFor, type Step } from './plan.ts';
import type { Progress } from './progress.ts';
import { actionsFor } from './steps.ts';
import { type Verification, verifyRepair } from './verify.ts';
import type { Workplace } from './workplace.ts';

export interface ApplyReport {
  readonly changed: boolean;
  /** What was done, in order. */
  readonly done: readonly string[];
  /** Nextcloud was in maintenance mode when this began, and still is. */
  readonly maintenance: boolean;
  readonly verification: Verification;
}

/**
 * Brings the server to what the plan wants, as one transaction: each action's undo is on the server's disk before the
 * action is done, and all of it is undone unless the app is shown to work at the end, as far as the key server lets it. A run that was cut off is
 * settled first. Where nothing is missing nothing is changed, and only the proof is made.
 */
export function apply(place: Workplace, app: LocalApp, deps: JournalDeps): Promise<ApplyReport> {
  return withJournal(place, deps, async (journal) => {
    const { changed, done, maintenance, proof } = await bringUp(place, journal, app, deps.progress, verifyRepair);
    if (maintenance)
      deps.progress.note('nextcloud stays in maintenance mode, as it was found: occ maintenance:mode --off');
    return { changed, done, maintenance, verification: proof };
  });
}

/** The same under a lock that is held already, with a proof of the caller's choice; `mends` are obstacles it came to end. */
export async function bringUp<T>(
  place: Workplace,
  journal: Journal,
  app: LocalApp,
  progress: Progress,
  prove: (occ: Occ, facts: Facts, progress: Progress) => Promise<T>,
  mends: readonly string[] = [],
): Promise<Pick<ApplyReport, 'changed' | 'done' | 'maintenance'> & { readonly proof: T }> {
  const facts = await place.facts();
  const plan = planFor(facts, app, place.hook ?? null);
  refuseObstacles(plan.obstacles.filter(({ code }) => !mends.includes(code)));
  const { occ } = place.instance;
  const { maintenance } = facts;
  if (plan.steps.length === 0)
    return { changed: false, done: [], maintenance, proof: await prove(occ, facts, progress) };
  return transaction(journal, 'apply', progress, async () => {
    const done: string[] = [];
    const carryOut = async (steps: readonly Step[]): Promise<void> => {
      for (const action of steps.flatMap((step) => actionsFor(step, place.instance, app))) {
        const what = action.describe();
        progress.step(what);
        if ((await journal.perform(action)) === 'done') done.push(what);
      }
    };
    await carryOut(plan.steps);
    const proof = await prove(occ, await place.facts(), progress);
    await carryOut(plan.afterProof);
    return { changed: true, done, maintenance, proof };
  });
}
