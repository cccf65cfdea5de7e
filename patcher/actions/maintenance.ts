import * as z from 'zod';
import { occText } from '../occ.ts';
import type { Action, ActionContext, Undoer } from './action.ts';
import { appValue, occOf } from './app-values.ts';
import { readUndo } from './file-before.ts';

const KIND = 'maintenance';
const undoSchema = z.strictObject({ app: z.string(), before: z.boolean() });

/**
 * Longer than workers of the web server go on with what they have cached: values of the database (3 s, Nextcloud 32) before
 * opening, config.php (`opcache.revalidate_freq`, 2 s unless set) after closing.
 */
const SETTLE_SECONDS = '4';

/**
 * Puts Nextcloud into maintenance mode while `app` is away or being replaced. Stock Nextcloud, which has no key then,
 * would empty an encrypted file that somebody overwrites.
 */
export function closeWeb(app: string): Action {
  return switchMaintenance(app, true, 'close the web while the app is replaced: occ maintenance:mode --on');
}

/** Ends what `closeWeb` began, once `app` is shown to work. */
export function openWeb(app: string): Action {
  return switchMaintenance(app, false, 'open the web again: occ maintenance:mode --off');
}

function switchMaintenance(app: string, wanted: boolean, what: string): Action {
  return {
    kind: KIND,
    describe: () => what,
    diff: async (context) =>
      (await isClosed(context)) === wanted
        ? ''
        : `-maintenance mode: ${words(!wanted)}\n+maintenance mode: ${words(wanted)}\n`,
    prepare: async (context) => {
      const before = await isClosed(context);
      return before === wanted ? null : { app, before };
    },
    do: (context) => setClosed(context, wanted),
  };
}

export const maintenanceUndoer: Undoer = {
  kind: KIND,
  undo: async (context, record) => {
    const { app, before } = readUndo(undoSchema, record);
    if ((await isClosed(context)) === before) return null;
    // open again only where that is safe: a rollback may have put back a state without the app
    if (!before && !(await isInPlace(context, app))) {
      return `without the app files that are overwritten would be lost; "ncpatch apply" mends it, "occ maintenance:mode --off" opens it anyway`;
    }
    await setClosed(context, before);
    return null;
  },
};

/** Whether Nextcloud is in maintenance mode. */
export async function isClosed(context: ActionContext): Promise<boolean> {
  const { exit, stdout } = await occOf(context)(['config:system:get', 'maintenance']);
  return exit === 0 && stdout.toString('utf8').trim() === 'true';
}

async function isInPlace(context: ActionContext, app: string): Promise<boolean> {
  const occ = occOf(context);
  return (await appValue(occ, app, 'enabled')) === 'yes' && (await occ(['app:getpath', app])).exit === 0;
}

async function setClosed(context: ActionContext, closed: boolean): Promise<void> {
  const settle = () => context.transport.run(['sleep', SETTLE_SECONDS]);
  if (!closed) await settle();
  await occText(occOf(context), ['maintenance:mode', closed ? '--on' : '--off']);
  if (closed) await settle();
}

function words(closed: boolean): string {
  return closed ? 'on' : 'off';
}
