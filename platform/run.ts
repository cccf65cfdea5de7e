import { spawn } from 'node:child_process';
import { LatchkeyError } from './errors.ts';

export interface RunOptions {
  /** Handed to the program's standard input; secrets travel here and nowhere else. */
  readonly input?: string | Uint8Array;
  /** The program is killed after this many milliseconds (`command_timeout`). */
  readonly timeoutMs: number;
  /** Bytes of standard output, and of standard error, that are kept at the most (`command_too_loud`); 8 MiB unless told. */
  readonly maxBytes?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Told each piece of standard output as it comes; all of it is in the result too. */
  readonly onStdout?: (chunk: Buffer) => void;
  /** Exit codes that are an answer and not a failure; 0 always is. */
  readonly allowExit?: readonly number[] | 'any';
  /** Told what the program writes to standard error while it runs, as it comes. */
  readonly onStderr?: (chunk: Buffer) => void;
}

export interface RunResult {
  readonly exit: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** How long a killed program may take to be gone before its caller goes on without it. */
const KILLED_MS = 1000;

/**
 * Runs a program by its argument vector, never through a shell. Throws `command_missing`, `command_timeout`,
 * `command_too_loud` or `command_failed`; the messages name the program and its exit code only, because arguments and
 * output may hold what does not belong into a message (`stderr` is in `extra.stderr`, for whoever knows it to be clean).
 * A deadline holds whatever the program has started by itself: what lives on with its output in hand is not waited for.
 */
export function run(argv: readonly [string, ...string[]], options: RunOptions): Promise<RunResult> {
  const [command, ...rest] = argv;
  const limit = options.maxBytes ?? 8_388_608;
  return new Promise((resolve, reject) => {
    const child = spawn(command, rest, {
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...process.env, ...options.env },
    });
    const kept = { out: [] as Buffer[], err: [] as Buffer[] };
    const size = { out: 0, err: 0 };
    let broken: LatchkeyError | null = null;
    const stop = (error: LatchkeyError): void => {
      if (broken !== null) return;
      broken = error;
      child.kill('SIGKILL');
      for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe.destroy(); // others may hold their other ends
      child.unref();
      timer = setTimeout(() => reject(error), KILLED_MS);
    };
    let timer = setTimeout(
      () => stop(new LatchkeyError('command_timeout', `${command} did not finish within ${options.timeoutMs} ms`)),
      options.timeoutMs,
    );
    const keep = (name: 'out' | 'err') => (chunk: Buffer) => {
      size[name] += chunk.length;
      if (size[name] > limit) stop(new LatchkeyError('command_too_loud', `${command} wrote more than ${limit} bytes`));
      else kept[name].push(chunk);
    };
    child.stdout.on('data', keep('out'));
    child.stderr.on('data', keep('err'));
    if (options.onStdout !== undefined) child.stdout.on('data', options.onStdout);
    if (options.onStderr !== undefined) child.stderr.on('data', options.onStderr);
    child.stdin.on('error', () => undefined); // a program may end without reading all of its input
    child.on('error', (cause: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      const code = cause.code === 'ENOENT' ? 'command_missing' : 'command_failed';
      reject(new LatchkeyError(code, `${command} could not be started (${cause.code ?? 'unknown'})`));
    });
    child.on('close', (exitCode, signal) => {
      clearTimeout(timer);
      if (broken !== null) return reject(broken);
      const exit = exitCode ?? 128;
      const result = { exit, stdout: Buffer.concat(kept.out), stderr: Buffer.concat(kept.err).toString('utf8') };
      if (exit === 0 || options.allowExit === 'any' || options.allowExit?.includes(exit)) return resolve(result);
      const ending = signal === null ? `exit code ${exit}` : `signal ${signal}`;
      reject(
        new LatchkeyError('command_failed', `${command} ended with ${ending}`, {
          extra: { exit, stderr: result.stderr.slice(-4096) },
        }),
      );
    });
    child.stdin.end(options.input ?? '');
  });
}

/** A program that was started and not waited for. */
export interface Launched {
  /** Its exit code, once it has ended and while it has not `null`; 128 when a signal ended it. */
  readonly exit: () => number | null;
}

/**
 * Starts a program that is to outlive this process: in a session and a process group of its own, where no signal to this one's
 * terminal or group reaches it, and with nothing in hand of this process. It does not keep this process from ending. While this
 * process lives it is waited for when it ends, so that nothing of it stays behind. Throws `command_missing`, `command_failed`.
 */
export function launch(
  argv: readonly [string, ...string[]],
  options: { readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Launched> {
  const [command, ...rest] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(command, rest, {
      detached: true,
      stdio: 'ignore',
      cwd: '/',
      env: { ...process.env, ...options.env },
    });
    let exit: number | null = null;
    child.once('exit', (code) => {
      exit = code ?? 128;
    });
    child.once('error', (cause: NodeJS.ErrnoException) => {
      const code = cause.code === 'ENOENT' ? 'command_missing' : 'command_failed';
      reject(new LatchkeyError(code, `${command} could not be started (${cause.code ?? 'unknown'})`));
    });
    child.once('spawn', () => {
      child.unref();
      resolve({ exit: () => exit });
    });
  });
}
