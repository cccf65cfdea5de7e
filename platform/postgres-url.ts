import { isIP } from 'node:net';
import { LatchkeyError } from './errors.ts';

/** Where a PostgreSQL database is and who asks for it. Printing or logging it whole shows no password. */
export interface PostgresAddress {
  /** A name, an IP address, or the folder of a Unix socket (begins with "/"). */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  /** A function, so that no printed object holds it; '' when the URL has none. */
  readonly password: () => string;
  /** `null` only on this machine: everywhere else the server has to prove its name. */
  readonly tls: PostgresTls | null;
}

/** Paths of PEM files. */
export interface PostgresTls {
  /** Who may vouch for the server; the public authorities when `null`. */
  readonly authorities: string | null;
  /** What this side shows, where the server asks for it. */
  readonly client: { readonly certificate: string; readonly key: string } | null;
}

const shape = /^postgres(?:ql)?:\/\/(?:([^:@/?#]*)(?::([^:@/?#]*))?@)?([^@/?#]*)\/([^/?#]*)(?:\?([^?#]*))?$/;
const hostAndPort = /^(\[[0-9A-Fa-f:.]+\]|[^:[\]]*)(?::([0-9]{1,5}))?$/;
const knownParameters = ['host', 'port', 'user', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey'];
const defaultPort = 5432;

/**
 * `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`, with `?host=/FOLDER` for a Unix socket. On another machine TLS is not a
 * choice: `sslmode=verify-full`, which is also what no `sslmode` means there. Throws `invalid_request`, whose message never
 * shows a part of the URL; `field` is where it was written.
 */
export function parsePostgresUrl(text: string, field: string): PostgresAddress {
  const match = shape.exec(text);
  if (match === null) throw refused(field, 'must be postgresql://USER:PASSWORD@HOST:PORT/DATABASE', encodeHint);
  const parameters = readParameters(match[5] ?? '', field);
  const [, hostText = '', portText] = hostAndPort.exec(decoded(match[3] ?? '', field)) ?? [];
  const host = parameters.get('host') ?? hostText.replace(/^\[|\]$/g, '');
  const user = decoded(match[1] ?? '', field) || parameters.get('user') || '';
  const database = decoded(match[4] ?? '', field);
  if (host === '' || (!host.startsWith('/') && !isHost(host))) throw refused(field, 'must name a host', encodeHint);
  if (user === '') throw refused(field, 'must name a user');
  if (database === '') throw refused(field, 'must name a database');
  const password = decoded(match[2] ?? '', field);
  return {
    host,
    port: portOf(portText ?? parameters.get('port'), field),
    database,
    user,
    password: () => password,
    tls: tlsOf(host, parameters, field),
  };
}

const encodeHint =
  'write "@", ":", "/", "?", "#" and "%" in a user, password or name as %40, %3A, %2F, %3F, %23 and %25';

/** Host, port and database, for people. */
export function showPostgres({ host, port, database }: PostgresAddress): string {
  if (host.startsWith('/')) return `${database} at ${host}, port ${port}`;
  return `${database} at ${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}

function readParameters(text: string, field: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const part of text === '' ? [] : text.split('&')) {
    const [, name = '', value = ''] = /^([a-z]+)=([^=&]+)$/.exec(part) ?? [];
    if (!knownParameters.includes(name) || parameters.has(name))
      throw refused(field, `may have after its "?" only ${knownParameters.join(', ')}, each once`);
    parameters.set(name, decoded(value, field));
  }
  return parameters;
}

function tlsOf(host: string, parameters: ReadonlyMap<string, string>, field: string): PostgresTls | null {
  const here = isThisMachine(host);
  const mode = parameters.get('sslmode') ?? (here ? 'disable' : 'verify-full');
  if (mode !== 'verify-full' && mode !== 'disable')
    throw refused(field, 'must have sslmode=verify-full, the one mode in which the server proves who it is');
  if (mode === 'disable') {
    if (!here) throw refused(field, 'must not have sslmode=disable: the database is on another machine');
    return null;
  }
  if (host.startsWith('/')) throw refused(field, 'must not ask for TLS on a Unix socket');
  const certificate = parameters.get('sslcert');
  const key = parameters.get('sslkey');
  if ((certificate === undefined) !== (key === undefined)) throw refused(field, 'must have both sslcert and sslkey');
  return {
    authorities: parameters.get('sslrootcert') ?? null,
    client: certificate === undefined || key === undefined ? null : { certificate, key },
  };
}

function isThisMachine(host: string): boolean {
  return (
    host.startsWith('/') || host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
  );
}

function isHost(host: string): boolean {
  return isIP(host) !== 0 || /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(host);
}

function portOf(text: string | undefined, field: string): number {
  if (text === undefined) return defaultPort;
  const port = /^[1-9][0-9]{0,4}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw refused(field, 'must have a port from 1 to 65535');
  return port;
}

function decoded(text: string, field: string): string {
  try {
    const plain = decodeURIComponent(text);
    if (![...plain].some((letter) => letter < ' ')) return plain;
  } catch {
    // told below, without the text
  }
  throw refused(field, 'must not have control characters or a "%" that encodes nothing', encodeHint);
}

function refused(field: string, words: string, hint?: string): LatchkeyError {
  return new LatchkeyError('invalid_request', `"${field}" ${words}`, {
    exit: 2,
    field,
    ...(hint !== undefined && { hint }),
  });
}
