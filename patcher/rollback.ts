import type { LeftAlone } from './journal/journal.ts';
import { type JournalDeps, openLocked } from './journal/transaction.ts';
import type { Workplace } from './workplace.ts';

export interface RollbackOutcome {
  readonly outcome: 'nothing' | 'finished' | 'undone';
  readonly left: readonly LeftAlone[];
}

/** Settles what an interrupted run left: a committed transaction is finished, any other is undone. */
export async function rollback(place: Workplace, deps: JournalDeps): Promise<RollbackOutcome> {
  const journal = await openLocked(place, deps);
  try {
    if (journal.state.phase !== 'none') deps.progress.step(`settle "${journal.state.command ?? 'a run'}"`);
    return await journal.recover();
  } finally {
    await journal.close();
  }
}
