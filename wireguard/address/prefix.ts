import { isIP, isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { LatchkeyError } from '../../platform/errors.ts';

/** An address or network of IPv4 or IPv6, in its one spelling (RFC 5952 for IPv6). */
export interface Prefix {
  readonly family: 4 | 6;
  /** The address as a number, host bits included. */
  readonly value: bigint;
  readonly bits: number;
}

/** Bits of an address of this family. */
export function width(family: 4 | 6): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/**
 * `10.0.1.5/24`, `fd00::5/64`, or an address alone, which is a prefix of its full length. Throws `invalid_address` (400,
 * exit 2) naming the field. IPv4 in IPv6 (`::ffff:…`), zones and shortened or hexadecimal IPv4 are refused: tools differ
 * about what they mean.
 */
export function parsePrefix(text: string, field: string): Prefix {
  const [address = '', length, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0 || address.includes('%')) {
    throw invalid(field, 'must be an address such as 10.0.1.5 or fd00::5, with or without /length');
  }
  const parsed = ipaddr.parse(address);
  if (parsed.kind() === 'ipv6' && (parsed as ipaddr.IPv6).isIPv4MappedAddress()) {
    throw invalid(field, 'must not be an IPv4 address inside of IPv6');
  }
  const max = width(isIPv4(address) ? 4 : 6);
  if (length !== undefined && (!/^(0|[1-9][0-9]{0,2})$/.test(length) || Number(length) > max)) {
    throw invalid(field, `must end with a length from 0 to ${max}`);
  }
  return {
    family: isIPv4(address) ? 4 : 6,
    value: numberOf(parsed.toByteArray()),
    bits: length === undefined ? max : Number(length),
  };
}

/** A network: like a prefix, but an address inside of it is refused. */
export function parseNetwork(text: string, field: string): Prefix {
  const prefix = parsePrefix(text, field);
  const network = networkOf(prefix);
  if (network.value !== prefix.value) throw invalid(field, `must be a network, such as ${formatPrefix(network)}`);
  return prefix;
}

function numberOf(bytes: readonly number[]): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** The same prefix with its host bits cleared. */
export function networkOf(prefix: Prefix): Prefix {
  const host = BigInt(width(prefix.family) - prefix.bits);
  return { ...prefix, value: (prefix.value >> host) << host };
}

/**
 * An address or network of any spelling in its one spelling, as text. The interface's own answers are full of single addresses that
 * have it already; seeing that costs a tenth of taking them apart.
 */
export function canonicalPrefix(text: string, field: string): string {
  return isPlainAddress(text) ? text : formatPrefix(parsePrefix(text, field));
}

/** True only for what is certainly its own one spelling: of IPv6, addresses with one `::` and no other zeros to shorten (RFC 5952, section 4). */
function isPlainAddress(text: string): boolean {
  if (text.endsWith('/32')) return isIPv4(text.slice(0, -3));
  return PLAIN_IPV6.test(text);
}

const PLAIN_IPV6 = /^[1-9a-f][0-9a-f]{0,3}(?::[1-9a-f][0-9a-f]{0,3}){0,4}::[1-9a-f][0-9a-f]{0,3}\/128$/;

export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix.family, prefix.value)}/${prefix.bits}`;
}

export function formatAddress(family: 4 | 6, value: bigint): string {
  const bytes = Array.from({ length: width(family) / 8 }, (_, at) =>
    Number((value >> BigInt(width(family) - 8 * (at + 1))) & 0xffn),
  );
  return ipaddr.fromByteArray(bytes).toString();
}

/** True when every address of `inner` is one of `outer`. */
export function contains(outer: Prefix, inner: Prefix): boolean {
  if (outer.family !== inner.family || inner.bits < outer.bits) return false;
  const host = BigInt(width(outer.family) - outer.bits);
  return outer.value >> host === inner.value >> host;
}

/** True when an address belongs to both. */
export function overlap(a: Prefix, b: Prefix): boolean {
  return contains(a, b) || contains(b, a);
}

function invalid(field: string, words: string): LatchkeyError {
  return new LatchkeyError('invalid_address', `"${field}" ${words}`, { status: 400, exit: 2, field });
}
