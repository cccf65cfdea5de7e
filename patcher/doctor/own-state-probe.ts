import { isLatchkeyError } from '../../platform/errors.ts';
import type { LocalApp } from '../app-files.ts';
import type { Facts } from '../facts.ts';
import { readJournal } from '../journal/journal.ts';
import { journalDirectory } from '../journal/transaction.ts';
import { planFor, type Step } from '../plan.ts';
import type { OwnStateEvidence } from './own-state.ts';
import type { Patient } from './patient.ts';

export async function probeOwnState(patient: Patient, app: LocalApp): Promise<OwnStateEvidence> {
  const { facts, files, machine, instanceId, keysAway } = patient;
  const context = { transport: files, machine, occ: null };
  const journal = instanceId === null ? null : await readJournal(context, journalDirectory(instanceId)).catch(unread);
  return {
    journal,
    steps: facts === null ? null : plannedSteps(facts, app),
    version: { brought: app.app.version, there: facts?.app.files?.version ?? null },
    watch: watchState(facts),
    keysAway,
  };
}

function plannedSteps(facts: Facts, app: LocalApp): readonly Step[] | null {
  try {
    return planFor(facts, app).steps;
  } catch (error) {
    return unread(error);
  }
}

function watchState(facts: Facts | null): OwnStateEvidence['watch'] {
  const watch = facts?.watch;
  // the folder of the watch is root's alone
  if (facts === null || watch === undefined || !facts.isRoot) return null;
  const files = Object.keys(watch.files);
  if (files.length === 0 && !watch.folder) return 'absent';
  const starts = files.some((path) => path.startsWith('/etc/'));
  return starts &&
    files.some((path) => path.endsWith('/watch.sh')) &&
    files.some((path) => path.endsWith('/settings.sh'))
    ? 'installed'
    : 'partly';
}

function unread(error: unknown): null {
  if (isLatchkeyError(error) && error.code !== 'connection_lost') return null;
  throw error;
}
