import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as z from 'zod';
import { serverNodeOptions } from '../../keyserver/service.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { run } from '../../platform/run.ts';
import { type Argv, BackgroundProcess } from './background-process.ts';
import type { Cleanup } from './cleanup.ts';
import { loopback, type Place } from './place.ts';

const project = resolve(import.meta.dirname, '..', '..');

/** The command line of one of the project's own programs, on the pinned Node. */
export function projectProgram(
  file: 'keyserver/main.ts' | 'patcher/main.ts' | 'wireguard/main.ts',
  options: readonly string[] = ['--disable-warning=ExperimentalWarning'],
): Argv {
  const node = join(project, 'node_modules', '.bin', 'node');
  return [existsSync(node) ? node : process.execPath, ...options, join(project, file)];
}

/** What `client add --json` prints. */
const invitationSchema = z.object({
  clientId: z.string(),
  code: z.string(),
  url: z.string(),
  ca: z.string(),
  grant: z.string(),
});
export type Invitation = z.infer<typeof invitationSchema>;

export interface ProgramAnswer {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as JSON; throws when it is none. */
  json(): unknown;
}

/** A key server as an operator runs it: by its command line, in a data directory, at a place. */
export class KeyServer {
  readonly data: string;
  readonly listen: string;
  readonly #keyfile: string;
  readonly #place: Place;
  readonly #cleanup: Cleanup;
  #process: BackgroundProcess | null = null;

  private constructor(data: string, listen: string, place: Place, cleanup: Cleanup) {
    this.data = data;
    this.listen = listen;
    this.#keyfile = `${data}.keyfile`;
    this.#place = place;
    this.#cleanup = cleanup;
  }

  /** `keyserver init`: a data directory that must not exist yet, with a key file beside it. */
  static async init(options: {
    readonly data: string;
    readonly port: number;
    readonly cleanup: Cleanup;
    readonly place?: Place;
  }): Promise<KeyServer> {
    const place = options.place ?? loopback;
    const server = new KeyServer(options.data, `${place.address}:${options.port}`, place, options.cleanup);
    await server.command(['init', '--listen', server.listen, '--keyfile', server.#keyfile]);
    return server;
  }

  get pid(): number | null {
    return this.#process?.pid ?? null;
  }

  /** Runs `keyserver …` on the data directory with `--json`; a refusal throws what the program said. */
  async command(argv: readonly [string, ...string[]], options: { anyExit?: boolean } = {}): Promise<ProgramAnswer> {
    const command = [...projectProgram('keyserver/main.ts'), ...argv, '--data', this.data, '--json'];
    const result = await run(this.#place.inside(command as unknown as Argv), { timeoutMs: 60_000, allowExit: 'any' });
    const stdout = result.stdout.toString('utf8');
    if (result.exit !== 0 && options.anyExit !== true) {
      throw new LatchkeyError('keyserver_failed', `keyserver ${argv[0]} ended with exit code ${result.exit}`, {
        extra: { said: result.stderr.slice(-2000) },
      });
    }
    return { exit: result.exit, stdout, stderr: result.stderr, json: () => JSON.parse(stdout) };
  }

  async addClient(name: string, options: readonly string[] = []): Promise<Invitation> {
    const answer = await this.command(['client', 'add', name, ...options]);
    return invitationSchema.parse(answer.json());
  }

  /** Returns once the server says that it serves. */
  async start(): Promise<void> {
    if (this.#process?.isRunning() === true) return;
    const program = projectProgram('keyserver/main.ts', serverNodeOptions); // its memory is bounded as an operator's is
    const command = [...program, 'start', '--data', this.data, '--keyfile', this.#keyfile];
    const started = await BackgroundProcess.start(this.#place.inside(command as unknown as Argv), {
      readyWhen: /^serving /m,
    });
    this.#process = started;
    this.#cleanup.add('key server', () => started.stop());
  }

  /** SIGTERM, and waits for the graceful end. */
  async stop(): Promise<void> {
    await this.#process?.stop();
  }

  /** SIGKILL, as a power cut would. */
  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  /** What the running server has printed, the last 64 KiB. */
  output(): string {
    return this.#process?.output() ?? '';
  }
}
