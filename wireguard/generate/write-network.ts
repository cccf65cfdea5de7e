import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { LatchkeyError } from '../../platform/errors.ts';
import { createSecretFile } from '../../platform/files.ts';
import type { GeneratedFile } from './network-files.ts';

/**
 * Writes a network's files into a folder of their own: folders 0700, configurations 0600. Refuses (`folder_not_empty`, exit 3) a
 * folder that holds something: keys that are in use would be lost.
 */
export function writeNetwork(folder: string, files: readonly GeneratedFile[]): void {
  if (existsSync(folder) && readdirSync(folder).length > 0) {
    throw new LatchkeyError('folder_not_empty', '"--out" must be a folder that is new or empty', {
      exit: 3,
      field: '--out',
      hint: 'what is in it may be the only copy of keys that are in use',
    });
  }
  for (const { path, text, secret } of files) {
    const target = join(folder, path);
    mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
    if (secret) createSecretFile(target, text);
    else writeFileSync(target, text, { mode: 0o644, flag: 'wx' });
  }
}
