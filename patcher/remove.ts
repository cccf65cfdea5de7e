import { basename, dirname } from 'node:path/posix';
import * as z from 'zod';
import { LatchkeyError } from '../platform/errors.ts';
import type { Occ } from './actions/action.ts';
import { STATE_PARENT } from './facts.ts';
import { type JournalDeps, transaction, withJournal } from './journal/transaction.ts';
import { remoteKey } from './keys/remote-key.ts';
import { removeStateFolder } from './keys/state-folder.ts';
import { occJson, occText } from './occ.ts';
import { describeActions, type PlannedChange } from './planned-changes.ts';
import { removalFor } from './removal.ts';
import { actionsForRemoval } from './steps.ts';
import type { Workplace } from './workplace.ts';

export interface RemoveReport {
  readonly dryRun: boolean;
  readonly changes: readonly PlannedChange[];
}

/**
 * Takes the app, its timer and its values away, and the enrolment, as one transaction. Refuses (exit 3) while a
 * key is on the key server only, and in a state in which Nextcloud could not tell us so. The journal stays.
 */
export async function remove(place: Workplace, deps: JournalDeps, dryRun: boolean): Promise<RemoveReport> {
  if (dryRun) return { dryRun, changes: await changesOf(place) };
  const { progress } = deps;
  return withJournal(place, deps, async (journal) => {
    const changes = await changesOf(place);
    const facts = await place.facts();
    const steps = removalFor(facts);
    if (facts.app.enabled && facts.app.files !== null && !facts.needsUpgrade) {
      progress.step('forget cached keys, credentials and background jobs');
      await remoteKey(place.instance.occ).forget();
      await deleteJobs(place.instance.occ);
    }
    await transaction(journal, 'remove', progress, async () => {
      for (const action of steps.flatMap((step) => actionsForRemoval(step))) {
        progress.step(action.describe());
        await journal.perform(action);
      }
      // last, but before the commit: cut off here, config.php names the folder again and the next run finds it
      if (facts.stateFolder.exists) {
        const { path } = facts.stateFolder;
        progress.step(`remove the enrolment in ${path}`);
        const left = await removeStateFolder(place.instance.files, path);
        if (left.length === 0) await removeOwnParent(place, path);
        else progress.note(`${path} stays, it holds what is not the app's: ${left.join(', ')}`);
      }
    });
    return { dryRun, changes };
  });
}

/** A folder that `apply` makes for state folders where there is none, as beside the data of a snap; it goes with the last of them. */
async function removeOwnParent({ instance }: Workplace, path: string): Promise<void> {
  const parent = dirname(path);
  const isOwn = instance.defaultStateFolder(basename(path)) === path && basename(parent) === 'latchkey';
  if (isOwn && parent !== STATE_PARENT) await instance.files.run(['rmdir', '--', parent]);
}

const JOB = 'OCA\\RemoteKeyStorage\\Escrow\\HeartbeatJob';
const jobsSchema = z.array(z.object({ id: z.union([z.string(), z.int()]) }));

/** Jobs of the app in Nextcloud's list; only an app that is still there can be asked for them. */
async function deleteJobs(occ: Occ): Promise<void> {
  for (const job of await occJson(occ, ['background-job:list', `--class=${JOB}`], jobsSchema)) {
    await occText(occ, ['background-job:delete', String(job.id)], { input: 'y\n' });
  }
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
