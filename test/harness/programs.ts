import { accessSync, constants, readdirSync } from 'node:fs';
import { join } from 'node:path';

// daemons live in sbin folders, which are not on everybody's PATH
const folders = [...(process.env.PATH ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin'].filter(
  (one) => one !== '',
);

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Full path of a program, or `null`. */
export function findProgram(name: string): string | null {
  return folders.map((folder) => join(folder, name)).find(isProgram) ?? null;
}

export function hasProgram(name: string): boolean {
  return findProgram(name) !== null;
}

/** PHP-FPM under whatever name the system gives it (`php-fpm`, `php-fpm8.2`); the highest version of several. */
export function findPhpFpm(): string | null {
  const versioned = folders.flatMap((folder) => {
    try {
      return readdirSync(folder).filter((name) => /^php-fpm[0-9.]+$/.test(name));
    } catch {
      return [];
    }
  });
  const newest = versioned.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1);
  return newest === undefined ? findProgram('php-fpm') : findProgram(newest);
}
