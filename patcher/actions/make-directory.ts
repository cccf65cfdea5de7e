import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import { checkPath, type Ownership, type Transport } from '../transports/transport.ts';
import type { Action, Undoer } from './action.ts';
import { hasOwnership, readUndo } from './file-before.ts';

const undoSchema = z.strictObject({ path: z.string() });

/** A folder with this mode and owner; the one above must exist. One that is there with others is refused, not changed. */
export function makeDirectory(wanted: { path: string } & Ownership): Action {
  const { path } = wanted;
  checkPath(path);
  return {
    kind: 'make-directory',
    describe: () => `make the folder ${path}`,
    diff: async ({ transport }) => ((await isThere(transport, wanted)) ? '' : `new folder ${path}\n`),
    prepare: async ({ transport }) => ((await isThere(transport, wanted)) ? null : { path }),
    do: async ({ transport }) => void (await transport.makeDirectory(path, wanted)),
  };
}

async function isThere(transport: Transport, wanted: { path: string } & Ownership): Promise<boolean> {
  const stat = await transport.stat(wanted.path);
  if (stat === null) return false;
  if (stat.kind === 'directory' && hasOwnership(stat, wanted)) return true;
  const is =
    stat.kind === 'directory'
      ? `a folder with mode ${stat.mode.toString(8)} of ${stat.uid}:${stat.gid}`
      : `a ${stat.kind}`;
  throw new LatchkeyError('folder_differs', `${wanted.path} is there already as ${is}`, {
    exit: 3,
    hint: `it must be a folder with mode ${wanted.mode.toString(8)} of ${wanted.uid}:${wanted.gid}`,
  });
}

export const makeDirectoryUndoer: Undoer = {
  kind: 'make-directory',
  undo: async ({ transport }, record) => {
    const { path } = readUndo(undoSchema, record);
    const stat = await transport.stat(path);
    if (stat === null) return null;
    if (stat.kind !== 'directory') return 'is no folder any more';
    if ((await transport.list(path))?.length !== 0) return 'is not empty';
    await transport.remove(path);
    return null;
  },
};
