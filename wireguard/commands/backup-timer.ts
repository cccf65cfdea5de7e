import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { type BackupSecretOptions, withBackupSecretOptions } from '../../platform/backup/secret-options.ts';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { programPlace } from '../../platform/program-place.ts';
import { type TimerFacts, type TimerPlatform, timerFiles, timerPlatforms } from '../backup/timer-text.ts';

interface TimerOptions extends BackupSecretOptions {
  readonly data: string;
  readonly folder: string;
  readonly keep: string;
  readonly ageRecipient?: readonly string[];
  readonly platform?: TimerPlatform;
  readonly user: string;
  readonly at: string;
  readonly json?: boolean;
}

/** What to do with the text, per platform. */
const install: Readonly<Record<TimerPlatform, string>> = {
  linux:
    'as root: write each to its place, then systemctl daemon-reload, systemctl enable --now latchkey-hub-backup.timer',
  macos:
    'as root: write it to its place, then launchctl bootstrap system /Library/LaunchDaemons/latchkey.hub-backup.plist',
  cron: 'add the line with crontab -e, as the account that owns the data directory',
};

/** `backup-timer`: what has a backup made each night; nothing is installed. */
export function addBackupTimerCommand(program: Command, io: CommandIo): void {
  const command = dataCommand(program, 'backup-timer', 'print what makes a backup each night; nothing is installed')
    .requiredOption('--folder <dir>', 'where the backups go')
    .option('--keep <number>', 'how many good ones stay there', '30')
    .option('--age-recipient <age1...>', 'seal them for who holds the identity (age)')
    .addOption(new Option('--platform <platform>', 'for which system; this one unless told').choices(timerPlatforms))
    .option('--user <account>', 'the account that owns the data directory', 'root')
    .option('--at <hh:mm>', 'when, in the machine’s own time', '03:15');
  withBackupSecretOptions(command).action((options: TimerOptions) => print(options, io));
}

function print(options: TimerOptions, { terminal }: CommandIo): void {
  const platform = options.platform ?? (process.platform === 'darwin' ? 'macos' : 'linux');
  const files = timerFiles(platform, factsOf(options));
  if (options.json === true) printJson(terminal, { platform, files });
  else {
    const texts = files.map(({ path, text }) => (files.length > 1 ? `# ${path}\n${text}` : text));
    terminal.stdout.write(texts.join('\n'));
  }
  terminal.stderr.write(`wghub: hint: ${install[platform]}\n`);
}

function factsOf(options: TimerOptions): TimerFacts {
  const { data, folder, keep, user, at } = options;
  assertShape('--user', user, /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/, 'must be the name of an account');
  assertShape('--at', at, /^([01][0-9]|2[0-3]):[0-5][0-9]$/, 'must be a time from 00:00 to 23:59');
  assertShape('--keep', keep, /^[1-9][0-9]{0,3}$/, 'must be a number from 1 to 9999');
  const words = ['--keep', keep, ...secretWords(options)];
  return { ...programPlace(), data: resolve(data), folder: resolve(folder), user, at, words };
}

function assertShape(field: string, text: string, shape: RegExp, words: string): void {
  if (!shape.test(text)) throw new LatchkeyError('invalid_request', `"${field}" ${words}`, { exit: 2, field });
}

/** Exactly one: at night nobody can be asked. */
function secretWords({ backupKeyfile, backupPassphraseFile, ageRecipient }: TimerOptions): readonly string[] {
  const ways = [
    ...(backupKeyfile === undefined ? [] : [['--backup-keyfile', resolve(backupKeyfile)]]),
    ...(backupPassphraseFile === undefined ? [] : [['--backup-passphrase-file', resolve(backupPassphraseFile)]]),
    ...(ageRecipient === undefined ? [] : [['--age-recipient', ...ageRecipient]]),
  ];
  const [way] = ways;
  if (way !== undefined && ways.length === 1) return way;
  throw new LatchkeyError('usage', 'exactly one way to seal the backups must be given', {
    exit: 2,
    hint: 'use --age-recipient age1…, --backup-keyfile FILE or --backup-passphrase-file FILE',
  });
}
