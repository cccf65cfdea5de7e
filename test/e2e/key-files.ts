import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** Every file of an instance's system key folders, with a hash of what it holds. */
export function keyFiles(dataFolder: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const folder = join(dataFolder, 'files_encryption');
  if (!existsSync(folder)) return found;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found.set(relative(folder, path), createHash('sha256').update(readFileSync(path)).digest('hex'));
  }
  return found;
}

export function privateKeyFiles(dataFolder: string): string[] {
  return [...keyFiles(dataFolder).keys()].filter((path) => path.endsWith('.privateKey'));
}

/** A stretch of each private key file that no other file has by chance, to look for on the disk later. */
export function privateKeyMarks(dataFolder: string): string[] {
  const folder = join(dataFolder, 'files_encryption');
  return privateKeyFiles(dataFolder).map((path) => readFileSync(join(folder, path), 'latin1').slice(64, 192));
}

/** Files below the folders that hold one of the marks. */
export function filesWith(marks: readonly string[], folders: readonly string[]): string[] {
  const found: string[] = [];
  for (const folder of folders.filter((one) => existsSync(one))) {
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const text = readFileSync(path, 'latin1');
      if (marks.some((mark) => text.includes(mark))) found.push(path);
    }
  }
  return found;
}
