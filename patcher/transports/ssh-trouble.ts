import { LatchkeyError } from '../../platform/errors.ts';
import type { SshTarget } from './ssh-target.ts';

const BY_HAND = 'is the machine up, its name right, and its port (user@host:port)? see whether ssh itself gets there';
const HINTS: Readonly<Record<string, string>> = {
  connection_lost: 'nothing is lost: run the same command again, or `ncpatch rollback`',
  connect_timeout: BY_HAND,
  connect_failed: BY_HAND,
};

/** What went wrong with a connection, and what can be done about it. */
export function sshTrouble(code: string, message: string): LatchkeyError {
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

/** Of a connection that was not made; none of the package's own words. */
export function connectFailure(target: SshTarget, error: Error & { level?: string; code?: unknown }): LatchkeyError {
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
