import { closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { LatchkeyError } from './errors.ts';

const BUSY = 5; // SQLITE_BUSY, https://www.sqlite.org/rescode.html#busy

/**
 * Holds a file, made if need be, against everybody else who does so, and answers what lets it go; `null` while another holds it. The
 * lock is the kernel's, by way of SQLite, and the file stays empty: a process that dies holds nothing. Throws `file_not_written`.
 */
export function holdFile(path: string): (() => void) | null {
  let lock: DatabaseSync | null = null;
  try {
    makePrivately(path);
    lock = new DatabaseSync(path);
    lock.exec('BEGIN EXCLUSIVE');
    return lock.close.bind(lock);
  } catch (cause) {
    lock?.close();
    const { errcode, code } = cause as { errcode?: number; code?: string };
    if (errcode === BUSY) return null;
    const why = errcode ?? code ?? 'unknown';
    throw new LatchkeyError('file_not_written', `${path} could not be locked (${why})`, { cause });
  }
}

/** For its owner alone: whoever may read a file may lock it. */
function makePrivately(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
