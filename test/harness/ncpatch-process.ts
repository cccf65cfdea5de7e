import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LatchkeyError } from '../../platform/errors.ts';
import { run } from '../../platform/run.ts';
import type { Argv } from './background-process.ts';
import { type ProgramAnswer, projectProgram } from './keyserver-process.ts';
import type { Place } from './place.ts';
import type { TestSshd } from './sshd.ts';

/** `ncpatch` as an administrator runs it from another machine: over SSH, with a home of its own and a known host key. */
export class Ncpatch {
  readonly #place: Place;
  readonly #home: string;
  readonly #target: readonly string[];

  constructor(options: {
    readonly place: Place;
    readonly home: string;
    readonly sshd: TestSshd;
    readonly root: string;
  }) {
    const { place, home, sshd, root } = options;
    this.#place = place;
    this.#home = home;
    mkdirSync(join(home, '.ssh'), { recursive: true, mode: 0o700 });
    writeFileSync(join(home, '.ssh', 'known_hosts'), readFileSync(sshd.knownHosts));
    const target = `root@${sshd.address}:${sshd.port}`;
    this.#target = ['--ssh', target, '--identity', sshd.identity, '--root', root];
  }

  /** Runs one command with `--json`; a refusal throws what the program said unless any exit code is taken. */
  async command(
    argv: readonly [string, ...string[]],
    options: { readonly input?: string; readonly anyExit?: boolean; readonly timeoutMs?: number } = {},
  ): Promise<ProgramAnswer> {
    const command = [...projectProgram('patcher/main.ts'), ...argv, ...this.#target, '--json'];
    const result = await run(this.#place.inside(command as unknown as Argv), {
      timeoutMs: options.timeoutMs ?? 240_000,
      allowExit: 'any',
      env: { HOME: this.#home, SSH_AUTH_SOCK: '', LATCHKEY_DEBUG: '1' },
      ...(options.input === undefined ? {} : { input: options.input }),
    });
    const stdout = result.stdout.toString('utf8');
    if (result.exit !== 0 && options.anyExit !== true) {
      throw new LatchkeyError('ncpatch_failed', `ncpatch ${argv[0]} ended with exit code ${result.exit}`, {
        extra: { said: result.stderr.slice(-2000) },
      });
    }
    return { exit: result.exit, stdout, stderr: result.stderr, json: () => JSON.parse(stdout) };
  }
}
