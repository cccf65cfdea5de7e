import { constants } from 'node:os';
import type { Client, ClientChannel } from 'ssh2';
import type { LatchkeyError } from '../../platform/errors.ts';
import { quoteForRemoteShell } from './remote-quoting.ts';
import type { Exec } from './shell-transport.ts';
import type { SshTarget } from './ssh-target.ts';
import { sshTrouble } from './ssh-trouble.ts';
import type { RunResult } from './transport.ts';

/** sshd allows 10 sessions a connection unless told otherwise (MaxSessions). */
const CHANNELS = 6;
/** A session ends a little later over there than here, and one whose program we had to stop may hold its place. */
const BUSY_TRIES = 50;
const BUSY_WAIT_MS = 100;

/** Programs over one logged-in connection, several at a time. */
export class SshPrograms {
  readonly #client: Client;
  readonly #target: SshTarget;
  readonly #running = new Set<(error: LatchkeyError) => void>();
  readonly #waiting: (() => void)[] = [];
  #free = CHANNELS;
  #lost = false;

  constructor(client: Client, target: SshTarget) {
    this.#client = client;
    this.#target = target;
    const lose = () => {
      this.#lost = true;
      for (const reject of this.#running) reject(this.#lostError());
      for (const start of this.#waiting.splice(0)) start();
    };
    client.on('error', lose);
    client.on('close', lose);
  }

  readonly exec: Exec = async (argv, options) => {
    const line = `exec ${quoteForRemoteShell(argv)}`; // no shell stays in between, so that a signal reaches the program
    if (this.#free === 0) await new Promise<void>((start) => this.#waiting.push(start));
    else this.#free--;
    try {
      return await this.#run(line, argv[0], options);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  };

  #run(line: string, program: string, options: Parameters<Exec>[1]): Promise<RunResult> {
    return new Promise<RunResult>((resolve, reject) => {
      if (this.#lost) return reject(this.#lostError());
      let channel: ClientChannel | undefined;
      let busy = 0;
      const settle = (finish: () => void) => {
        clearTimeout(timer);
        this.#running.delete(stop);
        finish();
      };
      const stop = (error: LatchkeyError) => {
        if (!this.#running.has(stop)) return;
        settle(() => reject(error));
        channel?.signal('KILL');
        channel?.close();
      };
      const timer = setTimeout(
        () =>
          stop(
            sshTrouble(
              'command_timeout',
              `${program} on ${this.#target.host} did not finish within ${options.timeoutMs} ms`,
            ),
          ),
        options.timeoutMs,
      );
      this.#running.add(stop);
      const opened = (error: Error | undefined, stream: ClientChannel) => {
        if (error !== undefined) {
          if (!this.#lost && this.#running.has(stop) && ++busy < BUSY_TRIES)
            return void setTimeout(start, BUSY_WAIT_MS);
          const refused = sshTrouble('channel_refused', `${this.#target.host} refused to run ${program}`);
          return settle(() => reject(this.#lost ? this.#lostError() : refused));
        }
        channel = stream;
        if (!this.#running.has(stop)) return stream.close();
        this.#follow(stream, program, options, stop, (result) => settle(() => resolve(result)));
        stream.end(options.input);
      };
      const start = () => {
        if (!this.#running.has(stop)) return;
        try {
          this.#client.exec(line, opened);
        } catch {
          settle(() => reject(this.#lostError())); // ssh2 throws when the socket is gone already
        }
      };
      start();
    });
  }

  #follow(
    channel: ClientChannel,
    program: string,
    options: Parameters<Exec>[1],
    stop: (error: LatchkeyError) => void,
    done: (result: RunResult) => void,
  ): void {
    const kept = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    const keep = (list: Buffer[]) => {
      let size = 0;
      return (chunk: Buffer) => {
        size += chunk.length;
        if (size <= options.maxBytes) list.push(chunk);
        else stop(sshTrouble('command_too_loud', `${program} wrote more than ${options.maxBytes} bytes`));
      };
    };
    channel.on('data', keep(kept.stdout));
    if (options.onStdout !== undefined) channel.on('data', options.onStdout);
    channel.stderr.on('data', keep(kept.stderr));
    channel.on('error', () => undefined); // a program may end without reading all of its input
    let exit: number | undefined;
    channel.on('exit', (code: number | null, signal?: string) => {
      exit = code ?? 128 + ((constants.signals as Record<string, number>)[signal ?? ''] ?? 0);
    });
    channel.on('close', () => {
      if (exit === undefined) return stop(this.#lostError());
      done({ exit, stdout: Buffer.concat(kept.stdout), stderr: Buffer.concat(kept.stderr).toString('utf8') });
    });
  }

  #lostError(): LatchkeyError {
    return sshTrouble('connection_lost', `the connection to ${this.#target.host} broke`);
  }

  async close(): Promise<void> {
    if (this.#lost) return;
    await new Promise<void>((done) => {
      const timer = setTimeout(() => this.#client.destroy(), 2000);
      this.#client.on('close', () => {
        clearTimeout(timer);
        done();
      });
      this.#client.end();
    });
  }
}
