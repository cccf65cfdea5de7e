import { apply } from '../../apply.ts';
import { refuseObstacles } from '../../obstacles.ts';
import { type Plan, planFor } from '../../plan.ts';
import { describePlan } from '../../planned-changes.ts';
import { remove } from '../../remove.ts';
import { rollback } from '../../rollback.ts';
import { serverWords } from '../pair.ts';
import type { SetupContext, SetupStep } from '../setup-step.ts';

/** Nextcloud asks for its keys elsewhere: the app, its heartbeat, and the hook in Nextcloud's own code where that is wanted. */
export function hookStep(context: SetupContext): SetupStep {
  const { config, nextcloud, app, journal } = context;
  const planNow = async (): Promise<Plan> => planFor(await context.facts(), app, nextcloud.hook ?? null);
  const removal = async () => {
    const { app: there, stateFolder, timerFiles } = await context.facts();
    const isThere = there.files !== null || there.installedVersion !== null;
    return isThere || stateFolder.exists || Object.keys(timerFiles).length > 0;
  };
  return {
    name: 'hook',
    title: 'have Nextcloud ask for its keys, and tell each minute that it lives',
    needs: [],
    look: async () => {
      const { steps, afterProof, obstacles } = await planNow();
      refuseObstacles(obstacles);
      if (steps.length + afterProof.length > 0) return { state: 'missing' };
      return { state: 'done', words: 'the app is installed, and its heartbeat runs' };
    },
    plan: async () => {
      const { steps, afterProof } = await planNow();
      const changes = await describePlan(nextcloud, [...steps, ...afterProof], app);
      return [
        ...changes.map(({ what }) => `on the server: ${what}`),
        `each line of it: ncpatch plan ${serverWords(config)}`,
      ];
    },
    carryOut: async () => {
      const { done } = await apply(nextcloud, app, journal);
      return [`${done.length} changes, each with its undo in the journal on the server`];
    },
    // the transaction has undone itself; what it could not is in the journal
    undo: async () => {
      const { left } = await rollback(nextcloud, journal);
      return left.map(({ what, reason }) => `left alone: ${what} (${reason})`);
    },
    planRemoval: async () => ((await removal()) ? ['on the server: the app, its heartbeat, its enrolment'] : []),
    takeAway: async () => {
      if (await removal()) await remove(nextcloud, journal, false);
      return [];
    },
  };
}
