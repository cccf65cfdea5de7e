import { LatchkeyError } from '../../platform/errors.ts';
import { processLives } from '../../platform/process-lives.ts';
import type { Action, ActionContext, Undoer, UndoRecord } from '../actions/action.ts';
import { undoers as allUndoers } from '../actions/undoers.ts';
import { type AppendGuard, splitPath, type Transport } from '../transports/transport.ts';
import {
  applyRecord,
  EMPTY_VIEW,
  formatRecord,
  type JournalRecord,
  type JournalStep,
  type JournalView,
  parseJournal,
  stepsToUndo,
  viewJournal,
} from './journal-format.ts';
import { type JournalWriter, releaseLock, takeLock } from './journal-lock.ts';
import { SavedOriginals } from './originals.ts';

export type { JournalWriter } from './journal-lock.ts';

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
  /** Undoes everything recorded, newest first; `rollback_incomplete` when a step could not be undone, to be tried again. */
  rollback(): Promise<RollbackReport>;
  /** `nothing` to do; `finished` a committed one; `undone` an open or half undone one. */
  recover(): Promise<{ outcome: 'nothing' | 'finished' | 'undone'; left: readonly LeftAlone[] }>;
  /** Gives the lock back. Never throws. */
  close(): Promise<void>;
}

export interface JournalState {
  readonly phase: 'none' | 'open' | 'committed' | 'undoing';
  /** This and the next three are set when `phase` is not `none`. */
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
  /** 16 or more hex digits, never the same twice. */
  readonly randomId: () => string;
  /** Take the lock even though another writer seems to be alive (`--take-over`). */
  readonly takeOver?: boolean;
  /** Told in words when a stale lock is taken over. */
  readonly notice?: (text: string) => void;
  /** Whether a process of this machine lives; asked about the holder of a lock. */
  readonly isAlive?: (pid: number) => boolean;
  /** By default all kinds of actions/. */
  readonly undoers?: readonly Undoer[];
}

/** How long a program may go on by itself after its connection broke before we give up waiting for it. */
const IDLE_WAIT_MS = 300_000;
/** The same for one that was late, while we are still there. */
const LATE_WAIT_MS = 30_000;
const JOURNAL_MAX_BYTES = 16 * 1024 * 1024;
const NAMES = { journal: 'journal.jsonl', lock: 'lock', running: 'running' } as const;

/** Opens the journal and takes its lock; `journal_locked` (exit 3) names the other writer, since when, last active when. */
export async function openJournal(options: JournalOptions): Promise<Journal> {
  const { context, directory, by } = options;
  const { machine: transport } = context;
  await makeWithParents(transport, directory);
  const guard = await takeLock({
    transport,
    path: `${directory}/${NAMES.lock}`,
    active: `${directory}/${NAMES.journal}`,
    by,
    nonce: options.randomId(),
    now: options.now(),
    takeOver: options.takeOver ?? false,
    notice: options.notice ?? (() => undefined),
    isAlive: options.isAlive ?? processLives,
  });
  const running = `${directory}/${NAMES.running}`;
  if (!(await transport.waitUntilIdle(running, IDLE_WAIT_MS))) {
    await releaseLock(transport, guard);
    throw new LatchkeyError('target_busy', 'a command of an earlier run is still at work on the target', {
      hint: 'wait until it has ended, then run the same again',
    });
  }
  transport.holdWhileRunning(running);
  return new OpenJournal(options, guard, await readView(transport, directory));
}

/** Reads the state without the lock and without changing anything; for `status` and `detect`. */
export async function readJournal(context: ActionContext, directory: string): Promise<JournalState> {
  return describeView(await readView(context.machine, directory));
}

class OpenJournal implements Journal {
  readonly #options: JournalOptions;
  readonly #transport: Transport;
  readonly #guard: AppendGuard;
  readonly #undoers: ReadonlyMap<string, Undoer>;
  #view: JournalView;

  constructor(options: JournalOptions, guard: AppendGuard, view: JournalView) {
    this.#options = options;
    this.#transport = options.context.machine;
    this.#guard = guard;
    this.#undoers = new Map((options.undoers ?? allUndoers).map((undoer) => [undoer.kind, undoer]));
    this.#view = view;
  }

