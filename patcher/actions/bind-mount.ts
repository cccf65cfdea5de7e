import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import type { Transport } from '../transports/transport.ts';
import type { Action, Undoer } from './action.ts';
import { readUndo } from './file-before.ts';

const KIND = 'bind-mount';
const undoSchema = z.strictObject({
  script: z.string(),
  folder: z.string(),
  path: z.string(),
  undoneBy: z.enum(['cover', 'uncover']),
});
const MOUNT_TIMEOUT_MS = 90_000;

/** A copy of a file that cannot be written, and the script that mounts it over the file (`hooks/cover.sh`). */
export interface Cover {
  readonly script: string;
  readonly folder: string;
  readonly path: string;
}

/** Mounts the copy over its file now, or takes it away. */
export function bindMount(cover: Cover, order: 'cover' | 'uncover'): Action {
  const { script, folder, path } = cover;
  const words = order === 'cover' ? `mount ${folder}/copy over ${path}` : `take the copy mounted over ${path} away`;
  return {
    kind: KIND,
    describe: () => words,
    diff: async ({ transport }) => ((await isCovered(transport, folder)) === (order === 'cover') ? '' : `${words}\n`),
    prepare: async ({ transport }) => {
      if ((await isCovered(transport, folder)) === (order === 'cover')) return null;
      return { script, folder, path, undoneBy: order === 'cover' ? 'uncover' : 'cover' };
    },
    do: ({ transport }) => run(transport, cover, order),
  };
}

export const bindMountUndoer: Undoer = {
  kind: KIND,
  undo: async ({ transport }, record) => {
    const { undoneBy, ...cover } = readUndo(undoSchema, record);
    if ((await transport.stat(cover.script)) === null) return `${cover.script} is gone; unmount ${cover.path} by hand`;
    await run(transport, cover, undoneBy);
    return null;
  },
};

/** The script notes where it mounts before it does, and forgets it after the last one is away. */
async function isCovered(transport: Transport, folder: string): Promise<boolean> {
  return (await transport.stat(`${folder}/mounted`)) !== null;
}

async function run(transport: Transport, cover: Cover, order: 'cover' | 'uncover'): Promise<void> {
  const { script, folder, path } = cover;
  const { exit, stderr } = await transport.run(['/bin/sh', script, order, folder, path], {
    timeoutMs: MOUNT_TIMEOUT_MS,
  });
  if (exit === 0) return;
  throw new LatchkeyError('cover_failed', `${path} could not be ${order}ed: the script ended with exit code ${exit}`, {
    hint: `run it on the server to see why: sh ${script} ${order} ${folder} ${path}`,
    extra: { exit, stderr: stderr.slice(-2000) },
  });
}
