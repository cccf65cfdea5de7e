import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { newBackupPath } from '../../platform/backup/backup-file.ts';
import { secretEnvelope } from '../../platform/backup/envelope.ts';
import {
  type BackupSecretOptions,
  backupMethodFrom,
  backupSecretHint,
  withBackupSecretOptions,
} from '../../platform/backup/secret-options.ts';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { newPassphrase } from '../../platform/vault/new-secret.ts';
import { pruneSeries, type SeriesReport, seriesName } from '../backup/backup-series.ts';
import { type HubSealing, makeHubBackup } from '../backup/hub-backup.ts';
import { type HubData, withHubData } from '../data/hub-data.ts';

interface BackupOptions extends BackupSecretOptions {
  readonly data: string;
  readonly out?: string;
  readonly folder?: string;
  readonly keep?: string;
  readonly ageRecipient?: readonly string[];
  readonly json?: boolean;
}

const usualKeep = 30;

/** `backup`: everything but the unseal secret, in one sealed file; the hub may run. */
export function addBackupCommand(program: Command, io: CommandIo): void {
  const command = dataCommand(program, 'backup', 'write everything into one sealed file, beside a running hub')
    .option('--out <file>', 'the file, which must not exist')
    .option('--folder <dir>', 'or a folder: the file is named by the time, and old ones of this hub go')
    .option('--keep <number>', `how many good ones stay in the folder (${usualKeep} unless told)`)
    .option('--age-recipient <age1...>', 'seal it for who holds the identity (age), instead of by a secret');
  withBackupSecretOptions(command).action((options: BackupOptions) => backup(options, io));
}

async function backup(options: BackupOptions, io: CommandIo): Promise<void> {
  const keep = keepOf(options);
  const { folder } = options;
  const sealing = await sealingFrom(options, io);
  await withHubData(options.data, io.terminal.env, async (data) => {
    const now = io.clock.now();
    const made = await makeHubBackup(data, newBackupPath(targetOf(options, data, sealing, now)), sealing, now);
    const series = folder === undefined ? null : await pruneSeries(data, resolve(folder), keep);
    const { checked, ...file } = made;
    const { audit, ...counts } = checked;
    const report = { ...file, sealedWith: sealing.sealedWith, records: audit.records, ...counts, series };
    if (options.json === true) printJson(io.terminal, report);
    else {
      io.terminal.stdout.write(
        `ok: ${file.file}, ${file.bytes} bytes, read back whole: ${counts.peers} peers, ` +
          `${counts.sealed} sealed secrets, ${audit.records} audit records\nsha256 ${file.sha256}\n${seriesText(series)}`,
      );
    }
    tellHints(options, made.leftOut, series, io);
  });
}

function keepOf({ out, folder, keep }: BackupOptions): number {
  if ((out === undefined) === (folder === undefined)) {
    throw new LatchkeyError('usage', 'one of --out and --folder must be given', { exit: 2 });
  }
  if (keep !== undefined && folder === undefined) {
    throw new LatchkeyError('usage', '--keep goes with --folder', { exit: 2 });
  }
  if (keep === undefined) return usualKeep;
  if (/^[1-9][0-9]{0,3}$/.test(keep)) return Number(keep);
  throw new LatchkeyError('invalid_request', '"--keep" must be a number from 1 to 9999', { exit: 2, field: '--keep' });
}

async function sealingFrom(options: BackupOptions, io: CommandIo): Promise<HubSealing> {
  const { ageRecipient, backupKeyfile, backupPassphraseFile } = options;
  if (ageRecipient === undefined) {
    const method = backupMethodFrom(options, () => newPassphrase(io, `${backupSecretHint}, or --age-recipient age1…`));
    const sealedWith = method.method === 'keyfile' ? 'keyfile' : 'passphrase';
    return { envelope: secretEnvelope(method, io.random), sealedWith };
  }
  if (backupKeyfile !== undefined || backupPassphraseFile !== undefined) {
    throw new LatchkeyError('usage', '--age-recipient takes the place of a passphrase and of a key file', { exit: 2 });
  }
  const { ageEnvelope } = await import('../../platform/backup/age.ts'); // and its ciphers, which nothing else has use for
  return { envelope: ageEnvelope(ageRecipient), sealedWith: 'age' };
}

function targetOf({ out, folder }: BackupOptions, data: HubData, { sealedWith }: HubSealing, now: number): string {
  return out ?? join(folder ?? '', seriesName(data.config.name, now, sealedWith === 'age'));
}

function seriesText(series: SeriesReport | null): string {
  if (series === null) return '';
  const removed = series.removed.map((name) => `removed ${name}\n`).join('');
  return `good ones in the folder: ${series.kept}\n${removed}`;
}

function tellHints(
  { ageRecipient }: BackupOptions,
  leftOut: readonly string[],
  series: SeriesReport | null,
  { terminal }: CommandIo,
): void {
  const say = (text: string): void => void terminal.stderr.write(`wghub: hint: ${text}\n`);
  if (leftOut.length > 0) say(`not in the backup: ${leftOut.join(', ')}`);
  for (const name of series?.altered ?? []) say(`${name} is not what it was when it was made; it was left as it is`);
  if (ageRecipient !== undefined) {
    say('it was read back by the key of the file; that your identity opens it only you can try: age --decrypt');
  }
  say('the secret that opens the vault is not in it: keep that apart, and this file on another machine');
}
