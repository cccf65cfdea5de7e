import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import { parseInput } from '../../platform/schema.ts';
import { occText } from '../occ.ts';
import type { Action, Undoer } from './action.ts';
import { appValue, occOf } from './app-values.ts';

const KIND = 'app_switch';
const undoSchema = z.object({ app: z.string(), before: z.string().nullable() });

/** Switches an app of Nextcloud on or off. */
export function switchApp(app: string, to: 'on' | 'off'): Action {
  const wanted = to === 'on' ? 'yes' : 'no';
  const describe = (): string =>
    `${to === 'on' ? 'enable' : 'disable'} the app ${app}: occ app:${to === 'on' ? 'enable' : 'disable'} ${app}`;
  return {
    kind: KIND,
    describe,
    diff: async (context) => {
      const before = await appValue(occOf(context), app, 'enabled');
      return before === wanted ? '' : `-${app} enabled: ${before ?? '(never)'}\n+${app} enabled: ${wanted}\n`;
    },
    prepare: async (context) => {
      const before = await appValue(occOf(context), app, 'enabled');
      return before === wanted ? null : { app, before };
    },
    do: async (context) => {
      const occ = occOf(context);
      await occText(occ, [to === 'on' ? 'app:enable' : 'app:disable', app], { timeoutMs: 300_000 });
      if ((await appValue(occ, app, 'enabled')) !== wanted) {
        throw new LatchkeyError('app_not_switched', `nextcloud did not switch the app ${app} ${to}`, {
          hint: 'look into nextcloud.log for what it says of the app',
        });
      }
    },
  };
}

export const appSwitchUndoer: Undoer = {
  kind: KIND,
  undo: async (context, undo) => {
    const { app, before } = parseInput(undoSchema, undo);
    const occ = occOf(context);
    const now = await appValue(occ, app, 'enabled');
    if (before === null) {
      if (now === 'yes') await occText(occ, ['app:disable', app]);
      // "enabled" last: an undo that was cut among these must not look done to the next
      for (const name of ['installed_version', 'types', 'enabled']) await occ(['config:app:delete', app, name]);
    } else if (now !== before) {
      await occText(occ, [before === 'yes' ? 'app:enable' : 'app:disable', app], { timeoutMs: 300_000 });
    }
    return null;
  },
};
