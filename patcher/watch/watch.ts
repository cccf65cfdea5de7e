import { LatchkeyError } from '../../platform/errors.ts';
import type { LocalApp } from '../app-files.ts';
import type { Facts, WatchFacts } from '../facts.ts';
import { type JournalDeps, transaction, withJournal } from '../journal/transaction.ts';
import { placeForApp } from '../plan.ts';
import { describeActions, type PlannedChange } from '../planned-changes.ts';
import type { Workplace } from '../workplace.ts';
import { watchedOf } from './watch-files.ts';
import { type WatchStep, watchRemovalFor, watchStepsFor } from './watch-plan.ts';
import { actionsForWatch } from './watch-steps.ts';

export interface WatchReport {
  readonly dryRun: boolean;
  readonly changes: readonly PlannedChange[];
}

/** What the script needs of the machine besides a POSIX shell. */
const PROGRAMS = ['flock', 'timeout', 'sha256sum', 'tar', 'stat', 'od'];
const MISSING = 'for name do command -v "$name" >/dev/null || printf "%s\\n" "$name"; done';

/** Makes the machine put the app back by itself, as one transaction. Refuses where the app is not in place yet. */
export function installWatch(
  place: Workplace,
  app: LocalApp,
  deps: JournalDeps,
  dryRun: boolean,
): Promise<WatchReport> {
  return change(place, deps, dryRun, 'watch install', async (facts, way) => {
    await refuseUnfit(place, facts);
    const watched = watchedOf(facts, { path: placeForApp(facts).path, version: app.app.version }, facts.hook ?? 'app');
    return watchStepsFor(facts, way, watched, app.watch);
  });
}

/** Takes all of it away, as one transaction. */
export function removeWatch(place: Workplace, deps: JournalDeps, dryRun: boolean): Promise<WatchReport> {
  return change(place, deps, dryRun, 'watch remove', async (facts) => watchRemovalFor(facts));
}

async function change(
  place: Workplace,
  deps: JournalDeps,
  dryRun: boolean,
  command: string,
  stepsFor: (facts: Facts, way: WatchFacts) => Promise<WatchStep[]>,
): Promise<WatchReport> {
  const actions = async () => {
    const facts = await place.facts();
    if (facts.watch === undefined || !facts.isRoot) {
      throw new LatchkeyError('not_root', 'the account on the server is not root', {
        exit: 3,
        hint: 'connect as root, or add --sudo for an account with sudo',
      });
    }
    return (await stepsFor(facts, facts.watch)).flatMap(actionsForWatch);
  };
  if (dryRun) return { dryRun, changes: await describeActions(place, await actions()) };
  return withJournal(place, deps, async (journal) => {
    const wanted = await actions();
    if (wanted.length === 0) return { dryRun, changes: [] };
    const changes = await describeActions(place, wanted);
    await transaction(journal, command, deps.progress, async () => {
      for (const action of wanted) {
        deps.progress.step(action.describe());
        await journal.perform(action);
      }
    });
    return { dryRun, changes };
  });
}

async function refuseUnfit(place: Workplace, facts: Facts): Promise<void> {
  if (facts.scheduler === 'none') {
    throw new LatchkeyError('no_scheduler', 'the machine has neither systemd nor cron to start the watch', {
      exit: 3,
      hint: 'install cron; or watch from here: ncpatch watch install --here',
    });
  }
  if (!facts.app.enabled || facts.app.files === null) {
    throw new LatchkeyError('app_not_loaded', 'there is no app to look after: it is not installed or switched off', {
      exit: 3,
      hint: 'run: ncpatch apply',
    });
  }
  const { stdout } = await place.instance.machine.run(['/bin/sh', '-c', MISSING, 'sh', ...PROGRAMS]);
  const missing = stdout
    .toString('utf8')
    .trim()
    .split('\n')
    .filter((name) => name !== '');
  if (missing.length > 0) {
    throw new LatchkeyError('programs_missing', `the watch needs ${missing.join(', ')} of the machine`, {
      exit: 3,
      hint: 'install them (util-linux, coreutils, tar)',
    });
  }
}
