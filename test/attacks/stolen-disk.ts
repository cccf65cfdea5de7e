import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  type Stats,
  statSync,
} from 'node:fs';
import { basename, join, relative } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type Hit, searchBytes, type Thief } from './key-search.ts';

export interface DiskHit extends Hit {
  readonly path: string;
}

export interface DiskSearch {
  readonly hits: readonly DiskHit[];
  readonly files: number;
  readonly bytes: number;
}

/** More than any file of a test instance has; a larger one would be looked at in part only, and is refused. */
const largest = 256 << 20;

interface Walk {
  /** Do not enter these. */
  readonly without?: readonly string[];
  /** Do not look at this file. */
  readonly skip?: (path: string) => boolean;
  /** Do not enter a folder that is so. */
  readonly isClosed?: (folder: Stats) => boolean;
}

/** Every file below the folders. Other file systems mounted below them are not entered: they are walked by themselves. */
export function* filesBelow(folders: readonly string[], walk: Walk = {}): Generator<string> {
  for (const folder of folders) {
    if (!existsSync(folder) || walk.without?.includes(folder)) continue;
    const stats = statSync(folder);
    if (walk.isClosed?.(stats) !== true) yield* entries(folder, stats.dev, walk);
  }
}

function* entries(folder: string, device: number, walk: Walk): Generator<string> {
  for (const entry of listed(folder)) {
    const path = join(folder, entry.name);
    if (walk.without?.includes(path)) continue;
    try {
      if (entry.isFile() && walk.skip?.(path) !== true) yield path;
      else if (entry.isDirectory()) {
        const stats = statSync(path);
        if (stats.dev === device && walk.isClosed?.(stats) !== true) yield* entries(path, device, walk);
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // gone since it was listed
    }
  }
}

function listed(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (['ENOENT', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}

/** Searches files, and what is stored in databases among them value by value: a page may cut a value in pieces. */
export function searchFiles(paths: Iterable<string>, thief: Thief, workplace: string): DiskSearch {
  const hits: DiskHit[] = [];
  let [files, size] = [0, 0];
  for (const path of paths) {
    const bytes = contentOf(path);
    if (bytes === null) continue;
    files += 1;
    size += bytes.length;
    const found = [...searchBytes(bytes, thief)];
    if (bytes.subarray(0, 16).toString('latin1') === 'SQLite format 3\0') {
      for (const table of tablesOf(path, workplace)) found.push(...searchBytes(table, thief));
    }
    hits.push(...found.map((hit) => ({ ...hit, path })));
  }
  return { hits, files, bytes: size };
}

/** An overlay keeps the owner of a file that it has not copied as an empty file of the same size. */
export function isOwnerOnly({ size, blocks }: { readonly size: number; readonly blocks: number }): boolean {
  return blocks === 0 && size > 4096;
}

function contentOf(path: string): Buffer | null {
  try {
    const stats = statSync(path);
    if (stats.size > largest) throw new Error(`${path} is too large to be searched`);
    return isOwnerOnly(stats) ? null : readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function tablesOf(path: string, workplace: string): Buffer[] {
  const folder = mkdtempSync(join(workplace, 'database-'));
  const copy = join(folder, basename(path));
  for (const end of ['', '-wal']) if (existsSync(path + end)) copyFileSync(path + end, copy + end);
  const db = new DatabaseSync(copy);
  try {
    const tables = db.prepare(`select name from sqlite_master where type = 'table'`).all();
    return tables.map(({ name }) => {
      const statement = db.prepare(`select * from "${String(name)}"`);
      statement.setReadBigInts(true); // some ids are larger than a number can be
      const rows = statement.all();
      const values = rows.flatMap((row) => Object.values(row));
      return Buffer.concat(values.flatMap((value) => [bytesOf(value), Buffer.from('\n')]));
    });
  } finally {
    db.close();
    rmSync(folder, { recursive: true });
  }
}

function bytesOf(value: unknown): Buffer {
  return value instanceof Uint8Array ? Buffer.from(value) : Buffer.from(String(value ?? ''));
}

/** A few words about where something was found; paths are shown below `base`. */
export function placesOf(hits: readonly DiskHit[], base: string): string {
  const places = new Map(hits.map((hit) => [relative(base, hit.path), hit.way]));
  const shown = [...places].slice(0, 3).map(([path, way]) => `${path} (${way})`);
  return places.size > 3 ? `${shown.join(', ')} and ${places.size - 3} more` : shown.join(', ');
}
