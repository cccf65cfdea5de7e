import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import { parseInput } from '../../platform/schema.ts';
import { occJson, occText } from '../occ.ts';
import type { Action, ActionContext, Occ, Undoer } from './action.ts';

/** The occ of the context; `occ_missing` where no instance is at hand. */
export function occOf(context: ActionContext): Occ {
  if (context.occ === null) throw new LatchkeyError('occ_missing', 'there is no nextcloud at hand to ask');
  return context.occ;
}

/** One value that the database keeps for an app; `null` when it has none. */
export async function appValue(occ: Occ, app: string, name: string): Promise<string | null> {
  const result = await occ(['config:app:get', app, name]);
  return result.exit === 0 ? result.stdout.toString('utf8').trim() : null;
}

const KIND = 'app_values';
const values = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));
const listSchema = z.object({
  apps: z.union([z.record(z.string(), z.union([values, z.array(z.never())])), z.array(z.never())]),
});
const undoSchema = z.object({ app: z.string(), values });

/** Deletes everything that the database keeps for an app which is gone. */
export function forgetAppValues(app: string): Action {
  return {
    kind: KIND,
    describe: () => `forget the app ${app} in the database`,
    diff: async (context) =>
      Object.entries(await allValues(occOf(context), app))
        .map(([name, value]) => `-${app} ${name}: ${String(value)}\n`)
        .join(''),
    prepare: async (context) => {
      const found = await allValues(occOf(context), app);
      return Object.keys(found).length === 0 ? null : { app, values: found };
    },
    do: async (context) => {
      const occ = occOf(context);
      for (const name of Object.keys(await allValues(occ, app))) await occText(occ, ['config:app:delete', app, name]);
    },
  };
}

async function allValues(occ: Occ, app: string): Promise<z.infer<typeof values>> {
  const { apps } = await occJson(occ, ['config:list', app], listSchema);
  const found = Array.isArray(apps) ? undefined : apps[app];
  return found === undefined || Array.isArray(found) ? {} : found;
}

export const appValuesUndoer: Undoer = {
  kind: KIND,
  undo: async (context, undo) => {
    const { app, values: before } = parseInput(undoSchema, undo);
    for (const [name, value] of Object.entries(before)) {
      await occText(occOf(context), ['config:app:set', app, name, `--value=${String(value)}`]);
    }
    return null;
  },
};
