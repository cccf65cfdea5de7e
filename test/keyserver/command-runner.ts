import type { Command } from 'commander';
import { type Clock, systemClock } from '../../platform/clock.ts';
import type { CommandIo } from '../../platform/command-io.ts';
import { runCommandHere, type Said } from '../harness/command-runner.ts';

export type { Said } from '../harness/command-runner.ts';

/** Runs one command of the key server within this process, where nobody can be asked. */
export function runCommand(
  add: (program: Command, io: CommandIo) => void,
  argv: readonly string[],
  clock: Clock = systemClock,
): Promise<Said> {
  return runCommandHere(add, argv, { program: 'keyserver', clock });
}
