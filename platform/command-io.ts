import type { Command } from 'commander';
import type { Clock, RandomBytes } from './clock.ts';
import type { Terminal } from './command-line.ts';

/** What commands get from the process; `main.ts` fills it. */
export interface CommandIo {
  readonly terminal: Terminal;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** Aborted when the process is asked to end. From the first call on signals do nothing else; other commands just die. */
  readonly stopSignal: () => AbortSignal;
}

/** A command that works on a data directory, with `--data` and `--json`. */
export function dataCommand(parent: Command, usage: string, summary: string): Command {
  return parent
    .command(usage)
    .description(summary)
    .requiredOption('--data <dir>', 'data directory of the server')
    .option('--json', 'print JSON for programs');
}

/** A moment for people: ISO 8601 to the second, UTC. */
export function showTime(ms: number | null): string {
  return ms === null ? '-' : new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
}