  get state(): JournalState {
    return describeView(this.#view);
  }

  async begin(command: string): Promise<void> {
    if (this.#view.phase !== 'none') throw new TypeError('an earlier transaction must be recovered first');
    const { by, randomId } = this.#options;
    await this.#append({ ...this.#stamp(), t: 'begin', id: randomId(), command, by: `${by.user}@${by.machine}` });
  }

  async perform(action: Action): Promise<'done' | 'unchanged'> {
    if (this.#view.phase !== 'open') throw new TypeError('a transaction must be open');
    if (!this.#undoers.has(action.kind)) throw new TypeError(`no undoer for actions of kind ${action.kind}`);
    const { context } = this.#options;
    await context.steady?.();
    const undo = await action.prepare(context, this.#originals());
    if (undo === null) return 'unchanged';
    const n = this.#view.steps.length + 1;
    await this.#append({ ...this.#stamp(), t: 'intent', n, kind: action.kind, what: action.describe(), undo });
    try {
      await action.do(context, undo);
    } catch (error) {
      await this.#letEnd(error);
      throw error;
    }
    await context.steady?.();
    await this.#append({ ...this.#stamp(), t: 'done', n });
    return 'done';
  }

  /** A program that was late is not to be at work any more when its step is undone. */
  async #letEnd(error: unknown): Promise<void> {
    if (!(error instanceof LatchkeyError) || error.code !== 'command_timeout') return;
    await this.#transport.waitUntilIdle(`${this.#options.directory}/${NAMES.running}`, LATE_WAIT_MS);
  }

  async commit(): Promise<void> {
    if (this.#view.phase !== 'open') throw new TypeError('a transaction must be open');
    await this.#options.context.steady?.();
    await this.#append({ ...this.#stamp(), t: 'commit' });
    await this.#finish();
  }

  async rollback(): Promise<RollbackReport> {
    const { phase } = this.#view;
    if (phase === 'open') await this.#append({ ...this.#stamp(), t: 'undo' });
    else if (phase !== 'undoing') throw new TypeError('there is nothing that could be rolled back');
    const failures: unknown[] = [];
    for (const step of stepsToUndo(this.#view)) {
      try {
        const left = await this.#undoer(step).undo(this.#options.context, step.undo, this.#originals());
        await this.#append({ ...this.#stamp(), t: 'undone', n: step.n, left });
      } catch (error) {
        if (endsEverything(error)) throw error;
        failures.push(error);
      }
    }
    if (failures.length > 0) throw incomplete(failures);
    const left = this.#view.steps.flatMap(({ what, left: reason }) => (reason === null ? [] : [{ what, reason }]));
    const undone = this.#view.steps.length - left.length;
    await this.#end();
    return { undone, left };
  }

  async recover(): Promise<{ outcome: 'nothing' | 'finished' | 'undone'; left: readonly LeftAlone[] }> {
    switch (this.#view.phase) {
      case 'none':
        await this.#transport.remove(this.#path); // at most a first line that was cut short
        return { outcome: 'nothing', left: [] };
      case 'ended':
        await this.#clear();
        return { outcome: 'nothing', left: [] };
      case 'committed':
        await this.#finish();
        return { outcome: 'finished', left: [] };
      default:
        return { outcome: 'undone', left: (await this.rollback()).left };
    }
  }

  async close(): Promise<void> {
    try {
      this.#transport.holdWhileRunning(null);
      await releaseLock(this.#transport, this.#guard);
    } catch {
      // a broken connection leaves the lock; the next run tells by our process that it is free
    }
  }

  /** What was kept for undoing goes; a step that cannot be finished now is finished by the next run. */
  async #finish(): Promise<void> {
    for (const step of this.#view.steps) {
      await this.#undoer(step).finish?.(this.#options.context, step.undo);
    }
    await this.#end();
  }

  async #end(): Promise<void> {
    await this.#append({ ...this.#stamp(), t: 'end' });
    await this.#clear();
  }

  /** The originals go and the file is put aside, readable for whoever wants to know later what was done. */
  async #clear(): Promise<void> {
    const { directory } = this.#options;
    await this.#originals().discard();
    const begin = this.#view.begin;
    const name = `${new Date(begin?.time ?? 0).toISOString().replace(/[:.]/g, '-')}-${begin?.id}.jsonl`;
    await this.#transport.rename(this.#path, `${directory}/${name}`);
    this.#view = EMPTY_VIEW;
  }

  get #path(): string {
    return `${this.#options.directory}/${NAMES.journal}`;
  }

  #originals(): SavedOriginals {
    return new SavedOriginals(this.#transport, this.#options.directory, this.#view.begin?.id ?? '');
  }

  #undoer(step: JournalStep): Undoer {
    const undoer = this.#undoers.get(step.kind);
    if (undoer !== undefined) return undoer;
    throw new LatchkeyError('journal_unreadable', `this ncpatch does not know steps of kind "${step.kind}"`, {
      exit: 3,
    });
  }

  #stamp(): { v: 1; time: number } {
    return { v: 1, time: this.#options.now() };
  }

  async #append(record: JournalRecord & { undo?: UndoRecord }): Promise<void> {
    const next = applyRecord(this.#view, record);
    await this.#transport.appendLine(this.#path, formatRecord(record), { guard: this.#guard });
    this.#view = next;
  }
}

async function readView(transport: Transport, directory: string): Promise<JournalView> {
  const text = await transport.readFile(`${directory}/${NAMES.journal}`, { max: JOURNAL_MAX_BYTES });
  return text === null ? EMPTY_VIEW : viewJournal(parseJournal(text.toString('utf8')));
}

function describeView(view: JournalView): JournalState {
  if (view.begin === null || view.phase === 'none' || view.phase === 'ended') {
    return { phase: 'none', transaction: null, command: null, since: null, by: null, steps: [] };
  }
  const { id, command, time, by } = view.begin;
  const steps = view.steps.map(({ n, kind, what, state }) => ({ n, kind, what, state }));
  return { phase: view.phase, transaction: id, command, since: time, by, steps };
}

/** After these the target cannot be worked on any more by this writer; all else lets the other steps be undone. */
function endsEverything(error: unknown): boolean {
  return error instanceof LatchkeyError && ['connection_lost', 'lock_lost'].includes(error.code);
}

function incomplete(failures: readonly unknown[]): LatchkeyError {
  const [first] = failures;
  const reason = first instanceof LatchkeyError ? `: ${first.message}` : '';
  return new LatchkeyError('rollback_incomplete', `${failures.length} steps could not be undone${reason}`, {
    hint: 'put right what stands in the way, then run `ncpatch rollback`',
    cause: first,
  });
}

async function makeWithParents(transport: Transport, path: string): Promise<void> {
  if ((await transport.stat(path)) !== null) return;
  const { folder } = splitPath(path);
  if (folder !== '/') await makeWithParents(transport, folder);
  await transport.makeDirectory(path, { mode: 0o700, uid: transport.user.uid, gid: transport.user.gid });
}
