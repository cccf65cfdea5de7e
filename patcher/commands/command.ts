import { type Command, Option } from 'commander';
import type { RandomBytes } from '../../platform/clock.ts';
import type { Terminal } from '../../platform/command-line.ts';
import type { Journal, JournalWriter } from '../journal/journal.ts';
import { type JournalDeps, withJournal } from '../journal/transaction.ts';
import { progressOn } from '../progress.ts';
import type { Prompter } from '../transports/prompter.ts';
import { openWorkplace, type WorkOptions, type Workplace } from '../workplace.ts';
import type { InterruptSource } from './interrupted.ts';

/** All that the commands take from the process. */
export interface CommandDeps {
  readonly terminal: Terminal;
  /** `null` where nobody sits at a terminal. */
  readonly prompter: Prompter | null;
  /** `php-app/` of this project. */
  readonly appFolder: string;
  readonly now: () => number;
  readonly random: RandomBytes;
  readonly by: JournalWriter;
  /** How this program itself is started, before its arguments. */
  readonly self: readonly [string, ...string[]];
  /** Where Ctrl-C is heard. */
  readonly interrupts: InterruptSource;
  /** The exit code of a command that was carried out and still found something wrong. */
  readonly endWith: (exit: 1 | 3) => void;
}

/** What every command takes. */
export interface CommonOptions extends WorkOptions {
  readonly json?: boolean;
  readonly takeOver?: boolean;
  readonly dryRun?: boolean;
}

/** A command with the options that say which Nextcloud is meant. */
export function command(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option('--ssh <user@host[:port]>', 'the server, by ssh')
    .option('--local', 'this machine')
    .option('--sudo', 'become root with sudo there')
    .option('--identity <file>', 'private key for ssh')
    .option('--known-hosts <file>', 'host keys to trust, instead of ~/.ssh/known_hosts')
    .addOption(new Option('--accept-host-key <SHA256:…>', 'trust this fingerprint of a host that is not known yet'))
    .option('--root <folder>', 'which nextcloud, where there are several or it lies in an unusual place')
    .option('--container <name>', 'the container that nextcloud is in, where there are several')
    .option('--php <program>', 'the PHP that occ is run with')
    .option('--json', 'print JSON for programs');
}

/** A command that takes the lock of the journal. */
export function changing(program: Command, name: string, description: string): Command {
  return command(program, name, description).option(
    '--take-over',
    'take the lock of another ncpatch that seems to run, when it is known to be gone',
  );
}

/** Opens the one Nextcloud that is meant, and closes the connection whatever happens. */
export async function at(
  options: WorkOptions,
  deps: CommandDeps,
  work: (place: Workplace) => Promise<void>,
): Promise<void> {
  const place = await openWorkplace(options, { prompter: deps.prompter, env: deps.terminal.env });
  try {
    await work(place);
  } finally {
    await place.close();
  }
}

/** The same under the lock of the journal, after whatever an earlier run left was settled. */
export function locked(
  options: CommonOptions,
  deps: CommandDeps,
  work: (place: Workplace, journal: Journal) => Promise<void>,
): Promise<void> {
  return at(options, deps, (place) =>
    withJournal(place, journalDeps(options, deps), (journal) => work(place, journal)),
  );
}

/** What a transaction takes from the command line and the process. */
export function journalDeps(options: CommonOptions, deps: CommandDeps): JournalDeps {
  return {
    progress: progressOn(deps.terminal.stderr),
    by: deps.by,
    now: deps.now,
    random: deps.random,
    takeOver: options.takeOver === true,
  };
}
