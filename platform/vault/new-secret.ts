import { existsSync } from 'node:fs';
import type { CommandIo } from '../command-io.ts';
import { askSecret } from '../command-line.ts';
import { LatchkeyError } from '../errors.ts';
import { createSecretFile } from '../files.ts';
import { createKeychainSecret, findKeychainSecret } from './keychain.ts';
import { keyfileBytes, passphraseMethod, type UnsealMethod } from './unseal.ts';

/** A key file that is not there is made, exclusively; one that is there is used as it is. True when it was made. */
export function makeKeyfile(path: string | undefined, io: CommandIo): boolean {
  if (path === undefined || existsSync(path)) return false;
  createSecretFile(path, io.random(keyfileBytes));
  return true;
}

/** The same for an item of the macOS keychain. */
export async function makeKeychainItem(service: string | undefined, io: CommandIo): Promise<boolean> {
  if (service === undefined || (await findKeychainSecret(service)) !== null) return false;
  await createKeychainSecret(service, io.random(keyfileBytes));
  return true;
}

/** A passphrase that is asked for twice, and from then on known to this method. */
export function newPassphrase(io: CommandIo, hint?: string): UnsealMethod {
  let chosen: string | null = null;
  return passphraseMethod(async () => {
    chosen ??= await askTwice(io, hint ?? 'use --passphrase-file FILE, --keyfile FILE or --credential NAME');
    return chosen;
  });
}

async function askTwice(io: CommandIo, hint: string): Promise<string> {
  const first = await askSecret(io.terminal, 'new passphrase', hint);
  const second = await askSecret(io.terminal, 'again', hint);
  if (first === second) return first;
  throw new LatchkeyError('passphrase_differs', 'the two passphrases differ', { exit: 2 });
}
