import type { Command } from 'commander';
import { type Clock, systemClock } from '../../platform/clock.ts';
import type { CommandIo } from '../../platform/command-io.ts';
import { runCommandHere, type Said } from '../harness/command-runner.ts';

export type { Said } from '../harness/command-runner.ts';

/** Runs one command of the hub within this process; with `typed`, somebody sits at the terminal. */
export function runHubCommand(
  add: (program: Command, io: CommandIo) => void,
  argv: readonly string[],
  { clock = systemClock, typed }: { readonly clock?: Clock; readonly typed?: readonly string[] } = {},
): Promise<Said> {
  return runCommandHere(add, argv, { program: 'wghub', clock, ...(typed === undefined ? {} : { typed }) });
}
