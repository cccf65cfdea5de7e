import { isIP, isIPv4 } from 'node:net';
import { parseInteger } from '../encoding.ts';
import { LatchkeyError } from '../errors.ts';

/** Where the server listens: an IP address, never a name, so that no resolver decides it. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Parses `HOST:PORT`, `[IPV6]:PORT` or `localhost:PORT` (which is 127.0.0.1). */
export function parseListenAddress(text: string, field: string): ListenAddress {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(text);
  const written = match?.[1] ?? match?.[2] ?? '';
  const host = written === 'localhost' ? '127.0.0.1' : written;
  if (match === null || isIP(host) === 0 || (match[1] === undefined) !== isIPv4(host)) {
    throw new LatchkeyError('invalid_request', `"${field}" must be IP:PORT, [IPV6]:PORT or localhost:PORT`, {
      exit: 2,
      field,
    });
  }
  return { host, port: parseInteger(match[3] ?? '', field, { min: 1, max: 65_535 }) };
}

/** `host:port` as it stands in a URL. */
export function authorityOf(host: string, port: number): string {
  return `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}
