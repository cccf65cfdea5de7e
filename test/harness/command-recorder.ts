import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from './programs.ts';

/**
 * Stand-ins for programs, first on PATH: each writes down its arguments and its environment, as everybody on the machine
 * or its owner could read them in /proc, and then is the real one.
 */
export class CommandRecorder {
  readonly #log: string;
  /** The value of PATH under which the stand-ins are found first. */
  readonly path: string;

  constructor(folder: string, programs: readonly string[]) {
    const bin = join(folder, 'recording-bin');
    mkdirSync(bin, { recursive: true });
    this.#log = join(folder, 'recorded');
    this.path = `${bin}:${process.env.PATH ?? ''}`;
    writeFileSync(this.#log, '');
    for (const name of programs) {
      const real = findProgram(name);
      if (real === null) continue;
      const text = `#!/bin/sh
{ printf '%s\\n' '# ${name}' "$@"; /usr/bin/tr '\\0' '\\n' </proc/$$/environ; } >>'${this.#log}'
exec '${real}' "$@"
`;
      writeFileSync(join(bin, name), text, { mode: 0o755 });
    }
  }

  /** Everything recorded so far. */
  text(): string {
    return readFileSync(this.#log, 'utf8');
  }
}
