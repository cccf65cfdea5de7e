import type { Transport } from './transport.ts';

export interface SshOptions {
  /** From `parseSshTarget`. */
  readonly target: SshTarget;
  /** Run everything as root through sudo. */
  readonly sudo?: boolean;
  /** Private key file to try before the defaults; an encrypted one is asked for. */
  readonly identity?: string;
  /** `SHA256:…`, trusted for a host that is not in known_hosts yet; useless for one that changed. */
  readonly acceptHostKey?: string;
  /** First is read and written, the others only read. Default `~/.ssh/known_hosts`, `/etc/ssh/ssh_known_hosts`. */
  readonly knownHosts?: readonly string[];
  /** Path of the agent's socket; pass `SSH_AUTH_SOCK`. */
  readonly agent?: string;
  /** Asks a person; null when there is no terminal. */
  readonly prompter: Prompter | null;
  /** For reaching the TCP port and the key exchange; default 20 s. */
  readonly connectTimeoutMs?: number;
}

export interface Prompter {
  /** Null when the person gives up. `secret` answers are not echoed. */
  ask(question: string, options: { secret: boolean }): Promise<string | null>;
}

export interface SshTarget {
  readonly user: string;
  readonly host: string;
  readonly port: number;
}

/** Connects, checks the host key, logs in, finds out who it is; codes as in the room's README. */
export declare function openSshTransport(options: SshOptions): Promise<Transport>;
