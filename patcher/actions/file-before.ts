import * as z from 'zod';
import { sha256 } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { ORIGINAL_MAX_BYTES } from '../journal/originals.ts';
import type { FileStat, Ownership, Transport } from '../transports/transport.ts';
import type { Originals } from './action.ts';

/** A file as it was before a change: where its bytes are kept, and whose it was. */
export const fileBeforeSchema = z.strictObject({
  original: z.string(),
  sha256: z.string(),
  mode: z.number().int(),
  uid: z.number().int(),
  gid: z.number().int(),
});
export type FileBefore = z.infer<typeof fileBeforeSchema>;

export interface PlainFile {
  readonly stat: FileStat;
  readonly data: Buffer;
}

/** The file, or null; `wrong_kind` for anything else that has the name, symlinks too: they lead who knows where. */
export async function readPlainFile(transport: Transport, path: string): Promise<PlainFile | null> {
  const stat = await transport.stat(path);
  if (stat === null) return null;
  if (stat.kind !== 'file') {
    throw new LatchkeyError('wrong_kind', `${path} is there and is not a plain file`, { exit: 3 });
  }
  const data = await transport.readFile(path, { max: ORIGINAL_MAX_BYTES });
  return data === null ? null : { stat, data };
}

export async function keepOriginal(originals: Originals, path: string, file: PlainFile): Promise<FileBefore> {
  const { mode, uid, gid } = file.stat;
  return { original: await originals.save(path, file.data), sha256: hashOf(file.data), mode, uid, gid };
}

export async function putBack(
  transport: Transport,
  path: string,
  before: FileBefore,
  originals: Originals,
): Promise<void> {
  await transport.writeFileAtomic(path, await originals.load(before.original), before);
}

export function isAsBefore(file: PlainFile | null, before: FileBefore): boolean {
  return file !== null && hashOf(file.data) === before.sha256 && hasOwnership(file.stat, before);
}

export function hasOwnership(stat: FileStat, owner: Ownership): boolean {
  return stat.mode === owner.mode && stat.uid === owner.uid && stat.gid === owner.gid;
}

export function hashOf(data: Buffer): string {
  return sha256(data).toString('hex');
}

/** A record that comes back from the journal. */
export function readUndo<T>(schema: z.ZodType<T>, undo: unknown): T {
  const parsed = schema.safeParse(undo);
  if (parsed.success) return parsed.data;
  throw new LatchkeyError('journal_unreadable', 'a step in the journal is not one this ncpatch writes', { exit: 3 });
}
