import { installWatch, removeWatch } from '../../watch/watch.ts';
import { isWatched } from '../../watch/watch-plan.ts';
import type { SetupContext, SetupStep } from '../setup-step.ts';

/** The server puts the app back by itself, should an upgrade take it away. */
export function watchStep({ nextcloud, app, journal, facts }: SetupContext): SetupStep {
  const taken = async () => (await removeWatch(nextcloud, journal, true)).changes;
  return {
    name: 'watch',
    title: 'have the server look after the app',
    needs: ['hook'],
    look: async () => {
      const { scheduler, app: there } = await facts();
      if (scheduler === 'none') {
        return {
          state: 'impossible',
          code: 'no_scheduler',
          words: 'the server has neither systemd nor cron to start the watch',
          hint: 'install cron there, or leave it out: "skip": ["watch"]',
        };
      }
      if (!there.enabled || there.files === null) return { state: 'missing' };
      const { changes } = await installWatch(nextcloud, app, journal, true);
      return changes.length === 0 ? { state: 'done', words: 'the server looks after the app' } : { state: 'missing' };
    },
    plan: async () => [
      'on the server: a timer and scripts that put the app back after an upgrade that took it away or switched it off',
    ],
    carryOut: async () => {
      const { changes } = await installWatch(nextcloud, app, journal, false);
      return [`${changes.length} changes; from now on the server looks after the app by itself`];
    },
    undo: async () => [],
    planRemoval: async () =>
      isWatched(await facts()) ? (await taken()).map(({ what }) => `on the server: ${what}`) : [],
    takeAway: async () => {
      if (isWatched(await facts())) await removeWatch(nextcloud, journal, false);
      return [];
    },
  };
}
