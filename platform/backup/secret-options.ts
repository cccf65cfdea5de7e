import { lstatSync } from 'node:fs';
import type { Command } from 'commander';
import { LatchkeyError } from '../errors.ts';
import { keyfileMethod, passphraseFileMethod, type UnsealMethod } from '../vault/unseal.ts';

/** How a backup is closed, as it is said on a command line. */
export interface BackupSecretOptions {
  readonly backupKeyfile?: string;
  readonly backupPassphraseFile?: string;
}

/** What to do where nobody can be asked. */
export const backupSecretHint = 'use --backup-passphrase-file FILE or --backup-keyfile FILE';

/** Adds the options by which a backup is closed and opened; one at the most may be given. */
export function withBackupSecretOptions(command: Command): Command {
  return command
    .option('--backup-passphrase-file <file>', 'the backup’s own passphrase, in FILE (mode 0600); asked for without it')
    .option('--backup-keyfile <file>', 'the backup’s own 32 bytes, in FILE (mode 0600)');
}

/** The method they name, or else the other one. Both at once are a usage error. */
export function backupMethodFrom(options: BackupSecretOptions, otherwise: () => UnsealMethod): UnsealMethod {
  const { backupKeyfile, backupPassphraseFile } = options;
  if (backupKeyfile !== undefined && backupPassphraseFile !== undefined) {
    throw new LatchkeyError('usage', 'only one of --backup-keyfile and --backup-passphrase-file may be given', {
      exit: 2,
    });
  }
  if (backupKeyfile !== undefined) return keyfileMethod(backupKeyfile);
  return backupPassphraseFile === undefined ? otherwise() : passphraseFileMethod(backupPassphraseFile);
}

/** Refuses a backup that is not there before anybody is asked for anything. */
export function assertBackupThere(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return;
  throw new LatchkeyError('file_not_read', `there is no file ${path}`, { exit: 2, field: '--from' });
}
