import { PassThrough, Writable } from 'node:stream';
import type { Command } from 'commander';
import { type Clock, systemClock, systemRandom } from '../../platform/clock.ts';
import type { CommandIo } from '../../platform/command-io.ts';
import { runProgram } from '../../platform/command-line.ts';

export interface Said {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Scene {
  /** What the program is called. */
  readonly program: string;
  readonly clock?: Clock;
  /** Lines that somebody types at a terminal; without them nobody can be asked. */
  readonly typed?: readonly string[];
}

/** Runs one command line within this process; some times quicker than a process of its own. */
export async function runCommandHere(
  add: (program: Command, io: CommandIo) => void,
  argv: readonly string[],
  { program: name, clock = systemClock, typed }: Scene,
): Promise<Said> {
  const said = { stdout: '', stderr: '' };
  const sink = (to: 'stdout' | 'stderr') => {
    const write = (chunk: Buffer, _: string, done: () => void): void => {
      said[to] += chunk.toString();
      done();
    };
    return Object.assign(new Writable({ write }), typed === undefined ? {} : { isTTY: true });
  };
  const stdin = Object.assign(new PassThrough(), typed === undefined ? {} : { isTTY: true });
  for (const line of typed ?? []) stdin.write(`${line}\n`);
  const terminal = { stdin, stdout: sink('stdout'), stderr: sink('stderr'), env: {} };
  const io: CommandIo = { terminal, clock, random: systemRandom, stopSignal: () => new AbortController().signal };
  const exit = await runProgram(name, (program) => add(program, io), argv, terminal);
  return { exit, ...said };
}
