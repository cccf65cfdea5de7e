import { existsSync, lstatSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { LatchkeyError } from '../platform/errors.ts';

/** The files of a data directory, besides `config.json` and `vault.json`. */
export const databaseFile = (directory: string): string => join(directory, 'keyserver.db');
export const authorityFile = (directory: string): string => join(directory, 'ca.pem');
export const auditKeyFile = (directory: string): string => join(directory, 'audit.pub');
/** What other programs may read: certificates that no longer hold (RFC 5280), signed. */
export const revocationListFile = (directory: string, form: 'pem' | 'der'): string => join(directory, `crl.${form}`);
export const killFile = (directory: string): string => join(directory, 'KILL');

/** Throws `data_exists` (exit 3) unless there is nothing at `path`, or an empty private directory: `init` never touches a server. */
export function assertNewDirectory(path: string): void {
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

/** The absolute path of a server's data directory; a server never makes one. Throws `data_missing`, `data_too_open`. */
export function openDataDirectory(path: string): string {
  const directory = resolve(path);
  if (!existsSync(join(directory, 'config.json')) || !existsSync(join(directory, 'vault.json'))) {
    throw new LatchkeyError('data_missing', `${directory} holds no key server`, {
      hint: 'make one with keyserver init, or check --data',
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

/** Files in the directory that others may read, by name; public ones do not count. */
export function openFiles(directory: string): string[] {
  const open = ['ca.pem', 'audit.pub', 'crl.pem', 'crl.der'];
  return readdirSync(directory).filter((name) => {
    return !open.includes(name) && (statSync(join(directory, name)).mode & 0o077) !== 0;
  });
}

function checkDirectory(directory: string): void {
  const fault = directoryFault(directory);
  if (fault === null) return;
  throw new LatchkeyError('data_too_open', `${directory} ${fault}`, { exit: 3, hint: `chmod 700 ${directory}` });
}

/** Whether the operator laid a file named KILL into the directory: then nothing is released. */
export function isKillFilePresent(directory: string): boolean {
  return existsSync(killFile(directory));
}

/** `isKillFilePresent` for a running server: one look serves all requests that are heard in the same turn. */
export function killFileLook(directory: string): () => boolean {
  let isKnown = false;
  let isPresent = false;
  return () => {
    if (isKnown) return isPresent;
    isPresent = isKillFilePresent(directory);
    isKnown = true;
    setImmediate(() => {
      isKnown = false;
    });
    return isPresent;
  };
}
