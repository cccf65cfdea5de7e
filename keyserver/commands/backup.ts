import type { Command } from 'commander';
import {
  assertBackupThere,
  type BackupSecretOptions,
  backupMethodFrom,
  backupSecretHint,
  withBackupSecretOptions,
} from '../../platform/backup/secret-options.ts';
import { type CommandIo, dataCommand, showTime } from '../../platform/command-io.ts';
import { askSecret, printJson } from '../../platform/command-line.ts';
import { newPassphrase } from '../../platform/vault/new-secret.ts';
import { passphraseMethod, unsealOption } from '../../platform/vault/unseal.ts';
import { makeBackup } from '../backup/backup.ts';
import { restoreBackup } from '../backup/restore.ts';
import { withServerData } from '../server-data.ts';

interface BackupOptions extends BackupSecretOptions {
  readonly data: string;
  readonly out: string;
  readonly json?: boolean;
}

interface RestoreOptions extends BackupSecretOptions {
  readonly data: string;
  readonly from: string;
  readonly json?: boolean;
}

/** `backup` and `restore`: everything but the unseal secret, in one sealed file. */
export function addBackupCommands(program: Command, io: CommandIo): void {
  withBackupSecretOptions(
    dataCommand(program, 'backup', 'write everything into one sealed file, beside a running server'),
  )
    .requiredOption('--out <file>', 'the file, which must not exist')
    .action((options: BackupOptions) => backup(options, io));
  withBackupSecretOptions(dataCommand(program, 'restore', 'make a new data directory out of a backup'))
    .requiredOption('--from <file>', 'the backup')
    .action((options: RestoreOptions) => restore(options, io));
}

function backup(options: BackupOptions, io: CommandIo): Promise<void> {
  const method = backupMethodFrom(options, () => newPassphrase(io, backupSecretHint));
  return withServerData(options.data, async (data) => {
    const report = await makeBackup(data, options.out, method, io);
    if (options.json === true) printJson(io.terminal, report);
    else {
      io.terminal.stdout.write(
        `ok: ${report.file}, ${report.bytes} bytes, read back whole: ${report.records} audit records, ${report.keys} keys\n` +
          `sha256 ${report.sha256}\n`,
      );
    }
    const say = (text: string): void => void io.terminal.stderr.write(`keyserver: hint: ${text}\n`);
    if (report.leftOut.length > 0) say(`not in the backup: ${report.leftOut.join(', ')}`);
    say('the secret that opens the vault is not in it: keep that apart, and this file on another machine');
  });
}

async function restore(options: RestoreOptions, io: CommandIo): Promise<void> {
  const method = backupMethodFrom(options, () =>
    passphraseMethod(() => askSecret(io.terminal, 'passphrase', backupSecretHint)),
  );
  assertBackupThere(options.from);
  const report = await restoreBackup(options.from, options.data, method, io.clock);
  if (options.json === true) return printJson(io.terminal, report);
  const resets = report.clients
    .map((name) => `       keyserver client reset ${name} --data ${report.directory}\n`)
    .join('');
  io.terminal.stdout.write(
    `restored ${report.url} into ${report.directory}, as it was at ${showTime(report.madeAt)}: ` +
      `${report.records} audit records, ${report.keys} keys\n\n` +
      'This server has forgotten everything since then, and its clients have not: each will notice that the log went\n' +
      'back, and its one-time link will be one that this server never issued. That is as it should be, because undoing\n' +
      'a revocation would look the same. What to do:\n\n' +
      '  1. Make sure that the old server is off for good: two servers with one history look like a break-in.\n' +
      '  2. Look through clients, policies and kill switch: what was changed since then is not changed here.\n' +
      `  3. Start it (${unsealOption[report.sealedWith]}) and give each client a new code, then enrol it again; its keys stay:\n${resets}`,
  );
}
