import { isLatchkeyError } from '../platform/errors.ts';
import type { Facts, Obstacle } from './facts.ts';
import { type JournalState, readJournal } from './journal/journal.ts';
import { actionContext, journalDirectory } from './journal/transaction.ts';
import { type AppStatus, remoteKey } from './keys/remote-key.ts';
import { obstaclesOf } from './obstacles.ts';
import { factLines } from './report.ts';
import type { Workplace } from './workplace.ts';

export interface Status {
  readonly state: Facts['app']['state'];
  readonly keysAway: readonly string[];
  readonly keysOnDisk: readonly string[];
  /** What the app says of itself; `null` where it is not loaded, then `appError` tells why. */
  readonly app: AppStatus | null;
  readonly appError: string | null;
  readonly journal: JournalState;
  readonly problems: readonly Obstacle[];
  readonly lines: readonly (readonly [string, string | readonly string[]])[];
}

/** How things stand. Changes nothing and asks the key server nothing. */
export async function statusOf(place: Workplace, facts: Facts): Promise<Status> {
  const journal = await readJournal(actionContext(place), journalDirectory(facts.instanceId));
  let app: AppStatus | null = null;
  let appError: string | null = null;
  if (facts.app.enabled && facts.app.files !== null && !facts.needsUpgrade) {
    try {
      app = await remoteKey(place.instance.occ).status();
    } catch (error) {
      if (!isLatchkeyError(error)) throw error;
      appError = error.code;
    }
  }
  const reported = (app?.problems ?? []).map((problem) => ({ ...problem, blocking: problem.blocking === true }));
  const problems = [...obstaclesOf(facts), ...unfinished(journal), ...reported];
  return {
    state: facts.app.state,
    keysAway: facts.enrolment?.keys ?? [],
    keysOnDisk: facts.encryption.privateKeys,
    app,
    appError,
    journal,
    problems,
    lines: [
      ...factLines(facts).filter(([name]) => SHOWN.has(name)),
      ['hook', app?.hook ?? appError ?? 'not loaded'],
      ['sessions', app === null ? 'unknown' : app.sessionsKeyFree ? 'free of the key' : 'hold the key'],
      [
        'transaction',
        journal.phase === 'none' ? 'none open' : `${journal.command ?? 'a run'} was interrupted (${journal.phase})`,
      ],
    ],
  };
}

const SHOWN = new Set([
  'nextcloud',
  'root',
  'state',
  'encryption',
  'keys on disk',
  'keys away',
  'app',
  'enrolled',
  'heartbeat',
]);

function unfinished(journal: JournalState): Obstacle[] {
  if (journal.phase === 'none') return [];
  return [
    {
      code: 'transaction_open',
      message: `"${journal.command ?? 'a run'}" of ${journal.by ?? 'somebody'} did not come to its end`,
      hint: 'ncpatch apply, or ncpatch rollback, settles it',
      blocking: false,
    },
  ];
}
