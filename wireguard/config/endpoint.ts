import { isIPv4, isIPv6 } from 'node:net';
import { parseInteger } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';

/** Where a peer is reached. */
export interface Endpoint {
  /** A name, an IPv4 address, or an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
}

/** RFC 1123, section 2.1; an underscore is in use too. */
const NAME =
  /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?$/;

/** `host:port`, IPv6 in brackets. Throws `invalid_endpoint` (400, exit 2) naming the field. */
export function parseEndpoint(text: string, field: string): Endpoint {
  const [, inBrackets, bare, port] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? [];
  const host = inBrackets ?? bare ?? '';
  const isName = bare !== undefined && (isIPv4(bare) || (NAME.test(bare) && !/^[0-9.]+$/.test(bare)));
  if (port === undefined || !(isName || isIPv6(host))) {
    throw new LatchkeyError('invalid_endpoint', `"${field}" must be host:port, with an IPv6 address in brackets`, {
      status: 400,
      exit: 2,
      field,
    });
  }
  return { host, port: parseInteger(port, field, { min: 1, max: 65_535 }) };
}

export function formatEndpoint({ host, port }: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** By which IP the packets of a tunnel to there travel; a name may lead to either. */
export function outerFamily(endpoint: string): 4 | 6 | 'either' {
  const { host } = parseEndpoint(endpoint, 'endpoint');
  return isIPv4(host) ? 4 : isIPv6(host) ? 6 : 'either';
}
