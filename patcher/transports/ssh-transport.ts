import { homedir } from 'node:os';
import { join } from 'node:path';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import { expectedKeyTypes, type HostKeyTrust, lookUpHostKey, settleHostKey } from './host-key-trust.ts';
import type { Prompter } from './prompter.ts';
import { openSshConnection, type SshConnection } from './ssh-connection.ts';
import { loginMethods } from './ssh-login.ts';
import type { SshTarget } from './ssh-target.ts';
import { loginToTarget } from './target-login.ts';
import type { Transport } from './transport.ts';

export interface SshOptions {
  /** From `parseSshTarget`. */
  readonly target: SshTarget;
  /** Run everything as root through sudo. */
  readonly sudo?: boolean;
  /** A private key file; then the agent's keys come second and the usual files are not looked at. */
  readonly identity?: string;
  /** `SHA256:…`, trusted for a host that is not in known_hosts yet; useless for one that changed. */
  readonly acceptHostKey?: string;
  /** First is read and written, the others only read. Default `~/.ssh/known_hosts`, `/etc/ssh/ssh_known_hosts`. */
  readonly knownHosts?: readonly string[];
  /** Where `id_ed25519`, `id_ecdsa`, `id_rsa` are looked for; default `~/.ssh`. */
  readonly keyFolder?: string;
  /** Path of the agent's socket; pass `SSH_AUTH_SOCK`. */
  readonly agent?: string;
  /** Asks a person; null when there is no terminal. */
  readonly prompter: Prompter | null;
  /** For reaching the TCP port and the key exchange; default 20 s. */
  readonly connectTimeoutMs?: number;
}

const CONNECT_TIMEOUT_MS = 20_000;
const ACCEPT = /^SHA256:[A-Za-z0-9+/]{43}$/;

/**
 * Connects, checks the host key, logs in, finds out who it is there. A host that is not known yet is asked about between
 * two connections, never while one hangs half-made, and the second must show the very key that was agreed to.
 */
export async function openSshTransport(options: SshOptions): Promise<Transport> {
  if (options.acceptHostKey !== undefined && !ACCEPT.test(options.acceptHostKey)) {
    throw new LatchkeyError('invalid_fingerprint', '"--accept-host-key" must be SHA256: and 43 characters', {
      exit: 2,
      field: '--accept-host-key',
    });
  }
  const { user, host, port } = options.target;
  const trust: HostKeyTrust = {
    target: options.target,
    files: options.knownHosts ?? [join(homedir(), '.ssh', 'known_hosts'), '/etc/ssh/ssh_known_hosts'],
    accept: options.acceptHostKey,
    prompter: options.prompter,
  };
  const connection = await connectTrusted(options, trust);
  try {
    return await loginToTarget({
      label: `${user}@${host.includes(':') ? `[${host}]` : host}:${port}`,
      exec: connection.exec,
      sudo: options.sudo ?? false,
      prompter: options.prompter,
      close: () => connection.close(),
    });
  } catch (error) {
    await connection.close();
    throw error;
  }
}

async function connectTrusted(options: SshOptions, trust: HostKeyTrust): Promise<SshConnection> {
  const first = await tryConnection(options, trust);
  if (!Buffer.isBuffer(first)) return first;
  await settleHostKey(trust, first);
  const second = await tryConnection(options, trust);
  if (!Buffer.isBuffer(second)) return second;
  await settleHostKey({ ...trust, prompter: null, accept: undefined }, second);
  throw new LatchkeyError('host_key_unknown', `${trust.target.host} shows a new key at each connection`, { exit: 3 });
}

/** The connection, or the host key that stood in its way. */
async function tryConnection(options: SshOptions, trust: HostKeyTrust): Promise<SshConnection | Buffer> {
  let refused: Buffer | undefined;
  try {
    return await openSshConnection({
      target: options.target,
      isTrusted: (key) => {
        if (lookUpHostKey(trust, key).verdict === 'known') return true;
        refused = Buffer.from(key);
        return false;
      },
      preferredTypes: expectedKeyTypes(trust),
      methods: loginMethods({
        identity: options.identity,
        agent: options.agent,
        prompter: options.prompter,
        ...(options.keyFolder === undefined ? {} : { keyFolder: options.keyFolder }),
      }),
      prompter: options.prompter,
      connectTimeoutMs: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    });
  } catch (error) {
    if (refused !== undefined && isLatchkeyError(error)) return refused;
    throw error;
  }
}
