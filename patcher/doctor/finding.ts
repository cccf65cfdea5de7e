import { isLatchkeyError } from '../../platform/errors.ts';

/** Subjects of the page, in the order they have where none is worse than another. */
export const GROUPS = [
  'release',
  'copies',
  'memory',
  'php',
  'caches',
  'credentials',
  'network',
  'nextcloud',
  'ncpatch',
] as const;
export type Group = (typeof GROUPS)[number];

/** Worst first. `bad` ends the command with 1; `unknown` is what could not be looked at, and is never silent. */
export const LEVELS = ['bad', 'warn', 'unknown', 'info', 'ok'] as const;
export type Level = (typeof LEVELS)[number];

/** A change that `--fix` may make: it takes nothing away, and can be undone. Plain data; `repairs.ts` makes it an action. */
export type Repair =
  | { readonly kind: 'close_path'; readonly path: string; readonly mode: number; readonly owner: string }
  | { readonly kind: 'write_ini'; readonly path: string; readonly content: string };

export interface Finding {
  readonly code: string;
  readonly level: Level;
  /** What is so, in one line. */
  readonly what: string;
  /** What follows from it; '' where that is plain. */
  readonly why: string;
  /** What to do: a command where there is one. */
  readonly fix: string | null;
  /** Places it was seen at: paths, counts. */
  readonly seen: readonly string[];
  readonly repair: Repair | null;
}

interface More {
  readonly why?: string;
  readonly fix?: string | null;
  readonly seen?: readonly string[];
  readonly repair?: Repair | null;
}

function finding(level: Level, code: string, what: string, more: More = {}): Finding {
  const { why = '', fix = null, seen = [], repair = null } = more;
  return { code, level, what, why, fix, seen, repair };
}

export const bad = (code: string, what: string, more?: More): Finding => finding('bad', code, what, more);
export const warn = (code: string, what: string, more?: More): Finding => finding('warn', code, what, more);
export const info = (code: string, what: string, more?: More): Finding => finding('info', code, what, more);
export const ok = (code: string, what: string): Finding => finding('ok', code, what);
export const unknown = (code: string, what: string, more?: More): Finding => finding('unknown', code, what, more);

/** A look that failed. An error that is not ours is a defect and goes on. */
export function failedLook(code: string, what: string, error: unknown): Finding {
  if (!isLatchkeyError(error)) throw error;
  return unknown(code, `${what}: ${error.message} (${error.code})`, { fix: error.hint ?? null });
}

/** A span of time as people say it. */
export function spanWords(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 2) return `${Math.max(0, Math.round(ms / 1000))} s`;
  if (minutes < 120) return `${minutes} minutes`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} hours` : `${Math.floor(hours / 24)} days`;
}

/** Day of a moment, UTC. */
export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** A path as one word of a shell. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

export function counted(count: number, one: string, more: string): string {
  return `${count} ${count === 1 ? one : more}`;
}
