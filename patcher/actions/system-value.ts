import { isDeepStrictEqual } from 'node:util';
import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import type { Action, ActionContext, Undoer } from './action.ts';
import { readUndo } from './file-before.ts';
import { callOcc, needOcc } from './run-occ.ts';

/** A value of config.php as JSON has it. */
export type SystemValue = string | number | boolean | readonly SystemValue[] | { readonly [key: string]: SystemValue };

const undoSchema = z.strictObject({
  name: z.string(),
  /** null: it was not set. */
  before: z.strictObject({ value: z.json() }).nullable(),
  after: z.strictObject({ value: z.json() }).nullable(),
});

/** Names whose values would be a secret in the journal and in the plan. */
const SECRET = /(^|[._])(secret|passwordsalt|dbpassword)$|password|token/i;

/**
 * Sets a top-level value of config.php, whole, or removes it (null). Nested settings such as `apps_paths` are given with
 * everything in them, so that no half-made list is ever in force. The value travels by stdin (`config:import`), which
 * also keeps its type.
 */
export function setSystemValue(name: string, wanted: SystemValue | null): Action {
  if (!/^[\w.-]{1,128}$/.test(name) || SECRET.test(name)) throw new TypeError('not a system value this may set');
  const after = wanted === null ? null : { value: wanted };
  return {
    kind: 'system-value',
    describe: () => (wanted === null ? `remove ${name} from config.php` : `set ${name} in config.php`),
    diff: async (context) => {
      const before = await readSystemValue(context, name);
      if (isDeepStrictEqual(before, after)) return '';
      const line = (sign: string, set: { value: unknown } | null) =>
        set === null ? '' : `${sign}'${name}' => ${JSON.stringify(set.value)}\n`;
      return `--- config.php\n+++ config.php\n${line('-', before)}${line('+', after)}`;
    },
    prepare: async (context) => {
      const before = await readSystemValue(context, name);
      return isDeepStrictEqual(before, after) ? null : { name, before, after };
    },
    do: (context) => writeSystemValue(context, name, after),
  };
}

export const systemValueUndoer: Undoer = {
  kind: 'system-value',
  undo: async (context, record) => {
    const { name, before, after } = readUndo(undoSchema, record);
    const now = await readSystemValue(context, name);
    if (isDeepStrictEqual(now, before)) return null;
    if (!isDeepStrictEqual(now, after)) return 'was changed by somebody else meanwhile';
    await writeSystemValue(context, name, before);
    return null;
  },
};

/** config:system:get ends with 1 and prints nothing when the value is not set. */
async function readSystemValue(context: ActionContext, name: string): Promise<{ value: unknown } | null> {
  const result = await needOcc(context)(['config:system:get', '--output=json', name]);
  const text = result.stdout.toString('utf8').trim();
  if (result.exit === 1 && text === '') return null;
  try {
    if (result.exit === 0) return { value: JSON.parse(text.slice(text.lastIndexOf('\n') + 1)) };
  } catch {
    // told below, without what was printed
  }
  throw new LatchkeyError('occ_failed', `"occ config:system:get ${name}" did not answer as it should`, {
    extra: { exit: result.exit, stderr: result.stderr.slice(-2000) },
  });
}

/** `php://stdin` is named, because without a name config:import reads without waiting and may find nothing yet. */
function writeSystemValue(context: ActionContext, name: string, set: { value: unknown } | null): Promise<void> {
  const input = JSON.stringify({ system: { [name]: set?.value ?? null } });
  return callOcc(context, ['config:import', 'php://stdin'], { input });
}
