import { LatchkeyError } from '../platform/errors.ts';
import { describeActions, type PlannedChange } from './planned-changes.ts';
import { removalFor } from './removal.ts';
import { actionsForRemoval } from './steps.ts';
import { type JournalDeps, transaction, withJournal } from './transaction.ts';
import type { Workplace } from './workplace.ts';

export interface RemoveReport {
  readonly dryRun: boolean;
  readonly changes: readonly PlannedChange[];
}

/**
 * Takes the app, its timer and its values away, as one transaction, and the enrolment after it. Refuses (exit 3) while a
 * key is on the key server only, and in a state in which Nextcloud could not tell us so. The journal stays.
 */
export async function remove(place: Workplace, deps: JournalDeps, dryRun: boolean): Promise<RemoveReport> {
  if (dryRun) return { dryRun, changes: await changesOf(place) };
  const { progress } = deps;
  return withJournal(place, deps, async (journal) => {
    const changes = await changesOf(place);
    const facts = await place.facts();
    const steps = removalFor(facts);
    await transaction(journal, 'remove', progress, async () => {
      for (const action of steps.flatMap((step) => actionsForRemoval(step))) {
        progress.step(action.describe());
        await journal.perform(action);
      }
    });
    if (facts.stateFolder.exists) {
      const { path } = facts.stateFolder;
      progress.step(`remove the enrolment in ${path}`);
      await place.transport.removeTree(path, { named: path.slice(path.lastIndexOf('/') + 1) });
    }
    return { dryRun, changes };
  });
}

async function changesOf(place: Workplace): Promise<PlannedChange[]> {
  const facts = await place.facts();
  if (facts.maintenance || facts.databaseVersion !== facts.version.version) {
    throw new LatchkeyError('upgrade_pending', 'nextcloud is in maintenance mode or waits for an upgrade', {
      exit: 3,
      hint: 'finish that first: occ upgrade; occ maintenance:mode --off',
    });
  }
  const changes = await describeActions(
    place,
    removalFor(facts).flatMap((step) => actionsForRemoval(step)),
  );
  if (!facts.stateFolder.exists) return changes;
  return [...changes, { what: `remove the enrolment in ${facts.stateFolder.path}`, diff: '' }];
}
