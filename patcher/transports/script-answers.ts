import { LatchkeyError } from '../../platform/errors.ts';
import type { FileDigest, FileEntry, FileKind, FileStat } from './transport.ts';

/** Reading what the scripts of target-scripts.ts print. All of it is matched exactly; anything else is `target_answer`. */

const FIELDS = /^([0-9a-f]{1,8}):([0-9]{1,10}):([0-9]{1,10}):([0-9]{1,19}):(-?[0-9]{1,19}):([^:]*):([^:]*)$/;

/** The file type bits of st_mode, inode(7). */
const KINDS: ReadonlyMap<number, FileKind> = new Map([
  [0o10, 'file'],
  [0o04, 'directory'],
  [0o12, 'symlink'],
]);

function confused(): LatchkeyError {
  return new LatchkeyError('target_answer', 'the target answered in a form that is not understood', {
    hint: 'its stat, find or sha256sum may not be the ones of coreutils or busybox',
  });
}

/** One line of `stat -c %f:%u:%g:%s:%Y:%U:%G`. */
export function parseStat(line: string): FileStat {
  const match = FIELDS.exec(line);
  if (match === null) throw confused();
  const [, raw = '', uid, gid, size, mtime, owner = '', group = ''] = match;
  const bits = Number.parseInt(raw, 16);
  return {
    kind: KINDS.get(bits >> 12) ?? 'other',
    mode: bits & 0o7777,
    uid: Number(uid),
    gid: Number(gid),
    owner,
    group,
    size: Number(size),
    mtime: Number(mtime),
  };
}

/**
 * Batches of `lines NUL names NUL`; null when a batch has not one line for each name, because a file vanished between
 * two looks.
 */
export function parseList(output: Buffer): FileEntry[] | null {
  const entries: FileEntry[] = [];
  const parts = splitNul(output);
  while (parts.length > 0) {
    const lines = linesOf(parts.shift());
    const names = takeNames(parts);
    if (lines.length !== names.length) return null;
    names.forEach((name, index) => {
      entries.push({ name, ...parseStat(lines[index] ?? '') });
    });
  }
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Batches of `modes NUL hashes NUL names NUL`, then NUL NUL and the names of what is neither file nor folder. */
export function parseDigest(output: Buffer): Map<string, FileDigest> {
  const found = new Map<string, FileDigest>();
  const parts = splitNul(output);
  while (parts.length > 0 && parts[0] !== '') {
    const modes = linesOf(parts.shift());
    const hashes = linesOf(parts.shift());
    const names = takeNames(parts);
    if (modes.length !== names.length || hashes.length !== names.length) throw confused();
    names.forEach((name, index) => {
      const sha256 = /^\\?([0-9a-f]{64}) /.exec(hashes[index] ?? '')?.[1];
      const mode = modes[index] ?? '';
      if (sha256 === undefined || !/^[0-7]{1,4}$/.test(mode)) throw confused();
      found.set(name, { sha256, mode: Number.parseInt(mode, 8) });
    });
  }
  if (parts.shift() !== '' || parts.shift() !== '') throw confused();
  for (const name of parts) found.set(nameOf(name), { sha256: '', mode: 0 });
  return found;
}

function splitNul(output: Buffer): string[] {
  if (output.length === 0) return [];
  if (output.at(-1) !== 0) throw confused();
  return output.toString('utf8').split('\0').slice(0, -1);
}

function linesOf(text: string | undefined): string[] {
  return (text ?? '').split('\n').slice(0, -1);
}

function takeNames(parts: string[]): string[] {
  const end = parts.indexOf('');
  if (end < 0) throw confused();
  return parts
    .splice(0, end + 1)
    .slice(0, -1)
    .map(nameOf);
}

/** `find .` names start with `./`. */
function nameOf(path: string): string {
  if (!path.startsWith('./')) throw confused();
  return path.slice(2);
}
