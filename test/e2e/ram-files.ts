import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isRoot, webUser } from '../harness/nextcloud-files.ts';

/** Every file in RAM that command lines of the web user keep keys in; their names do not tell whose they are. */
export function ramFiles(): string[] {
  const uid = isRoot() ? webUser.uid : (process.getuid?.() ?? 0);
  return ['/run', `/run/user/${uid}`, '/dev/shm']
    .map((parent) => join(parent, `latchkey-${uid}`))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)));
}
