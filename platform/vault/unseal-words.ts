import { resolve } from 'node:path';
import { LatchkeyError } from '../errors.ts';
import type { UnsealOptions } from './unseal-options.ts';

/** The encrypted credential that systemd loads for a service (systemd.exec(5), LoadCredentialEncrypted=). */
export interface ServiceCredential {
  readonly name: string;
  readonly file: string;
}

/** How a service opens its vault with nobody there, as on the command line: `['--keyfile', '/media/key']`. Throws `usage` for what has to be asked for. */
export function unsealWords({ keyfile, passphraseFile, credential, keychain }: UnsealOptions): readonly string[] {
  if (keyfile !== undefined) return ['--keyfile', resolve(keyfile)];
  if (passphraseFile !== undefined) return ['--passphrase-file', resolve(passphraseFile)];
  if (credential !== undefined) return ['--credential', credential];
  if (keychain !== undefined) return ['--keychain', keychain];
  throw new LatchkeyError('usage', 'a service has nobody to ask for a passphrase or shares', {
    exit: 2,
    hint: 'give --credential NAME, --keyfile FILE, --keychain NAME or --passphrase-file FILE, or start it by hand',
  });
}

/** The credential of `--credential`, in `file` (where `NAME` stands for its name); `null` without one. */
export function serviceCredential({ credential }: UnsealOptions, file: string): ServiceCredential | null {
  return credential === undefined ? null : { name: credential, file: resolve(file.replace('NAME', credential)) };
}

/** How the owner makes the file of a credential. */
export function credentialHint({ name, file }: ServiceCredential): string {
  return `the credential: head -c 32 /dev/urandom | systemd-creds encrypt --name=${name} - ${file}`;
}
