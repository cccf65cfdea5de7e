import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { LatchkeyError } from '../../platform/errors.ts';
import { type Host, parseInventory } from './inventory.ts';

const MAX_BYTES = 1_048_576;

/** Where an inventory is looked for when none is named. */
export function defaultInventory(env: Readonly<Record<string, string | undefined>>): string {
  const folder = env.XDG_CONFIG_HOME ?? '';
  return join(folder.startsWith('/') ? folder : join(env.HOME ?? '/', '.config'), 'latchkey', 'inventory.json');
}

/**
 * Reads an inventory. It says which hosts are trusted and where sudo is used, so that one which others may write is
 * refused (`file_too_open`, exit 3).
 */
export function readInventory(path: string): Host[] {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    throw new LatchkeyError('file_not_read', `the inventory ${path} could not be read (${code})`, {
      exit: 2,
      field: '--inventory',
      cause: error,
    });
  }
  try {
    const state = fstatSync(file);
    if (!state.isFile() || state.size > MAX_BYTES) {
      throw new LatchkeyError('file_not_read', `the inventory ${path} is no plain file, or larger than 1 MiB`, {
        exit: 2,
        field: '--inventory',
      });
    }
    if ((state.mode & 0o022) !== 0 || ![0, userInfo().uid].includes(state.uid)) {
      throw new LatchkeyError('file_too_open', `the inventory ${path} can be written by others`, {
        exit: 3,
        hint: `chmod go-w ${path}, and let it be your own`,
      });
    }
    return parseInventory(readFileSync(file, 'utf8'), dirname(resolve(path)));
  } finally {
    closeSync(file);
  }
}
