import { PassThrough } from 'node:stream';
import type { Command } from 'commander';
import { type Clock, systemClock, systemRandom } from '../../platform/clock.ts';
import type { CommandIo } from '../../platform/command-io.ts';
import { runProgram } from '../../platform/command-line.ts';

export interface Said {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command line within this process, where nobody can be asked; some times quicker than a process of its own. */
export async function runCommand(
  add: (program: Command, io: CommandIo) => void,
  argv: readonly string[],
  clock: Clock = systemClock,
): Promise<Said> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const terminal = { stdin, stdout, stderr, env: {} };
  const io: CommandIo = { terminal, clock, random: systemRandom, stopSignal: () => new AbortController().signal };
  const exit = await runProgram('keyserver', (program) => add(program, io), argv, terminal);
  const text = (stream: PassThrough): string => (stream.read() as Buffer | null)?.toString() ?? '';
  return { exit, stdout: text(stdout), stderr: text(stderr) };
}
