import { constants } from 'node:os';
import ssh2, { type AnyAuthMethod, type Client, type ClientChannel } from 'ssh2';
import { LatchkeyError } from '../../platform/errors.ts';
import type { Prompter } from './prompter.ts';
import { quoteForRemoteShell } from './remote-quoting.ts';
import type { Exec } from './shell-transport.ts';
import type { LoginMethod } from './ssh-login.ts';
import type { SshTarget } from './ssh-target.ts';
import type { RunResult } from './transport.ts';

/** The one file that touches the package ssh2, whose defaults trust any host and offer SHA-1. */
export interface SshConnection {
  readonly exec: Exec;
  close(): Promise<void>;
}

export interface SshConnectionOptions {
  readonly target: SshTarget;
  /** Asked for every key exchange; false ends the connection before anything secret is sent. */
  readonly isTrusted: (hostKey: Buffer) => boolean;
  /** Key types to prefer, as named in key blobs. */
  readonly preferredTypes: readonly string[];
  readonly methods: readonly LoginMethod[];
  readonly prompter: Prompter | null;
  readonly connectTimeoutMs: number;
}

const KEEPALIVE_MS = 10_000;
const KEEPALIVES_UNANSWERED = 3;
/** sshd allows 10 sessions a connection unless told otherwise (MaxSessions). */
const CHANNELS = 6;
/** A session ends a little later over there than here, and one whose program we had to stop may hold its place. */
const BUSY_TRIES = 50;
const BUSY_WAIT_MS = 100;
const PASSWORD_TRIES = 3;

const HOST_KEYS: Readonly<Record<string, readonly string[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
};

/** Connects, checks the host key and logs in. */
export function openSshConnection(options: SshConnectionOptions): Promise<SshConnection> {
  const { target } = options;
  const client = new ssh2.Client();
  const types = [...options.preferredTypes.filter((type) => type in HOST_KEYS), ...Object.keys(HOST_KEYS)];
  const serverHostKey = [...new Set(types)].flatMap((type) => HOST_KEYS[type] ?? []);
  const login = new Login(options);
  return new Promise((resolve, reject) => {
    const fail = (error: LatchkeyError) => {
      clearTimeout(deadline);
      reject(login.failure ?? error);
      client.destroy();
    };
    const late = () => fail(problem('connect_timeout', `${target.host} port ${target.port} did not answer in time`));
    let deadline = setTimeout(late, options.connectTimeoutMs);
    client.on('handshake', () => {
      clearTimeout(deadline); // from here on a person may be asked, which takes its time; sshd has a limit of its own
      if (options.prompter === null) deadline = setTimeout(late, options.connectTimeoutMs);
    });
    client.on('error', (error: Error & { level?: string; code?: unknown }) => {
      if (error.level !== 'agent') fail(connectFailure(target, error));
    });
    client.on('close', () => fail(problem('connect_failed', `${target.host} closed the connection before the login`)));
    client.on('connect', () => client.setNoDelay(true)); // many small questions, each waiting for its answer
    client.on('ready', () => {
      clearTimeout(deadline);
      client.removeAllListeners('error').removeAllListeners('close');
      resolve(new Channels(client, target));
    });
    client.connect({
      host: target.host,
      port: target.port,
      username: target.user,
      readyTimeout: 0,
      keepaliveInterval: KEEPALIVE_MS,
      keepaliveCountMax: KEEPALIVES_UNANSWERED,
      hostVerifier: (key: Buffer) => options.isTrusted(key),
      algorithms: {
        serverHostKey: serverHostKey as never,
        hmac: { remove: ['hmac-sha1', 'hmac-sha1-etm@openssh.com'], append: [], prepend: [] },
      },
      authHandler: (left, _partial, next) => {
        login.next(left as string[] | null).then(
          (method) => next(method as AnyAuthMethod),
          (error: unknown) => {
            login.failure = error as LatchkeyError;
            next(false as never);
          },
        );
      },
    });
  });
}

/** Hands the server one way to log in after the other, asking the person only when one is due. */
class Login {
  failure: LatchkeyError | undefined;
  readonly #options: SshConnectionOptions;
  readonly #queue: LoginMethod[];
  #passwords = 0;

  constructor(options: SshConnectionOptions) {
    this.#options = options;
    this.#queue = [...options.methods];
  }

  /** `left` is null before the server has said what it takes; then `none` makes it say so (RFC 4252, section 5.2). */
  async next(left: string[] | null): Promise<AnyAuthMethod | false> {
    const username = this.#options.target.user;
    if (left === null) return { type: 'none', username };
    for (let method = this.#queue[0]; method !== undefined; method = this.#queue[0]) {
      if (method.type === 'password') {
        const found = await this.#password(left);
        if (found !== null) return found;
      }
      this.#queue.shift();
      if (!left.includes('publickey')) continue;
      if (method.type === 'agent') return { type: 'agent', username, agent: method.socket };
      if (method.type === 'key') {
        const key = await this.#openKey(method);
        if (key !== null) return { type: 'publickey', username, key };
      }
    }
    return false;
  }

