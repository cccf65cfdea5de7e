import ssh2, { type AnyAuthMethod } from 'ssh2';
import type { LatchkeyError } from '../../platform/errors.ts';
import { LoginAnswers } from './login-answers.ts';
import type { Prompter } from './prompter.ts';
import type { Exec } from './shell-transport.ts';
import type { LoginMethod } from './ssh-login.ts';
import { SshPrograms } from './ssh-programs.ts';
import type { SshTarget } from './ssh-target.ts';
import { connectFailure, sshTrouble } from './ssh-trouble.ts';

/** The one file that connects by the package ssh2, whose defaults trust any host and offer SHA-1. */
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
  const login = new LoginAnswers(options);
  return new Promise((resolve, reject) => {
    const fail = (error: LatchkeyError) => {
      clearTimeout(deadline);
      reject(login.failure ?? error);
      client.destroy();
    };
    const late = () => fail(sshTrouble('connect_timeout', `${target.host} port ${target.port} did not answer in time`));
    let deadline = setTimeout(late, options.connectTimeoutMs);
    client.on('handshake', () => {
      clearTimeout(deadline); // from here on a person may be asked, which takes its time; sshd has a limit of its own
      if (options.prompter === null) deadline = setTimeout(late, options.connectTimeoutMs);
    });
    client.on('error', (error: Error & { level?: string; code?: unknown }) => {
      if (error.level !== 'agent') fail(connectFailure(target, error));
    });
    client.on('close', () =>
      fail(sshTrouble('connect_failed', `${target.host} closed the connection before the login`)),
    );
    client.on('connect', () => client.setNoDelay(true)); // many small questions, each waiting for its answer
    client.on('ready', () => {
      clearTimeout(deadline);
      client.removeAllListeners('error').removeAllListeners('close');
      resolve(new SshPrograms(client, target));
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
