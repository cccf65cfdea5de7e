import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { assertNewDirectory, createDataDirectory } from '../data-directory.ts';
import { syncFolder } from '../files.ts';
import { digestOf, unpackArchive } from './archive.ts';
import type { ArchiveKind } from './archive-kind.ts';
import type { Opener } from './envelope.ts';

/** The file without which a directory is no server's: it comes last. */
const last = 'config.json';

export interface RestoreOrder<T> {
  readonly from: string;
  /** The data directory that is to be. */
  readonly path: string;
  readonly kind: ArchiveKind;
  readonly opener: Opener;
  /** Files that everybody may read. */
  readonly publicFiles: readonly string[];
  /** Checks what was unpacked, and makes of it what the new directory is to hold. */
  readonly settle: (copy: UnpackedCopy) => Promise<T>;
}

export interface UnpackedCopy {
  /** The folder it is in. */
  readonly workshop: string;
  /** When the backup was made, milliseconds since 1970. */
  readonly madeAt: number;
  readonly subject: string;
  /** Of the backup's file. */
  readonly sha256: string;
  readonly bytes: number;
}

/**
 * Makes a new data directory out of a backup. It is unpacked and checked in a folder within it; the files move to their
 * places at the end, `config.json` last, so that what is not whole is no server.
 */
export async function restoreDirectory<T>(
  order: RestoreOrder<T>,
): Promise<{ readonly directory: string; readonly copy: UnpackedCopy; readonly settled: T }> {
  const { from, path, kind, opener } = order;
  assertNewDirectory(path);
  const wasThere = existsSync(resolve(path));
  const directory = createDataDirectory(path);
  const workshop = join(directory, '.restoring');
  try {
    mkdirSync(workshop, { mode: 0o700 });
    const { madeAt, subject } = await unpackArchive(from, kind, opener, workshop);
    const copy = { workshop, madeAt, subject, sha256: await digestOf(from), bytes: statSync(from).size };
    const settled = await order.settle(copy);
    moveUp(workshop, directory, order.publicFiles);
    return { directory, copy, settled };
  } catch (error) {
    rmSync(workshop, { recursive: true, force: true });
    if (!wasThere && readdirSync(directory).length === 0) rmdirSync(directory);
    throw error;
  }
}

function moveUp(workshop: string, directory: string, publicFiles: readonly string[]): void {
  const move = (name: string): void => {
    if (publicFiles.includes(name)) chmodSync(join(workshop, name), 0o644);
    renameSync(join(workshop, name), join(directory, name));
  };
  for (const name of readdirSync(workshop)) if (name !== last) move(name);
  syncFolder(directory);
  move(last);
  rmdirSync(workshop);
  syncFolder(directory);
}
