import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import { checkPath, type Transport } from '../transports/transport.ts';
import type { Action, Undoer } from './action.ts';
import { readUndo } from './file-before.ts';

const undoSchema = z.strictObject({ path: z.string(), owner: z.string(), before: z.number(), after: z.number() });

/**
 * Another mode for a file or folder that is there, and nothing else about it: its content is neither read nor kept. Done as
 * its owner, who can change what is theirs only, wherever a link that was put there meanwhile may lead.
 */
export function setMode(wanted: { path: string; mode: number; owner: string }): Action {
  const { path, mode, owner } = wanted;
  checkPath(path);
  return {
    kind: 'set-mode',
    describe: () => `set the mode of ${path} to ${mode.toString(8)}`,
    diff: async ({ transport }) => {
      const before = await modeOf(transport, path, owner);
      return before === mode ? '' : `mode of ${path}: ${before.toString(8)} becomes ${mode.toString(8)}\n`;
    },
    prepare: async ({ transport }) => {
      const before = await modeOf(transport, path, owner);
      return before === mode ? null : { path, owner, before, after: mode };
    },
    do: ({ transport }) => change(transport, path, mode, owner),
  };
}

export const setModeUndoer: Undoer = {
  kind: 'set-mode',
  undo: async ({ transport }, record) => {
    const { path, owner, before, after } = readUndo(undoSchema, record);
    const stat = await transport.stat(path);
    if (stat === null) return 'was removed by somebody else meanwhile';
    if (stat.owner !== owner || (stat.mode !== before && stat.mode !== after))
      return 'was changed by somebody else meanwhile';
    if (stat.mode === after) await change(transport, path, before, owner);
    return null;
  },
};

/** Refuses what is neither file nor folder, and what belongs to another. */
async function modeOf(transport: Transport, path: string, owner: string): Promise<number> {
  const stat = await transport.stat(path);
  if (stat === null || (stat.kind !== 'file' && stat.kind !== 'directory') || stat.owner !== owner) {
    throw new LatchkeyError('wrong_kind', `${path} is no file or folder of ${owner}`, { exit: 3 });
  }
  return stat.mode;
}

async function change(transport: Transport, path: string, mode: number, owner: string): Promise<void> {
  const result = await transport.run(['chmod', mode.toString(8), path], { as: owner });
  if (result.exit === 0 && (await transport.stat(path))?.mode === mode) return;
  throw new LatchkeyError('target_failed', `the mode of ${path} could not be changed`, {
    extra: { exit: result.exit, stderr: result.stderr.slice(-2000) },
  });
}
