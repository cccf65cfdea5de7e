import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { LatchkeyError } from '../errors.ts';
import { processLives } from '../process-lives.ts';

/** Left free on the server's disk: a backup must not be what stops the server. */
const spareSpace = 64 * 1_048_576;
/** In a workshop: the path of the unfinished file outside it. */
const note = 'partial';

/** A private folder in the data directory; what a backup that was killed left there goes, and its unfinished file too. */
export function makeWorkshop(directory: string): string {
  for (const name of readdirSync(directory)) {
    const pid = /^\.backup-([0-9]+)$/.exec(name)?.[1];
    if (pid !== undefined && !processLives(Number(pid))) clear(join(directory, name));
  }
  const workshop = join(directory, `.backup-${process.pid}`);
  mkdirSync(workshop, { mode: 0o700 });
  return workshop;
}

/** Writes down that this workshop has made the file `partial` somewhere else. */
export function noteUnfinished(workshop: string, partial: string): void {
  writeFileSync(join(workshop, note), partial, { mode: 0o600 });
}

/** Throws `disk_too_full` unless two copies of a database of `size` bytes find room for a while. */
export async function assertSpace(directory: string, size: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const needed = 2 * size + spareSpace;
  if (bavail * bsize >= needed) return;
  throw new LatchkeyError('disk_too_full', `a backup needs ${Math.ceil(needed / 1_048_576)} MiB free for a while`, {
    exit: 3,
    hint: 'free some space on the disk of the data directory: a full disk stops the server',
  });
}

function clear(workshop: string): void {
  const partial = readNote(workshop);
  if (partial !== null) rmSync(partial, { force: true });
  rmSync(workshop, { recursive: true, force: true });
}

function readNote(workshop: string): string | null {
  try {
    const path = readFileSync(join(workshop, note), 'utf8');
    return path.endsWith('.partial') ? path : null;
  } catch {
    return null;
  }
}
