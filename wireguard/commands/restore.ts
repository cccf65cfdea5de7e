import type { Command } from 'commander';
import { type Opener, plainEnvelope, type Sealing, sealingOf, secretOpener } from '../../platform/backup/envelope.ts';
import {
  assertBackupThere,
  type BackupSecretOptions,
  backupMethodFrom,
  backupSecretHint,
  withBackupSecretOptions,
} from '../../platform/backup/secret-options.ts';
import { type CommandIo, dataCommand, showTime } from '../../platform/command-io.ts';
import { askSecret, printJson } from '../../platform/command-line.ts';
import { assertNewDirectory } from '../../platform/data-directory.ts';
import { showDatabase } from '../../platform/database-choice.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { passphraseMethod, unsealOption } from '../../platform/vault/unseal.ts';
import { archiveKind, type HubSealing } from '../backup/hub-backup.ts';
import { type HubRestoreReport, restoreHub } from '../backup/hub-restore.ts';
import { type DatabaseOptions, databaseFrom, withDatabaseOptions } from './database-options.ts';

interface RestoreOptions extends BackupSecretOptions, DatabaseOptions {
  readonly data: string;
  readonly from: string;
  readonly ageIdentity?: string;
  readonly json?: boolean;
}

/** `restore`: a new data directory out of a backup. */
export function addRestoreCommand(program: Command, io: CommandIo): void {
  const command = dataCommand(program, 'restore', 'make a new data directory out of a backup')
    .requiredOption('--from <file>', 'the backup')
    .option('--age-identity <file>', 'an identity of age, in FILE (mode 0600), for a backup made with --age-recipient');
  withDatabaseOptions(withBackupSecretOptions(command)).action((options: RestoreOptions) => restore(options, io));
}

async function restore(options: RestoreOptions, io: CommandIo): Promise<void> {
  assertBackupThere(options.from);
  assertNewDirectory(options.data);
  const database = databaseFrom(options);
  const { terminal, clock } = io;
  const { opener, sealedWith } = await openerFor(sealingOf(options.from, archiveKind), options, io);
  const order = { from: options.from, path: options.data, opener, sealedWith, database };
  const report = await restoreHub(order, { now: clock.now(), env: terminal.env });
  if (options.json === true) return printJson(terminal, report);
  const place = showDatabase({ choice: database, env: terminal.env });
  terminal.stdout.write(reportText(report, place));
}

type HubOpener = Pick<HubSealing, 'sealedWith'> & { readonly opener: Opener };

async function openerFor(sealing: Sealing, options: RestoreOptions, io: CommandIo): Promise<HubOpener> {
  const { ageIdentity } = options;
  if (sealing !== 'age' && ageIdentity !== undefined) {
    throw new LatchkeyError('usage', 'the backup is not sealed by age', { exit: 2, field: '--age-identity' });
  }
  if (sealing === 'nothing') return { opener: plainEnvelope(), sealedWith: 'nothing' };
  if (sealing === 'age') {
    if (ageIdentity === undefined) {
      throw new LatchkeyError('usage', 'the backup is sealed by age', { exit: 2, hint: 'use --age-identity FILE' });
    }
    const { ageOpener } = await import('../../platform/backup/age.ts');
    return { opener: ageOpener(ageIdentity), sealedWith: 'age' };
  }
  const ask = () => askSecret(io.terminal, 'passphrase', backupSecretHint);
  const method = backupMethodFrom(options, () => passphraseMethod(ask));
  return { opener: secretOpener(method), sealedWith: method.method === 'keyfile' ? 'keyfile' : 'passphrase' };
}

function reportText(report: HubRestoreReport, place: string): string {
  const { directory, hub, madeAt, interfaces, keeps, peers, records, sealedWith } = report;
  const others = interfaces.map(({ name }) => name).filter((name) => keeps?.includes(name) === false);
  const reached = interfaces.map(({ name, endpoint }) => `       ${name}  ${endpoint}\n`).join('');
  return (
    `restored ${hub} into ${directory}, as it was at ${showTime(madeAt)}: ` +
    `${peers} peers, ${records} audit records\n  state in ${place}\n\n` +
    'Interfaces and peers have the keys they had: nothing is to be done on any device. What to do here:\n\n' +
    '  1. Make sure that the old hub is off for good: two with one key take the devices from each other.\n' +
    '  2. See that these names lead to this machine, which is where the devices look:\n' +
    `${reached}` +
    '  3. This hub has forgotten everything since then. A peer that was made later is unknown, one that was removed or\n' +
    `     disabled later is back: wghub peer list --data ${directory}\n` +
    '     An invitation that was used or revoked later is good again for the rest of its time:\n' +
    `     wghub spoke invites --data ${directory} --status unused; wghub spoke revoke ends it\n` +
    `  4. Start it: wghub start --data ${directory} ${unsealOption[sealedWith]}\n` +
    (others.length === 0
      ? ''
      : `  5. It keeps ${keeps?.join(', ')} alone, as it did. What keeps ${others.join(', ')} is made anew by wghub join; or take\n` +
        '     "interfaces" out of its config.json, and it keeps all of them.\n')
  );
}
