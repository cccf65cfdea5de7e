import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { CommandIo } from '../../platform/command-io.ts';
import { printJson, printTable } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { type ConfigCheck, checkConfig } from '../check/config-check.ts';
import { clientProgram } from '../obfuscation/clients.ts';

interface CheckOptions {
  readonly client?: string;
  readonly json?: boolean;
}

/** Larger ones are no configuration. */
const MOST_BYTES = 16 * 1024 * 1024;

/** `check`: what is wrong with a configuration that somebody wrote. Exit 1 when it breaks a rule. */
export function addCheckCommand(program: Command, io: Pick<CommandIo, 'terminal'>): void {
  program
    .command('check <file>')
    .description('read a configuration of WireGuard or AmneziaWG, and say what is wrong with it')
    .option('--client <name>', 'fail as well when this program would not take it')
    .option('--json', 'print JSON for programs')
    .action((file: string, options: CheckOptions) => check(file, options, io));
}

function check(file: string, options: CheckOptions, { terminal }: Pick<CommandIo, 'terminal'>): void {
  const client = options.client === undefined ? null : clientProgram(options.client, '--client');
  const result = checkConfig(textOf(file));
  const faults = result.remarks.filter(({ verdict }) => verdict === 'fault').length;
  const why = result.clients?.find(({ program }) => program === client?.name)?.why ?? null;
  if (options.json === true) printJson(terminal, { file, sound: faults === 0, ...result });
  else print(result, terminal);
  if (faults > 0)
    throw new LatchkeyError('config_unsound', `${file} breaks ${faults === 1 ? 'a rule' : `${faults} rules`}`, {
      extra: { told: true },
    });
  if (why !== null) throw new LatchkeyError('client_unfit', why, { extra: { told: true } });
}

function print({ remarks, needs, mtu, peers, clients }: ConfigCheck, terminal: CommandIo['terminal']): void {
  const { stdout } = terminal;
  for (const { verdict, line, words } of remarks) {
    stdout.write(`${line === null ? 'the file' : `line ${line}`}: ${verdict}: ${words}\n`);
  }
  if (clients === null || mtu === null) return;
  stdout.write(
    `for ${needs === 'plain' ? 'plain WireGuard' : `AmneziaWG ${needs} or newer`}, ${peers} ${peers === 1 ? 'peer' : 'peers'}, ` +
      `MTU at most ${mtu.fits}${mtu.given === null ? ' (none is given)' : ` (${mtu.given} is given)`}\n\n`,
  );
  const rows = clients.map(({ program, why }) => [program, why === null ? 'yes' : 'no', why ?? '']);
  printTable(terminal, ['PROGRAM', 'TAKES IT', 'WHY NOT'], rows);
}

function textOf(file: string): string {
  try {
    const bytes = readFileSync(file);
    if (bytes.length <= MOST_BYTES) return bytes.toString('utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    throw new LatchkeyError('file_not_read', `${file} could not be read (${code})`, { cause });
  }
  throw new LatchkeyError('file_not_read', `${file} is too long for a configuration`);
}
