import type { RandomBytes } from '../../platform/clock.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import type { ActionContext } from '../actions/action.ts';
import { STATE_PARENT } from '../facts.ts';
import type { Progress } from '../progress.ts';
import { ALL_UNDOERS } from '../steps.ts';
import type { Transport } from '../transports/transport.ts';
import type { Workplace } from '../workplace.ts';
import { type Journal, type JournalWriter, openJournal } from './journal.ts';

export interface JournalDeps {
  readonly progress: Progress;
  readonly by: JournalWriter;
  readonly now: () => number;
  readonly random: RandomBytes;
  readonly takeOver: boolean;
}

export function journalDirectory(instanceId: string): string {
  return `${STATE_PARENT}/ncpatch/${instanceId}`;
}

export function actionContext(place: Workplace): ActionContext {
  const { files, machine, occ, steady } = place.instance;
  return { transport: files, machine, occ, ...(steady === undefined ? {} : { steady }) };
}

/** Takes the journal's lock. What an earlier run left is in its `state`, and not settled yet. */
export async function openLocked(place: Workplace, deps: JournalDeps): Promise<Journal> {
  const { machine } = place.instance;
  if (machine.user.uid !== 0) {
    throw new LatchkeyError('not_root', 'the account on the server is not root', {
      exit: 3,
      hint: 'connect as root, or add --sudo for an account with sudo',
    });
  }
  await ensureStateParent(machine);
  return openJournal({
    context: actionContext(place),
    directory: journalDirectory(await place.instanceId()),
    by: deps.by,
    now: deps.now,
    randomId: () => deps.random(8).toString('hex'),
    takeOver: deps.takeOver,
    undoers: ALL_UNDOERS,
    notice: (text) => deps.progress.note(text),
  });
}

async function ensureStateParent(transport: Transport): Promise<void> {
  await transport.makeDirectory(STATE_PARENT, { mode: 0o711, uid: 0, gid: 0 });
  const state = await transport.stat(STATE_PARENT);
  if (state?.kind === 'directory' && state.uid === 0 && (state.mode & 0o023) === 0o001) return;
  throw new LatchkeyError(
    'state_parent_differs',
    `${STATE_PARENT} must be root's, closed for writing and open for passing through`,
    {
      exit: 3,
      hint: `find out who changed it, then: chown root: ${STATE_PARENT} && chmod 711 ${STATE_PARENT}`,
    },
  );
}

/** Runs `work` under the lock, after whatever an earlier run left half done was finished or undone. */
export async function withJournal<T>(
  place: Workplace,
  deps: JournalDeps,
  work: (journal: Journal) => Promise<T>,
): Promise<T> {
  const journal = await openLocked(place, deps);
  try {
    const { phase, command } = journal.state;
    if (phase !== 'none') deps.progress.step(`settle what an interrupted "${command ?? 'run'}" left`);
    const { left } = await journal.recover();
    for (const { what, reason } of left) deps.progress.note(`left alone: ${what} (${reason})`);
    return await work(journal);
  } finally {
    await journal.close();
  }
}

/**
 * One transaction: `work` performs actions; when it throws, everything is undone and the error goes on. A broken
 * connection leaves it open; the next run settles it.
 */
export async function transaction<T>(
  journal: Journal,
  command: string,
  progress: Progress,
  work: () => Promise<T>,
): Promise<T> {
  await journal.begin(command);
  try {
    const result = await work();
    await journal.commit();
    return result;
  } catch (error) {
    progress.step('something failed: put everything back as it was');
    try {
      const { undone, left } = await journal.rollback();
      progress.note(`${undone} steps undone`);
      for (const { what, reason } of left) progress.note(`left alone: ${what} (${reason})`);
    } catch {
      progress.note('not everything could be put back now; "ncpatch rollback" goes on with it');
    }
    throw error;
  }
}
