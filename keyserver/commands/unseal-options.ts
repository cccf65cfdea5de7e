import type { Command } from 'commander';
import { askSecret } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import type { KekHeader, UnsealMethod } from '../unseal.ts';
import { credentialMethod, keyfileMethod, passphraseFileMethod, passphraseMethod } from '../unseal.ts';
import type { CommandIo } from './command-io.ts';

export interface UnsealOptions {
  readonly keyfile?: string;
  readonly passphraseFile?: string;
  readonly credential?: string;
}

/** Adds the options by which a vault is opened; exactly one may be given. */
export function withUnsealOptions(command: Command): Command {
  return command
    .option('--keyfile <file>', 'open the vault with the 32 bytes in FILE (mode 0600)')
    .option('--passphrase-file <file>', 'open the vault with the passphrase in FILE (mode 0600)')
    .option('--credential <name>', 'open the vault with a systemd credential');
}

/** The method the options name, or `null` when none is given. More than one is a usage error. */
export function unsealMethodFrom(options: UnsealOptions, io: CommandIo): UnsealMethod | null {
  const { keyfile, passphraseFile, credential } = options;
  if ([keyfile, passphraseFile, credential].filter((value) => value !== undefined).length > 1) {
    throw new LatchkeyError('usage', 'only one of --keyfile, --passphrase-file and --credential may be given', {
      exit: 2,
    });
  }
  if (keyfile !== undefined) return keyfileMethod(keyfile);
  if (passphraseFile !== undefined) return passphraseFileMethod(passphraseFile);
  return credential === undefined ? null : credentialMethod(credential, io.terminal.env);
}

/** The same for a vault that exists: without an option a passphrase is asked for, any other method must be named. */
export function unsealMethodFor(sealedWith: KekHeader['method'], options: UnsealOptions, io: CommandIo): UnsealMethod {
  const named = unsealMethodFrom(options, io);
  if (named !== null) return named;
  const option = { passphrase: '--passphrase-file FILE', keyfile: '--keyfile FILE', credential: '--credential NAME' };
  const hint = `use ${option[sealedWith]}`;
  if (sealedWith === 'passphrase') return passphraseMethod(() => askSecret(io.terminal, 'passphrase', hint));
  throw new LatchkeyError('usage', `this vault is sealed with a ${sealedWith}`, { exit: 2, hint });
}
