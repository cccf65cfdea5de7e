import * as z from 'zod';
import { refusePrivateKey } from '../journal/originals.ts';
import { checkPath, type Ownership } from '../transports/transport.ts';
import type { Action, Undoer } from './action.ts';
import {
  fileBeforeSchema,
  hashOf,
  hasOwnership,
  isAsBefore,
  keepOriginal,
  putBack,
  readPlainFile,
  readUndo,
} from './file-before.ts';
import { unifiedDiff } from './unified-diff.ts';

const undoSchema = z.strictObject({
  path: z.string(),
  before: fileBeforeSchema.nullable(),
  /** What we wrote, so that another's later change is not undone with ours. */
  after: z.string(),
});

/** A file with this content, mode and owner; its folder must exist. */
export function writeFile(wanted: { path: string; data: Buffer } & Ownership): Action {
  const { path, data } = wanted;
  refusePrivateKey(checkPath(path));
  return {
    kind: 'write-file',
    describe: () => `write ${path}`,
    diff: async ({ transport }) => {
      const file = await readPlainFile(transport, path);
      const changes = unifiedDiff(path, file?.data ?? null, data);
      if (changes !== '' || file === null || hasOwnership(file.stat, wanted)) return changes;
      return `mode and owner of ${path}: ${owned(file.stat)} becomes ${owned(wanted)}\n`;
    },
    prepare: async ({ transport }, originals) => {
      const file = await readPlainFile(transport, path);
      if (file?.data.equals(data) && hasOwnership(file.stat, wanted)) return null;
      const before = file === null ? null : await keepOriginal(originals, path, file);
      return { path, before, after: hashOf(data) };
    },
    do: ({ transport }) => transport.writeFileAtomic(path, data, wanted),
  };
}

function owned({ mode, uid, gid }: Ownership): string {
  return `${mode.toString(8)} ${uid}:${gid}`;
}

export const writeFileUndoer: Undoer = {
  kind: 'write-file',
  undo: async ({ transport }, record, originals) => {
    const { path, before, after } = readUndo(undoSchema, record);
    const file = await readPlainFile(transport, path);
    if (before === null ? file === null : isAsBefore(file, before)) return null;
    if (file === null) return 'was removed by somebody else meanwhile';
    if (hashOf(file.data) !== after && hashOf(file.data) !== before?.sha256)
      return 'was changed by somebody else meanwhile';
    if (before === null) await transport.remove(path);
    else await putBack(transport, path, before, originals);
    return null;
  },
};
