import { dirname, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { CommandIo } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { everySeconds } from '../../platform/crontab.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { programPlace } from '../../platform/program-place.ts';
import { type CheckOptions, checkOrder } from './check-order.ts';
import { CHECK_LABEL, type CheckForm, checkForms, checkTimerFiles } from './check-units.ts';
import { placeFiles } from './place-files.ts';

/** `check print`, which takes the options of `check` too. */
export function addCheckPrintCommand(check: Command, io: CommandIo): void {
  check
    .command('print')
    .description('print the files of a timer that runs this check with these options; nothing is installed')
    .addOption(new Option('--form <form>', 'what starts it').choices([...checkForms]).makeOptionMandatory())
    .option('--every <pause>', 'how often: minutes that divide an hour, hours that divide a day', '1m')
    .option('--write', 'write them to their places instead, as root')
    .action((options: PrintOptions, command: Command) => print(options, command.parent as Command, io));
}

interface PrintOptions {
  readonly form: CheckForm;
  readonly every: string;
  readonly write?: boolean;
}

function print({ form, every, write }: PrintOptions, check: Command, { terminal }: CommandIo): void {
  const options = check.opts<CheckOptions>();
  if (options.nagios === true) {
    throw new LatchkeyError('usage', '"--nagios" is for who asks: a timer has nobody to answer to', {
      exit: 2,
      field: '--nagios',
    });
  }
  checkOrder(options);
  const isGiven = (name: string): boolean => check.getOptionValueSource(name) === 'cli';
  const files = checkTimerFiles(form, {
    ...programPlace(),
    words: wordsOf(options, isGiven),
    everySeconds: everySeconds(every),
    stateFolder: isGiven('state') ? dirname(resolve(options.state)) : null,
  });
  if (write === true) placeFiles(files);
  const paths = files.map(({ path }) => path).join(' and ');
  if (options.json === true) printJson(terminal, { files });
  else if (write === true) terminal.stdout.write(`wrote ${paths}\n`);
  else if (files.length === 1) terminal.stdout.write(files[0]?.text ?? '');
  else for (const { path, text } of files) terminal.stdout.write(`# ${path}\n${text}\n`);
  terminal.stderr.write(
    `wgnode: hint: as root: ${write === true ? '' : `write it to ${paths}, or have that done by --write`}${hintOf(form, options, write === true)}\n`,
  );
}

/** Pure: the words that mean the same, each path an absolute one. */
export function wordsOf(options: CheckOptions, isGiven: (name: string) => boolean): string[] {
  const path = (file: string | undefined): string | undefined => (file === undefined ? undefined : resolve(file));
  const values: [name: string, flag: string, value: string | undefined][] = [
    ['ca', '--ca', path(options.ca)],
    ['warning', '--warning', options.warning],
    ['critical', '--critical', options.critical],
    ['badRounds', '--bad-rounds', options.badRounds],
    ['goodRounds', '--good-rounds', options.goodRounds],
    ['alertCommand', '--alert-command', options.alertCommand],
    ['state', '--state', path(options.state)],
  ];
  return [
    ...many('--interface', options.interface),
    ...many('--keyserver', options.keyserver),
    ...many(
      '--alert-channel',
      options.alertChannel?.map((file) => resolve(file)),
    ),
    ...values.flatMap(([name, flag, value]) => (isGiven(name) && value !== undefined ? [flag, value] : [])),
    ...(options.eachPeer === true ? ['--each-peer'] : []),
    ...(options.restart ? [] : ['--no-restart']),
  ];
}

function many(flag: string, values: readonly string[] = []): string[] {
  return values.length === 0 ? [] : [flag, ...values];
}

function hintOf(form: CheckForm, { interface: names = [], restart }: CheckOptions, isWritten: boolean): string {
  const then = isWritten ? '' : ', then ';
  if (form === 'cron') return isWritten ? 'nothing more, cron reads it by itself' : '; cron reads it by itself';
  if (form === 'launchd') return `${then}launchctl bootstrap system /Library/LaunchDaemons/${CHECK_LABEL}.plist`;
  const units = restart ? names.map((name) => `wg-quick@${name}`) : [];
  const enabled = units.length === 0 ? '' : `; it restarts what systemd starts: systemctl enable ${units.join(' ')}`;
  return `${then}systemctl daemon-reload, systemctl enable --now latchkey-node-check.timer${enabled}`;
}
