import { DatabaseSync } from 'node:sqlite';
import { LatchkeyError } from './errors.ts';

/**
 * Copies the database at `path` into the empty file `target`: one moment of it, whole, while other processes read and
 * write. The copy has no log files beside it. Throws `store_not_copied`.
 */
export function snapshotSqlite(path: string, target: string): void {
  try {
    const database = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
    try {
      database.prepare('vacuum into ?').run(target);
    } finally {
      database.close();
    }
  } catch (cause) {
    throw new LatchkeyError('store_not_copied', 'the database could not be copied', {
      hint: 'is the disk full, or the database damaged?',
      cause,
    });
  }
}

/** Reads every page and index of the database at `path`; throws `store_damaged` for one that does not hold together. */
export function checkSqlite(path: string): void {
  let said: unknown;
  try {
    const database = new DatabaseSync(path, { readOnly: true });
    try {
      said = database.prepare('pragma integrity_check(1)').get()?.integrity_check;
    } finally {
      database.close();
    }
  } catch (cause) {
    throw new LatchkeyError('store_damaged', 'the database could not be read', { cause });
  }
  if (said !== 'ok') throw new LatchkeyError('store_damaged', 'the database is damaged');
}
