import type { RunResult, Transport } from '../transports/transport.ts';

/**
 * One change to a target, which can be undone. The journal drives it:
 *
 * 1. `prepare` looks at the target, changes nothing there but saved originals, and returns what undoes the change, a
 *    plain JSON value without secrets; or null when the target is already as wanted.
 * 2. The journal writes that value down, durably.
 * 3. `do` makes the change.
 *
 * The undo half lives in an `Undoer`, found by `kind`, because the process that undoes is often not the one that did.
 */
export interface Action {
  readonly kind: string;
  /** One line for people, imperative, no secrets: `write /etc/systemd/system/x.timer`. */
  describe(): string;
  /** What would change as a unified diff, or lines that say so; '' when nothing would. Changes nothing. */
  diff(context: ActionContext): Promise<string>;
  prepare(context: ActionContext, originals: Originals): Promise<UndoRecord | null>;
  /** Idempotent: running it again after it was cut at any point reaches the same end. */
  do(context: ActionContext, undo: UndoRecord): Promise<void>;
}

/** Undoes one kind of action from what `prepare` recorded. */
export interface Undoer {
  readonly kind: string;
  /**
   * Puts back what was there before. Must hold whether `do` never ran, was cut in the middle, ran, or an earlier undo was
   * cut. Returns null when done; when somebody else changed the thing meanwhile it is left alone and the reason returned.
   */
  undo(context: ActionContext, undo: UndoRecord, originals: Originals): Promise<string | null>;
  /** After commit: throws away what was kept for undoing (old trees). Idempotent. */
  finish?(context: ActionContext, undo: UndoRecord): Promise<void>;
}

/** A plain JSON object; each kind parses its own with a schema when it comes back from the journal. */
export type UndoRecord = { readonly [name: string]: unknown };

export interface ActionContext {
  /** Where Nextcloud's files are. */
  readonly transport: Transport;
  /** The machine below: timers, units and the journal. The same, unless Nextcloud is in a container. */
  readonly machine: Transport;
  /** Runs occ of the instance as its owner; null where no instance is at hand (then occ actions throw `occ_missing`). */
  readonly occ: Occ | null;
  /** Throws when paths lead to something else than they did (a snap's new revision); asked for changes, not for undoing them. */
  readonly steady?: () => Promise<void>;
}

/** `args` without php and occ themselves. Any exit status is an answer. Secrets by `input` only. */
export type Occ = (
  args: readonly [string, ...string[]],
  options?: { input?: string; timeoutMs?: number },
) => Promise<RunResult>;

/** Saved originals of changed files, in the journal's folder, 0600. */
export interface Originals {
  /** The id of the transaction, for names of things kept beside what they replace. */
  readonly transaction: string;
  /** Stores bytes and returns the name under which `load` finds them. Refuses `*.privateKey` (`private_key_refused`). */
  save(path: string, data: Buffer): Promise<string>;
  load(name: string): Promise<Buffer>;
}
