import { closeSync, existsSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { isLatchkeyError, LatchkeyError } from '../errors.ts';
import { createSecretFile, syncFolder } from '../files.ts';
import { digestOf, manifestOf, unpackArchive, writeArchive } from './archive.ts';
import type { ArchiveKind } from './archive-kind.ts';
import type { Envelope } from './envelope.ts';
import { assertSpace, makeWorkshop, noteUnfinished } from './workshop.ts';

/** A server of which a backup is made. */
export interface BackupSource<C> {
  readonly kind: ArchiveKind;
  /** Its data directory. */
  readonly directory: string;
  /** What tells it from others of its kind, for people. */
  readonly subject: string;
  /** Bytes of its database, about. */
  readonly size: number;
  /** Copies what changes under it into the workshop; answers the path of everything that belongs into the backup. */
  readonly gather: (workshop: string) => Promise<readonly string[]>;
  /** Opens an unpacked copy as the server would, and says what is in it. */
  readonly check: (directory: string) => Promise<C>;
  /** Names in the data directory that need not be in a backup: databases, sockets. */
  readonly passedOver: readonly string[];
}

export interface BackupFile<C> {
  readonly file: string;
  readonly bytes: number;
  /** Of the file, hex. */
  readonly sha256: string;
  /** What `check` said of the copy that came out of it again. */
  readonly checked: C;
  /** Files of the data directory that this program does not know and did not put in. */
  readonly leftOut: readonly string[];
}

/** The absolute path of a backup that is to be. Throws `file_exists` (exit 3). */
export function newBackupPath(out: string): string {
  const target = resolve(out);
  if (!existsSync(target)) return target;
  throw new LatchkeyError('file_exists', `${target} is there already and is never overwritten`, { exit: 3 });
}

/**
 * Writes everything of `source` into the new file `target`, beside its server. It has its name only when it was read from the
 * disk again, opened and checked whole; whatever fails leaves no file.
 */
export async function writeBackup<C>(
  source: BackupSource<C>,
  target: string,
  envelope: Envelope,
  now: number,
): Promise<BackupFile<C>> {
  const { kind, directory } = source;
  await assertSpace(directory, source.size);
  const workshop = makeWorkshop(directory);
  const partial = `${target}.partial`;
  let isOurs = false;
  try {
    const paths = await source.gather(workshop);
    const manifest = await manifestOf(paths, source.subject, now);
    createSecretFile(partial, '');
    isOurs = true;
    noteUnfinished(workshop, partial);
    const file = openSync(partial, 'r+');
    try {
      await writeArchive(file, kind, envelope, manifest, paths);
    } finally {
      closeSync(file);
    }
    for (const path of paths) if (dirname(path) === workshop) rmSync(path);
    const again = join(workshop, 'again');
    mkdirSync(again, { mode: 0o700 });
    await unpackArchive(partial, kind, envelope, again);
    const checked = await source.check(again);
    const sha256 = await digestOf(partial);
    renameSync(partial, newBackupPath(target));
    syncFolder(dirname(target));
    const known = new Set([...paths.map((path) => basename(path)), ...source.passedOver]);
    return { file: target, bytes: statSync(target).size, sha256, checked, leftOut: unknownNames(directory, known) };
  } catch (error) {
    throw diskFault(error, partial);
  } finally {
    if (isOurs) rmSync(partial, { force: true });
    rmSync(workshop, { recursive: true, force: true });
  }
}

function unknownNames(directory: string, known: ReadonlySet<string>): string[] {
  return readdirSync(directory).filter((name) => !known.has(name) && !name.startsWith('.backup-'));
}

/** A disk that is full or gone is no defect of the program. */
function diskFault(error: unknown, path: string): unknown {
  const { code, errno } = error as NodeJS.ErrnoException;
  if (isLatchkeyError(error) || errno === undefined || code === undefined) return error;
  return new LatchkeyError('file_not_written', `${path} could not be written and checked (${code})`, {
    hint: code === 'ENOSPC' ? 'is the disk full?' : 'is the disk of the backup there, and may it be written?',
    cause: error,
  });
}
