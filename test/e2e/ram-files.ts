import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRoot, webUser } from '../harness/nextcloud-files.ts';
import type { Story } from './story.ts';

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/**
 * Files in RAM that the command line of this instance keeps its keys in, as the app names them: by instance, state folder
 * and key id, so that several instances of one user do not meet.
 */
export function ramFiles({ nextcloud, stateFolder, memory }: Story): string[] {
  const uid = isRoot() ? webUser.uid : (process.getuid?.() ?? 0);
  const tag = sha256(`${nextcloud.instanceId}\0${stateFolder}`).slice(0, 16);
  const names = memory.privateKeys.map((id) => sha256(`latchkey:${tag}:${id}`));
  return ['/run', `/run/user/${uid}`, '/dev/shm']
    .flatMap((parent) => names.map((name) => join(parent, `latchkey-${uid}`, name)))
    .filter((path) => existsSync(path));
}

/** Whether there is a folder in RAM that everybody may write to. */
export function hasRamFolder(): boolean {
  return existsSync('/dev/shm') && /^\S+ \/dev\/shm tmpfs /m.test(readFileSync('/proc/self/mounts', 'utf8'));
}
