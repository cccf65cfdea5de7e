import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

export type Argv = readonly [string, ...string[]];

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Started is what has printed this … */
  readonly readyWhen?: RegExp;
  /** … or made this true, asked every 25 ms. */
  readonly readyIf?: () => boolean | Promise<boolean>;
  readonly timeoutMs?: number;
}

/** A program that runs beside a test and is ended by its own process id, never by name. */
export class BackgroundProcess {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #name: string;
  #output = '';
  #ended: Promise<void>;

  private constructor(name: string, child: ChildProcess, pid: number) {
    this.#name = name;
    this.#child = child;
    this.pid = pid;
    const keep = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString('utf8')).slice(-65_536);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    this.#ended = new Promise((resolve) => child.once('exit', () => resolve()));
  }

  static async start(argv: Argv, options: StartOptions = {}): Promise<BackgroundProcess> {
    const [command, ...rest] = argv;
    const child = spawn(command, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', () => resolve());
      child.once('error', reject);
    });
    const started = new BackgroundProcess(command, child, child.pid ?? 0);
    try {
      await started.#waitUntilReady(options);
    } catch (error) {
      await started.kill();
      throw error;
    }
    return started;
  }

  async #waitUntilReady(options: StartOptions): Promise<void> {
    const deadline = Date.now() + (options.timeoutMs ?? 15_000);
    for (;;) {
      if (!this.isRunning()) throw new Error(`${this.#name} ended at once:\n${this.#output}`);
      const printed = options.readyWhen === undefined || options.readyWhen.test(this.#output);
      if (printed && (options.readyIf === undefined || (await options.readyIf()))) return;
      if (Date.now() > deadline) throw new Error(`${this.#name} was not ready in time:\n${this.#output}`);
      await sleep(25);
    }
  }

  isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** What it has printed on both streams, the last 64 KiB. */
  output(): string {
    return this.#output;
  }

  /** Asks it to end, and insists after `graceMs`. */
  async stop(graceMs = 5_000): Promise<void> {
    if (!this.isRunning()) return;
    this.#child.kill('SIGTERM');
    const insist = setTimeout(() => this.#child.kill('SIGKILL'), graceMs);
    await this.#ended;
    clearTimeout(insist);
  }

  async kill(): Promise<void> {
    if (!this.isRunning()) return;
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}
