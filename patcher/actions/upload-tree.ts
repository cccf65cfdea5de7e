import * as z from 'zod';
import { sha256 } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import {
  checkPath,
  type FileDigest,
  type Ownership,
  splitPath,
  type Transport,
  type TreeFile,
} from '../transports/transport.ts';
import type { Action, ActionContext, Undoer } from './action.ts';
import { hashOf, readUndo } from './file-before.ts';
import { unifiedDiff } from './unified-diff.ts';

const undoSchema = z.strictObject({
  path: z.string(),
  /** Beside `path`: the new tree before the swap, and the old one after it until commit. */
  staged: z.string(),
  old: z.string(),
  had: z.boolean(),
  /** Digest of the new tree, so that a tree somebody else put there is not taken for ours. */
  after: z.string(),
});
type TreeUndo = z.infer<typeof undoSchema>;

export interface WantedTree extends Ownership {
  readonly path: string;
  readonly files: readonly TreeFile[];
}

/** Longest diff of one file that is shown. */
const DIFF_MAX_BYTES = 256 * 1024;

/**
 * A folder with exactly these files. The new tree is staged beside the old one and swapped in by renames; in the moment
 * between the two renames there is no such folder, which a cut connection may stretch until the undo.
 */
export function uploadTree(wanted: WantedTree): Action {
  const { path, files } = wanted;
  const { folder, name } = splitPath(checkPath(path));
  const after = digestOf(new Map(files.map((file) => [file.path, { sha256: hashOf(file.data), mode: file.mode }])));
  return {
    kind: 'upload-tree',
    describe: () => `put ${files.length} files into ${path}`,
    diff: ({ transport }) => describeChanges(transport, wanted),
    prepare: async ({ transport }, { transaction }): Promise<TreeUndo | null> => {
      const stat = await transport.stat(path);
      if (stat !== null && stat.kind !== 'directory') {
        throw new LatchkeyError('wrong_kind', `${path} is there and is not a folder`, { exit: 3 });
      }
      const owned = stat?.mode === wanted.mode && stat.uid === wanted.uid && stat.gid === wanted.gid;
      if (owned && (await treeDigestOf(transport, path)) === after) return null;
      const beside = `${folder === '/' ? '' : folder}/.${name}.latchkey-${transaction}`;
      return { path, staged: `${beside}-new`, old: `${beside}-old`, had: stat !== null, after };
    },
    do: async ({ transport }, record) => {
      const undo = readUndo(undoSchema, record);
      const now = await look(transport, undo);
      if (now.path && !now.staged && (await treeDigestOf(transport, path)) === after) return;
      if (!now.staged) await transport.uploadTree(undo.staged, files, wanted);
      if (undo.had && !now.old) await transport.rename(path, undo.old);
      await transport.rename(undo.staged, path);
    },
  };
}

export const uploadTreeUndoer: Undoer = {
  kind: 'upload-tree',
  undo: async ({ transport }, record) => {
    const undo = readUndo(undoSchema, record);
    const { path, staged, old, after } = undo;
    const now = await look(transport, undo);
    const swapped = now.path && (undo.had ? now.old : !now.staged);
    if (swapped) {
      if ((await treeDigestOf(transport, path)) !== after) return 'was changed by somebody else meanwhile';
      await transport.rename(path, staged);
    }
    if (now.old && (swapped || !now.path)) await transport.rename(old, path);
    await transport.removeTree(staged, { named: splitPath(staged).name });
    return null;
  },
  finish: ({ transport }: ActionContext, record) => {
    const { old } = readUndo(undoSchema, record);
    return transport.removeTree(old, { named: splitPath(old).name });
  },
};

async function look(transport: Transport, undo: TreeUndo): Promise<{ path: boolean; staged: boolean; old: boolean }> {
  const there = async (path: string) => (await transport.stat(path)) !== null;
  return { path: await there(undo.path), staged: await there(undo.staged), old: await there(undo.old) };
}

async function treeDigestOf(transport: Transport, path: string): Promise<string> {
  return digestOf((await transport.treeDigest(path)) ?? new Map());
}

function digestOf(tree: ReadonlyMap<string, FileDigest>): string {
  const lines = [...tree].map(([name, file]) => `${JSON.stringify(name)} ${file.mode.toString(8)} ${file.sha256}\n`);
  return sha256(lines.sort().join('')).toString('hex');
}

async function describeChanges(transport: Transport, { path, files }: WantedTree): Promise<string> {
  const present = (await transport.treeDigest(path)) ?? new Map<string, FileDigest>();
  const wanted = new Set(files.map((file) => file.path));
  const parts: string[] = [];
  for (const file of files) {
    const there = present.get(file.path);
    if (there?.sha256 === hashOf(file.data)) {
      if (there.mode !== file.mode)
        parts.push(`mode of ${path}/${file.path}: ${there.mode.toString(8)} becomes ${file.mode.toString(8)}\n`);
    } else if (there === undefined) {
      parts.push(`new file ${path}/${file.path} (${file.data.length} bytes)\n`);
    } else {
      parts.push(await diffOf(transport, `${path}/${file.path}`, file.data));
    }
  }
  for (const name of [...present.keys()].filter((entry) => !wanted.has(entry)).sort())
    parts.push(`removed ${path}/${name}\n`);
  return parts.join('');
}

async function diffOf(transport: Transport, path: string, after: Buffer): Promise<string> {
  const stat = await transport.stat(path);
  if (stat?.kind !== 'file' || Math.max(stat.size, after.length) > DIFF_MAX_BYTES) return `changed ${path}\n`;
  return unifiedDiff(path, await transport.readFile(path, { max: DIFF_MAX_BYTES }), after);
}
