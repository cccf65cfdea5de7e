import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import { refusePrivateKey } from '../journal/originals.ts';
import { checkPath, splitPath } from '../transports/transport.ts';
import type { Action, Undoer } from './action.ts';
import { fileBeforeSchema, isAsBefore, keepOriginal, putBack, readPlainFile, readUndo } from './file-before.ts';
import { unifiedDiff } from './unified-diff.ts';

const undoSchema = z.discriminatedUnion('was', [
  z.strictObject({ was: z.literal('file'), path: z.string(), before: fileBeforeSchema }),
  z.strictObject({ was: z.literal('tree'), path: z.string(), old: z.string() }),
]);

/** Removes a file, whose original is kept, or a whole folder, which is put aside until commit. */
export function removePath(path: string): Action {
  refusePrivateKey(checkPath(path));
  return {
    kind: 'remove-path',
    describe: () => `remove ${path}`,
    diff: async ({ transport }) => {
      const stat = await transport.stat(path);
      if (stat === null) return '';
      if (stat.kind !== 'file') return `removed ${path} and all below it\n`;
      return unifiedDiff(path, (await readPlainFile(transport, path))?.data ?? null, null);
    },
    prepare: async ({ transport }, originals): Promise<z.infer<typeof undoSchema> | null> => {
      const stat = await transport.stat(path);
      if (stat === null) return null;
      if (stat.kind === 'directory') {
        for (const name of (await transport.treeDigest(path))?.keys() ?? []) refusePrivateKey(name);
        const { folder, name } = splitPath(path);
        const old = `${folder === '/' ? '' : folder}/.${name}.latchkey-${originals.transaction}-old`;
        return { was: 'tree', path, old };
      }
      const file = await readPlainFile(transport, path);
      return file && { was: 'file', path, before: await keepOriginal(originals, path, file) };
    },
    do: async ({ transport }, record) => {
      const undo = readUndo(undoSchema, record);
      if (undo.was === 'file') return transport.remove(path);
      if ((await transport.stat(path)) !== null) await transport.rename(path, undo.old);
    },
  };
}

export const removePathUndoer: Undoer = {
  kind: 'remove-path',
  undo: async ({ transport }, record, originals) => {
    const undo = readUndo(undoSchema, record);
    if (undo.was === 'file') {
      const file = await readPlainFile(transport, undo.path);
      if (file !== null) return isAsBefore(file, undo.before) ? null : 'somebody else put another file there meanwhile';
      await putBack(transport, undo.path, undo.before, originals);
      return null;
    }
    if ((await transport.stat(undo.old)) === null) {
      if ((await transport.stat(undo.path)) !== null) return null;
      throw new LatchkeyError('original_missing', `the folder put aside for ${undo.path} is gone`);
    }
    if ((await transport.stat(undo.path)) !== null) return 'somebody else put something else there meanwhile';
    await transport.rename(undo.old, undo.path);
    return null;
  },
  finish: async ({ transport }, record) => {
    const undo = readUndo(undoSchema, record);
    if (undo.was === 'tree') await transport.removeTree(undo.old, { named: splitPath(undo.old).name });
  },
};
