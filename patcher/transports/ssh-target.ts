import { isIPv6 } from 'node:net';
import { LatchkeyError } from '../../platform/errors.ts';

export interface SshTarget {
  readonly user: string;
  /** A name or an address, in lower case, without brackets. */
  readonly host: string;
  readonly port: number;
}

const USER = /^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,254}\$?$/;
const HOST = /^[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?$/;
const PORT = /^[1-9][0-9]{0,4}$/;

/** `user@host[:port]` or `user@[v6][:port]`; `invalid_ssh_target` (exit 2) for anything else. */
export function parseSshTarget(text: string): SshTarget {
  const at = text.lastIndexOf('@');
  if (at < 1) throw invalid('must be user@host or user@host:port; the user is missing');
  const user = text.slice(0, at);
  const place = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/s.exec(text.slice(at + 1));
  if (place === null) throw invalid('must be user@host or user@host:port; an IPv6 address goes in brackets');
  const [, v6, name, port] = place;
  if (!USER.test(user)) throw invalid('has a user name that no system would have');
  if (v6 !== undefined ? !isIPv6(v6) || v6.includes('%') : !HOST.test(name ?? '')) throw invalid('has an invalid host');
  const portNumber = port === undefined ? 22 : Number(PORT.test(port) ? port : Number.NaN);
  if (!(portNumber <= 65535)) throw invalid('must have a port from 1 to 65535');
  return { user, host: (v6 ?? name ?? '').toLowerCase(), port: portNumber };
}

function invalid(words: string): LatchkeyError {
  return new LatchkeyError('invalid_ssh_target', `"--ssh" ${words}`, {
    exit: 2,
    field: '--ssh',
    hint: 'for example --ssh root@cloud.example.org or --ssh admin@[2001:db8::1]:2222 --sudo',
  });
}
