import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';

/**
 * The journal's file: one JSON object a line, readable with `cat`. A line is written before what it announces
 * (`intent`, `undo`, `commit`) and after what it states (`begin`, `done`, `undone`, `end`).
 */
export type JournalRecord = z.infer<typeof recordSchema>;

const base = { v: z.literal(1), time: z.number().int() };
const step = z.number().int().min(1);

const recordSchema = z.discriminatedUnion('t', [
  z.strictObject({ ...base, t: z.literal('begin'), id: z.string(), command: z.string(), by: z.string() }),
  z.strictObject({
    ...base,
    t: z.literal('intent'),
    n: step,
    kind: z.string(),
    what: z.string(),
    undo: z.record(z.string(), z.unknown()),
  }),
  z.strictObject({ ...base, t: z.literal('done'), n: step }),
  z.strictObject({ ...base, t: z.literal('undo') }),
  z.strictObject({ ...base, t: z.literal('undone'), n: step, left: z.string().nullable() }),
  z.strictObject({ ...base, t: z.literal('commit') }),
  z.strictObject({ ...base, t: z.literal('end') }),
]);

export interface JournalStep {
  readonly n: number;
  readonly kind: string;
  readonly what: string;
  readonly undo: Readonly<Record<string, unknown>>;
  readonly state: 'begun' | 'done' | 'undone';
  /** Why an undo did not touch it, if so. */
  readonly left: string | null;
}

/** What the records amount to. `ended` has only its folder left to be cleared away. */
export interface JournalView {
  readonly phase: 'none' | 'open' | 'committed' | 'undoing' | 'ended';
  readonly begin: Extract<JournalRecord, { t: 'begin' }> | null;
  readonly steps: readonly JournalStep[];
}

export const EMPTY_VIEW: JournalView = { phase: 'none', begin: null, steps: [] };

function unreadable(line: number): LatchkeyError {
  return new LatchkeyError('journal_unreadable', `line ${line} of the journal is not one ncpatch writes`, {
    exit: 3,
    hint: 'a newer ncpatch may have written it; nothing was changed',
  });
}

/** A line that a full disk or a crash cut short announces something that never began: it is passed over. */
function isTorn(line: string): boolean {
  const start = '{"v":1,"time":';
  return start.startsWith(line.slice(0, start.length));
}

export function formatRecord(record: JournalRecord): string {
  const { v, time, t, ...rest } = record;
  return JSON.stringify({ v, time, t, ...rest });
}

/** Throws `journal_unreadable` (exit 3) for anything but whole lines of ours and torn ones. */
export function parseJournal(text: string): JournalRecord[] {
  const lines = text.split('\n');
  return lines.flatMap((line, index) => {
    if (line === '') return [];
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      if (isTorn(line)) return [];
      throw unreadable(index + 1);
    }
    const parsed = recordSchema.safeParse(value);
    if (!parsed.success) throw unreadable(index + 1);
    return [parsed.data];
  });
}

/** Pure: where a transaction with these records stands. Refuses an order that cannot have come about. */
export function viewJournal(records: readonly JournalRecord[]): JournalView {
  return records.reduce(applyRecord, EMPTY_VIEW);
}

export function applyRecord(view: JournalView, record: JournalRecord): JournalView {
  const refuse = (): never => {
    throw new LatchkeyError('journal_unreadable', `the journal has "${record.t}" where it cannot be`, { exit: 3 });
  };
  const inPhase = (...phases: JournalView['phase'][]) => (phases.includes(view.phase) ? undefined : refuse());
  const change = (n: number, from: readonly JournalStep['state'][], to: Partial<JournalStep>): JournalView => {
    const old = view.steps[n - 1];
    if (old === undefined || !from.includes(old.state)) return refuse();
    return { ...view, steps: view.steps.with(n - 1, { ...old, ...to }) };
  };
  switch (record.t) {
    case 'begin':
      inPhase('none');
      return { phase: 'open', begin: record, steps: [] };
    case 'intent': {
      inPhase('open');
      const { n, kind, what, undo } = record;
      if (n !== view.steps.length + 1) return refuse();
      return { ...view, steps: [...view.steps, { n, kind, what, undo, state: 'begun', left: null }] };
    }
    case 'done':
      inPhase('open');
      return change(record.n, ['begun'], { state: 'done' });
    case 'undo':
      inPhase('open', 'undoing');
      return { ...view, phase: 'undoing' };
    case 'undone':
      inPhase('undoing');
      return change(record.n, ['begun', 'done', 'undone'], { state: 'undone', left: record.left });
    case 'commit':
      inPhase('open', 'committed');
      return { ...view, phase: 'committed' };
    case 'end':
      inPhase('committed', 'undoing', 'ended');
      return { ...view, phase: 'ended' };
  }
}

/** The steps an undo has still to go through, newest first. */
export function stepsToUndo(view: JournalView): JournalStep[] {
  return view.steps.filter((entry) => entry.state !== 'undone').toReversed();
}
