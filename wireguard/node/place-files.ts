import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { LatchkeyError } from '../../platform/errors.ts';
import { writeFileAtomic } from '../../platform/files.ts';

/** A file of a service, with the place where it belongs. */
export interface PlacedFile {
  readonly path: string;
  readonly text: string;
}

/**
 * Writes files of services to their places, over what an earlier version of them was, which bears our name. Throws `file_foreign` (exit 3)
 * before anything is written when another's is there, and `file_not_written`.
 */
export function placeFiles(files: readonly PlacedFile[]): void {
  for (const { path } of files) {
    if (!existsSync(path) || /latchkey/i.test(readFileSync(path, 'utf8'))) continue;
    throw new LatchkeyError('file_foreign', `${path} is there already, and not of this`, {
      exit: 3,
      hint: 'look at it, and move it away',
    });
  }
  for (const { path, text } of files) {
    makeFolder(dirname(path));
    writeFileAtomic(path, text, { mode: 0o644 });
  }
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new LatchkeyError('file_not_written', `${path} could not be made (${code ?? 'unknown'})`, { cause });
  }
}