  async #password(left: string[]): Promise<AnyAuthMethod | null> {
    const { target, prompter } = this.#options;
    if (prompter === null || this.#passwords++ >= PASSWORD_TRIES) return null;
    const username = target.user;
    if (left.includes('keyboard-interactive')) {
      const prompt = (_name: string, _text: string, _lang: string, prompts: { prompt: string; echo?: boolean }[]) =>
        this.#answer(prompts.map((entry) => ({ text: entry.prompt, secret: entry.echo !== true })));
      return {
        type: 'keyboard-interactive',
        username,
        prompt: (name, text, lang, prompts, finish) => {
          prompt(name, text, lang, prompts as never).then(finish, () => finish([]));
        },
      };
    }
    if (!left.includes('password')) return null;
    const [password] = await this.#answer([{ text: 'password', secret: true }]);
    return password === undefined ? null : { type: 'password', username, password };
  }

  /** The server words its own questions, so they are shown as the server's, without control characters. */
  async #answer(questions: readonly { text: string; secret: boolean }[]): Promise<string[]> {
    const { target, prompter } = this.#options;
    const answers: string[] = [];
    for (const { text, secret } of questions) {
      const clean = text
        .replace(/[^\x20-\x7e]/g, '')
        .replace(/[: ]+$/, '')
        .slice(0, 200);
      const answer = await prompter?.ask(`${target.user}@${target.host} asks: ${clean}`, { secret });
      if (answer === null || answer === undefined) {
        this.#passwords = PASSWORD_TRIES;
        return [];
      }
      answers.push(answer);
    }
    return answers;
  }

  async #openKey(method: LoginMethod & { type: 'key' }): Promise<Buffer | ReturnType<typeof parseKey>> {
    const first = parseKey(method.data);
    if (first !== 'encrypted') return first ?? this.#unusable(method);
    const { prompter } = this.#options;
    for (let tries = 0; prompter !== null && tries < PASSWORD_TRIES; tries++) {
      const passphrase = await prompter.ask(`passphrase of ${method.file}`, { secret: true });
      if (passphrase === null) break;
      const key = parseKey(method.data, passphrase);
      if (key !== null && key !== 'encrypted') return key;
    }
    return this.#unusable(method);
  }

  #unusable(method: LoginMethod & { type: 'key' }): null {
    if (!method.required) return null;
    throw new LatchkeyError('identity_unusable', `the key file ${method.file} could not be opened`, {
      field: '--identity',
      hint: 'its passphrase was wrong or could not be asked for, or it is not a private key; an agent works too',
    });
  }
}

type PrivateKey = Exclude<ReturnType<typeof ssh2.utils.parseKey>, Error>;

/** The key, `encrypted` when the passphrase is missing or wrong, or null when it is nothing we can use. */
function parseKey(data: Buffer, passphrase?: string): PrivateKey | 'encrypted' | null {
  const parsed = ssh2.utils.parseKey(data, passphrase) as ReturnType<typeof ssh2.utils.parseKey> | PrivateKey[];
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key instanceof Error) return /encrypted|passphrase|integrity/i.test(key.message) ? 'encrypted' : null;
  return key?.isPrivateKey() ? key : null;
}

/** Programs over one logged-in connection, several at a time. */
class Channels implements SshConnection {
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
            problem(
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
          const refused = problem('channel_refused', `${this.#target.host} refused to run ${program}`);
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
        else stop(problem('command_too_loud', `${program} wrote more than ${options.maxBytes} bytes`));
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
    return problem('connection_lost', `the connection to ${this.#target.host} broke`);
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

const BY_HAND = 'is the machine up, its name right, and its port (user@host:port)? see whether ssh itself gets there';
const HINTS: Readonly<Record<string, string>> = {
  connection_lost: 'nothing is lost: run the same command again, or `ncpatch rollback`',
  connect_timeout: BY_HAND,
  connect_failed: BY_HAND,
};

function problem(code: string, message: string): LatchkeyError {
  const hint = HINTS[code];
  return new LatchkeyError(code, message, hint === undefined ? {} : { hint });
}

const NETWORK_WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'the name is not known',
  EAI_AGAIN: 'the name could not be looked up',
  EHOSTUNREACH: 'there is no route',
  ENETUNREACH: 'there is no route',
  ETIMEDOUT: 'there was no answer',
  ECONNRESET: 'the connection was reset',
};

function connectFailure(target: SshTarget, error: Error & { level?: string; code?: unknown }): LatchkeyError {
  const place = `${target.host} port ${target.port}`;
  if (error.level === 'client-authentication') {
    return new LatchkeyError('login_refused', `${place} did not let ${target.user} in`, {
      hint: 'start an agent with the right key, name a key with --identity, or run at a terminal to give a password',
      cause: error,
    });
  }
  const words = NETWORK_WORDS[String(error.code)] ?? 'the key exchange failed';
  return new LatchkeyError('connect_failed', `no connection to ${place}: ${words}`, { hint: BY_HAND, cause: error });
}
