import { type AlertTexts, type Facts, hour, type Kinds } from './alert-kind.ts';
import { when } from './alert-words.ts';

/** What the watch on a server tells of its app. */
export const watchKinds: Pick<Kinds, 'app_watch'> = {
  app_watch: {
    severity: ({ code }) => (code === 'reapplied' ? 'info' : 'critical'),
    same: ({ code }) => ({ cause: code, quiet: hour }),
    texts: (facts) => ({ happened: watchHappened(facts), ...watchTexts(facts) }),
  },
};

function watchHappened({ client, source, at, from, to }: Facts<'app_watch'>): string {
  const upgrade = from === null || to === null ? '' : ` Nextcloud went from ${from} to ${to}.`;
  return `The watch on ${client.name} told it from ${source}; it happened at ${when(at)}.${upgrade}`;
}

function watchTexts({ client, code }: Facts<'app_watch'>): Omit<AlertTexts, 'severity' | 'happened'> {
  switch (code) {
    case 'reapplied':
      return {
        title: `the app was put back on ${client.name}`,
        done: 'The watch put the app back into its place after something had taken it away or switched it off.',
        todo: 'After an upgrade, nothing. If there was none, find out who switched it off.',
      };
    case 'reapply_failed':
      return {
        title: `the app could not be put back on ${client.name}`,
        done: 'The watch tries again, later each time, and where keys are away closes the web as far as it can.',
        todo: `See why: ncpatch watch status. Then: ncpatch apply. Until then the encrypted files of ${client.name} cannot be read.`,
      };
    case 'core_hook_gone':
      return {
        title: `the hook in the core of ${client.name} is gone`,
        done: 'Nothing: the watch on the server cannot make the patch for another version.',
        todo: 'ncpatch apply puts it back; where the watch runs on your own machine too, it does so by itself.',
      };
    case 'app_gone':
      return {
        title: `the app is gone from ${client.name}`,
        done: 'Nothing: the watch found a reason not to touch it.',
        todo: 'See why: ncpatch watch status. Then: ncpatch apply, or ncpatch rollback.',
      };
  }
}
