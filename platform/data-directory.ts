import { existsSync, lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { LatchkeyError } from './errors.ts';

/** Where file modes say nothing of who may read, no secret is kept. Throws `system_unfit` (exit 3). */
export function assertModesCount(platform: string): void {
  if (platform !== 'win32') return;
  throw new LatchkeyError('system_unfit', 'on Windows itself nothing keeps others from the files of a server', {
    exit: 3,
    hint: 'run it in WSL 2, which is Linux: see "On Windows" in the README of keyserver',
  });
}

/** Throws `data_exists` (exit 3) unless there is nothing at `path`, or an empty private directory: `init` never touches a server. */
export function assertNewDirectory(path: string): void {
  assertModesCount(process.platform);
  const directory = resolve(path);
  if (!existsSync(directory)) return;
  checkDirectory(directory);
  if (readdirSync(directory).length === 0) return;
  throw new LatchkeyError('data_exists', `${directory} is not empty`, { exit: 3, hint: 'choose a new directory' });
}

/** Makes the data directory of a new server, 0700, or takes an empty one that is. Answers the absolute path. */
export function createDataDirectory(path: string): string {
  const directory = resolve(path);
  assertNewDirectory(directory);
  if (existsSync(directory)) return directory;
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    throw new LatchkeyError('data_not_created', `${directory} could not be made (${code})`, { cause });
  }
  checkDirectory(directory);
  return directory;
}

/**
 * The absolute path of a data directory that is there; `whole` are files without which it is none, and `what` it should be:
 * `key server`. Throws `data_missing`, `data_too_open`.
 */
export function openDirectory(path: string, whole: readonly string[], what: string, program: string): string {
  const directory = resolve(path);
  if (whole.some((name) => !existsSync(join(directory, name)))) {
    throw new LatchkeyError('data_missing', `${directory} holds no ${what}`, {
      hint: `make one with ${program} init, or check --data`,
    });
  }
  checkDirectory(directory);
  return directory;
}

/** What is wrong with the directory's owner and mode, in words, or `null`. */
export function directoryFault(directory: string): string | null {
  const state = lstatSync(directory);
  if (!state.isDirectory()) return 'is not a directory';
  if ((state.mode & 0o077) !== 0) return `can be entered by others (mode ${(state.mode & 0o777).toString(8)})`;
  if (process.getuid !== undefined && state.uid !== process.getuid()) return 'belongs to another user';
  return null;
}

function checkDirectory(directory: string): void {
  assertModesCount(process.platform);
  const fault = directoryFault(directory);
  if (fault === null) return;
  throw new LatchkeyError('data_too_open', `${directory} ${fault}`, { exit: 3, hint: `chmod 700 ${directory}` });
}
