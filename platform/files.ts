import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { LatchkeyError } from './errors.ts';

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown';
}

/** Has what was renamed, made or removed in a folder outlive a power cut. */
export function syncFolder(path: string): void {
  const folder = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // the error that led here is the one to tell
  }
}

function writeWhole(path: string, flags: number, mode: number, data: string | Uint8Array): void {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  const file = openSync(path, flags, mode);
  try {
    fchmodSync(file, mode);
    for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/**
 * Replaces `path` so that a crash at any moment leaves the old content or the new, never a mixture: temporary file in
 * the same folder, fsync, rename, fsync of the folder.
 */
export function writeFileAtomic(path: string, data: string | Uint8Array, options: { readonly mode: number }): void {
  const temporary = `${path}.${process.pid}.new`;
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants;
  try {
    writeWhole(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, options.mode, data);
    renameSync(temporary, path);
    syncFolder(dirname(path));
  } catch (error) {
    removeQuietly(temporary);
    throw notWritten(path, error);
  }
}

/** Makes a file that holds a secret: it must not exist yet (`file_exists`), is 0600 and on disk when this returns. */
export function createSecretFile(path: string, data: string | Uint8Array): void {
  const { O_WRONLY, O_CREAT, O_EXCL } = constants;
  try {
    writeWhole(path, O_WRONLY | O_CREAT | O_EXCL, 0o600, data);
    syncFolder(dirname(path));
  } catch (error) {
    if (codeOf(error) === 'EEXIST') {
      throw new LatchkeyError('file_exists', `${path} is there already and is never overwritten`, {
        exit: 3,
        cause: error,
      });
    }
    throw notWritten(path, error);
  }
}

/** Makes a folder of its owner's alone, and those above it; one that is there stays as it is. Throws `file_not_written`. */
export function makePrivateFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw notWritten(path, error);
  }
}

function notWritten(path: string, cause: unknown): LatchkeyError {
  const code = codeOf(cause);
  const hint = code === 'ENOENT' ? { hint: `make the folder ${dirname(path)} first` } : {};
  return new LatchkeyError('file_not_written', `${path} could not be written (${code})`, { ...hint, cause });
}

/**
 * Reads a file that holds a secret. Refused are: no plain file, one that others may read (`file_too_open`, exit 3), one
 * larger than `max` bytes. The checks are made on the opened file, not on its name.
 */
export function readSecretFile(path: string, options: { readonly max?: number } = {}): Buffer {
  const max = options.max ?? 1_048_576;
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY);
  } catch (error) {
    throw new LatchkeyError('file_not_read', `${path} could not be read (${codeOf(error)})`, { cause: error });
  }
  try {
    const state = fstatSync(file);
    if (!state.isFile()) throw new LatchkeyError('file_not_read', `${path} is not a plain file`);
    if ((state.mode & 0o077) !== 0) {
      throw new LatchkeyError(
        'file_too_open',
        `${path} can be read by others (mode ${(state.mode & 0o777).toString(8)})`,
        {
          exit: 3,
          hint: `chmod 600 ${path}`,
        },
      );
    }
    if (state.size > max) throw new LatchkeyError('file_not_read', `${path} is larger than ${max} bytes`);
    const data = Buffer.alloc(state.size);
    let filled = 0;
    while (filled < data.length) {
      const count = readSync(file, data, filled, data.length - filled, null);
      if (count === 0) break;
      filled += count;
    }
    return data.subarray(0, filled);
  } finally {
    closeSync(file);
  }
}
