import { LatchkeyError } from '../../platform/errors.ts';
import { patchFile, sha512, unpatchFile } from '../hooks/file-patch.ts';
import { readHook } from '../hooks/hook-definition.ts';
import type { RunPhp } from '../targets/target.ts';
import { checkPath, type Transport } from '../transports/transport.ts';
import type { Action } from './action.ts';
import { fileBeforeSchema, hashOf, keepOriginal, type PlainFile, readPlainFile, readUndo } from './file-before.ts';
import { unifiedDiff } from './unified-diff.ts';

/** A file of Nextcloud that gets a hook, or is freed of it. Hashes are SHA-512. */
export interface PatchOrder {
  readonly path: string;
  /** What it may be now. */
  readonly before: readonly string[];
  readonly after: string;
  readonly major: number;
  /** Where the result goes, if not to `path` itself. */
  readonly to?: string;
}

/**
 * Puts the hook `core` into a file, or takes it out, when the file is what the plan saw and becomes what the plan wants.
 * With `runPhp` PHP reads the result before it goes live. It is undone as any written file is.
 */
export function changeCoreFile(order: PatchOrder & { readonly want: 'hook' | 'stock' }, runPhp: RunPhp | null): Action {
  const { path, want } = order;
  const to = order.to ?? path;
  checkPath(path);
  checkPath(to);
  const words = want === 'hook' ? `put the hook into ${path}` : `take the hook out of ${path}`;
  return {
    kind: 'write-file',
    describe: () => (to === path ? words : `${words}, in a copy at ${to}`),
    diff: async ({ transport }) => {
      const { data } = await fileOf(transport, path);
      return unifiedDiff(path, data, await changed(order, data));
    },
    prepare: async ({ transport }, originals) => {
      const { data } = await fileOf(transport, path);
      const after = await changed(order, data);
      const there = await readPlainFile(transport, to);
      if (there?.data.equals(after)) return null;
      return { path: to, before: there && (await keepOriginal(originals, to, there)), after: hashOf(after) };
    },
    do: async ({ transport }, record) => {
      const { data } = await fileOf(transport, path);
      const after = await changed(order, data);
      if (runPhp !== null) await assertPhpReads(runPhp, after, path);
      const before = readUndo(fileBeforeSchema.nullable(), record.before);
      // a new time of change, so that what PHP has compiled is looked at anew
      await transport.writeFileAtomic(to, after, before ?? { mode: 0o644, uid: 0, gid: 0 });
    },
  };
}

async function fileOf(transport: Transport, path: string): Promise<PlainFile> {
  const file = await readPlainFile(transport, path);
  if (file !== null) return file;
  throw new LatchkeyError('core_file_missing', `${path} is not there`, { exit: 3 });
}

async function changed(order: PatchOrder & { want: 'hook' | 'stock' }, data: Buffer): Promise<Buffer> {
  const now = sha512(data);
  if (now === order.after) return data;
  const hook = await readHook('core');
  const original = unpatchFile(hook, data) ?? data;
  const result = order.want === 'stock' ? original : patchFile(hook, original, order.major);
  if (order.before.includes(now) && sha512(result) === order.after) return result;
  throw new LatchkeyError('core_file_changed', `${order.path} was changed by somebody else meanwhile`, {
    exit: 3,
    hint: 'look again with "ncpatch plan --hook core"',
  });
}

async function assertPhpReads(runPhp: RunPhp, data: Buffer, path: string): Promise<void> {
  const { exit } = await runPhp(['-l'], { input: data.toString('utf8') });
  if (exit === 0) return;
  throw new LatchkeyError(
    'patched_file_broken',
    `php does not read the changed ${path} ("php -l" ended with ${exit})`,
    {
      hint: 'nothing was changed; use --hook app',
    },
  );
}
