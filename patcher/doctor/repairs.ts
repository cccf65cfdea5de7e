import { LatchkeyError } from '../../platform/errors.ts';
import type { Action } from '../actions/action.ts';
import { onMachine } from '../actions/on-machine.ts';
import { setMode } from '../actions/set-mode.ts';
import { writeFile } from '../actions/write-file.ts';
import { type JournalDeps, transaction, withJournal } from '../journal/transaction.ts';
import type { Workplace } from '../workplace.ts';
import type { GroupReport } from './examination.ts';
import type { Finding, Group, Repair } from './finding.ts';

/** What `--fix` would do, in the order of the page; the same change is made once. */
export function repairsOf(reports: readonly GroupReport[]): Repair[] {
  const all = reports.flatMap(({ findings }) => findings.flatMap(({ repair }) => (repair === null ? [] : [repair])));
  return [...new Map(all.map((repair) => [`${repair.kind} ${repair.path}`, repair])).values()];
}

export function groupsToMend(reports: readonly GroupReport[]): Group[] {
  return reports.filter(({ findings }) => findings.some(({ repair }) => repair !== null)).map(({ group }) => group);
}

export function actionFor(repair: Repair): Action {
  switch (repair.kind) {
    case 'close_path':
      return setMode(repair);
    case 'write_ini':
      return onMachine(
        writeFile({ path: repair.path, data: Buffer.from(repair.content), mode: 0o644, uid: 0, gid: 0 }),
      );
  }
}

/**
 * Makes the repairs as one transaction and looks again: a finding that is still there undoes all of them (`fix_failed`).
 * Returns what was done.
 */
export function mend(
  place: Workplace,
  reports: readonly GroupReport[],
  lookAgain: (groups: readonly Group[]) => Promise<readonly GroupReport[]>,
  deps: JournalDeps,
): Promise<string[]> {
  return withJournal(place, deps, (journal) =>
    transaction(journal, 'doctor', deps.progress, async () => {
      const done: string[] = [];
      for (const repair of repairsOf(reports)) {
        const action = actionFor(repair);
        deps.progress.step(action.describe());
        if ((await journal.perform(action)) === 'done') done.push(action.describe());
      }
      deps.progress.step('look again');
      refuseUnmended(reports, await lookAgain(groupsToMend(reports)));
      return done;
    }),
  );
}

function refuseUnmended(before: readonly GroupReport[], after: readonly GroupReport[]): void {
  const mended = new Set(codes(before));
  const left = after
    .flatMap(({ findings }) => findings)
    .filter((finding) => finding.repair !== null && mended.has(key(finding)));
  const [first] = left;
  if (first === undefined) return;
  throw new LatchkeyError('fix_failed', `after the change it is still so: ${first.what} (${first.code})`, {
    hint: first.fix ?? 'mend it by hand',
  });
}

function codes(reports: readonly GroupReport[]): string[] {
  return reports.flatMap(({ findings }) => findings.filter(({ repair }) => repair !== null).map(key));
}

function key({ code, repair }: Finding): string {
  return `${code} ${repair?.path ?? ''}`;
}
