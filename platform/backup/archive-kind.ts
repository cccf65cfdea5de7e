import { LatchkeyError } from '../errors.ts';

/** What a backup is of. */
export interface ArchiveKind {
  /** First in the file, in clear: what it is. What follows on the same line tells how it is closed. */
  readonly magic: string;
  /** In a sentence: `a key server`. */
  readonly words: string;
  /** By which name the manifest calls what tells one server from another: `url`. */
  readonly subject: string;
}

/** A file that cannot be read as a backup, or not any more. */
export function damaged(what: string, cause?: unknown): LatchkeyError {
  return new LatchkeyError('backup_damaged', `the file ${what}`, { hint: 'take another backup', cause });
}

/** A file that says of itself that it is something else. */
export function noBackupOf(kind: ArchiveKind): LatchkeyError {
  return damaged(`is no backup of ${kind.words}`);
}
