import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import type { Action, ActionContext, Occ, Undoer } from './action.ts';
import { readUndo } from './file-before.ts';

type OccArgs = readonly [string, ...string[]];

const undoSchema = z.strictObject({
  args: z.array(z.string()),
  inverse: z.tuple([z.string()], z.string()).nullable(),
  mayFail: z.boolean(),
});

export interface OccStep {
  readonly args: OccArgs;
  /** What undoes it, also when it never ran or was cut in the middle; null when nothing does. */
  readonly inverse: OccArgs | null;
  /** The inverse may end with another exit status than 0, because there may be nothing to undo. */
  readonly inverseMayFail?: boolean;
  /** True when it need not run. */
  readonly already?: (context: ActionContext) => Promise<boolean>;
  readonly timeoutMs?: number;
}

/** Long enough for `occ upgrade` of a large instance. */
const TIMEOUT_MS = 600_000;

/** Runs an occ command which another one undoes. Nothing secret may be in the arguments: they are written down. */
export function runOcc(step: OccStep): Action {
  return {
    kind: 'run-occ',
    describe: () => `occ ${step.args.join(' ')}`,
    diff: async (context) => ((await step.already?.(context)) === true ? '' : `occ ${step.args.join(' ')}\n`),
    prepare: async (context) => {
      if ((await step.already?.(context)) === true) return null;
      return { args: step.args, inverse: step.inverse, mayFail: step.inverseMayFail ?? false };
    },
    do: (context) => callOcc(context, step.args, { timeoutMs: step.timeoutMs ?? TIMEOUT_MS }),
  };
}

export const runOccUndoer: Undoer = {
  kind: 'run-occ',
  undo: async (context, record) => {
    const { args, inverse, mayFail } = readUndo(undoSchema, record);
    if (inverse === null) return `"occ ${args.join(' ')}" has no way back`;
    await callOcc(context, inverse, { timeoutMs: TIMEOUT_MS }, mayFail);
    return null;
  },
};

export function needOcc(context: ActionContext): Occ {
  if (context.occ !== null) return context.occ;
  throw new LatchkeyError('occ_missing', 'this step needs the occ of a Nextcloud', { hint: 'name it with --root' });
}

/** Any exit status but 0 is `occ_failed`, unless it may fail. */
export async function callOcc(
  context: ActionContext,
  args: OccArgs,
  options: { input?: string; timeoutMs?: number },
  mayFail = false,
): Promise<void> {
  const result = await needOcc(context)(args, options);
  if (result.exit === 0 || mayFail) return;
  throw new LatchkeyError('occ_failed', `"occ ${args[0]}" ended with exit code ${result.exit}`, {
    hint: `run "occ ${args[0]}" on the server to see why, and look into nextcloud.log`,
    extra: { exit: result.exit, stderr: result.stderr.slice(-2000) },
  });
}
