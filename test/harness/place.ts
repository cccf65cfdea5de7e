import type { Argv } from './background-process.ts';

/** Where a program of a test runs: on this machine's own network, or inside a network namespace. */
export interface Place {
  /** The address under which the other place reaches it. */
  readonly address: string;
  /** The same command, run there. */
  inside(argv: Argv): Argv;
}

/** This machine itself, on loopback. */
export const loopback: Place = { address: '127.0.0.1', inside: (argv) => argv };
