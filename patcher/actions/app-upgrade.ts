import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import { parseInput } from '../../platform/schema.ts';
import { occText } from '../occ.ts';
import type { Action, Undoer } from './action.ts';
import { appValue, occOf } from './app-values.ts';
import { isClosed } from './maintenance.ts';

const KIND = 'app_upgrade';
const undoSchema = z.object({ app: z.string(), from: z.string(), maintenance: z.boolean().default(false) });
const UPGRADE_TIMEOUT_MS = 1_800_000;

/**
 * Lets Nextcloud take over the version of an enabled app whose files were just replaced. Until that is done it answers
 * nobody ("needs upgrade"), which is why both belong into one transaction.
 */
export function upgradeApp(app: string, to: string): Action {
  return {
    kind: KIND,
    describe: () => `let nextcloud take over ${app} ${to}: occ upgrade`,
    diff: async (context) => {
      const before = await appValue(occOf(context), app, 'installed_version');
      return before === to
        ? ''
        : `-${app} installed_version: ${before ?? '(none)'}\n+${app} installed_version: ${to}\n`;
    },
    prepare: async (context) => {
      const from = await appValue(occOf(context), app, 'installed_version');
      if (from === null || from === to) return null;
      return { app, from, maintenance: await isClosed(context) };
    },
    do: async (context) => {
      const occ = occOf(context);
      if ((await appValue(occ, app, 'installed_version')) === to) return;
      const { exit } = await occ(['upgrade'], { timeoutMs: UPGRADE_TIMEOUT_MS });
      if ((await appValue(occ, app, 'installed_version')) !== to) {
        throw new LatchkeyError(
          'upgrade_failed',
          `"occ upgrade" ended with exit code ${exit} and without ${app} ${to}`,
          {
            hint: 'run "occ upgrade" on the server to see why',
          },
        );
      }
    },
  };
}

export const appUpgradeUndoer: Undoer = {
  kind: KIND,
  undo: async (context, undo) => {
    const { app, from, maintenance } = parseInput(undoSchema, undo);
    const occ = occOf(context);
    if ((await appValue(occ, app, 'installed_version')) !== from) {
      await occText(occ, ['config:app:set', app, 'installed_version', `--value=${from}`]);
    }
    // an upgrade that broke off leaves it on
    if (!maintenance) await occText(occ, ['maintenance:mode', '--off']);
    return null;
  },
};
