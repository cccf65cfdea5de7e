import type { Action, ActionContext } from './actions/action.ts';

/**
 * The transaction journal on the target. Nothing is changed on a server before what undoes it is on its disk.
 *
 * Use: `openJournal` (takes the lock) → `recover()` (finishes or undoes what an earlier run left) → `begin` → `perform`
 * each action → verify → `commit`, or `rollback` on any failure → `close`. When the connection breaks in between, open it
 * again on a new transport, now or next week, and call `recover()`.
 */
export interface Journal {
  /** What was found, or is open now. */
  readonly state: JournalState;
  begin(command: string): Promise<void>;
  /** prepare → record → do → record. `unchanged` when the target was already as wanted (nothing is recorded then). */
  perform(action: Action): Promise<'done' | 'unchanged'>;
  /** From here on the change stays; kept old things are thrown away. */
  commit(): Promise<void>;
  /** Undoes everything recorded, newest first. */
  rollback(): Promise<RollbackReport>;
  /** `nothing` to do; `finished` a committed one; `undone` an open or half undone one. */
  recover(): Promise<{ outcome: 'nothing' | 'finished' | 'undone'; left: LeftAlone[] }>;
  /** Gives the lock back. Never throws. */
  close(): Promise<void>;
}

export interface JournalState {
  readonly phase: 'none' | 'open' | 'committed' | 'undoing';
  /** Set when `phase` is not `none`. */
  readonly transaction: string | null;
  readonly command: string | null;
  /** When it began, ms since 1970, by the clock of the machine that began it. */
  readonly since: number | null;
  /** Who began it, `user@machine`. */
  readonly by: string | null;
  /** One line for each recorded step. */
  readonly steps: readonly { n: number; kind: string; what: string; state: 'begun' | 'done' | 'undone' }[];
}

export interface RollbackReport {
  readonly undone: number;
  readonly left: readonly LeftAlone[];
}

/** Something somebody else changed meanwhile, which the undo therefore did not touch. */
export interface LeftAlone {
  readonly what: string;
  readonly reason: string;
}

export interface JournalOptions {
  readonly context: ActionContext;
  /** The journal's folder on the target; made (with missing parents, 0700) when absent. */
  readonly directory: string;
  /** For the lock and the record: who runs this, from where. */
  readonly by: JournalWriter;
  readonly now: () => number;
  readonly randomId: () => string;
  /** Take the lock even though another writer seems to be alive (`--take-over`). */
  readonly takeOver?: boolean;
  /** Told in words when a stale lock is taken over. */
  readonly notice?: (text: string) => void;
}

export interface JournalWriter {
  readonly user: string;
  readonly machine: string;
  readonly pid: number;
}

/** Opens the journal and takes its lock; `journal_locked` (exit 3) names the other writer, since when, last active when. */
export declare function openJournal(options: JournalOptions): Promise<Journal>;

/** Reads the state without the lock and without changing anything; for `status` and `detect`. */
export declare function readJournal(context: ActionContext, directory: string): Promise<JournalState>;
