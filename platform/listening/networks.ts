import { isIP, isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import ipaddr from 'ipaddr.js';
import { LatchkeyError } from '../errors.ts';

/**
 * Networks as an operator writes them: a CIDR, or one address for itself alone. The host bits must be zero, so that
 * 10.8.0.5/24 is a question and not a network of 256.
 */
export function parseNetworks(texts: readonly string[], field: string): string[] {
  return texts.flatMap((text) => text.split(',')).map((text) => parseNetwork(text, field));
}

/** True for a network spelled as `parseNetworks` leaves it. */
export function isNetwork(text: string): boolean {
  try {
    return parseNetwork(text, 'network') === text;
  } catch {
    return false;
  }
}

function parseNetwork(text: string, field: string): string {
  const [address = '', length, ...rest] = text.split('/');
  const family = isIP(address);
  const bits = family === 4 ? 32 : 128;
  const plain = length === undefined || /^(0|[1-9][0-9]{0,2})$/.test(length);
  const prefix = length === undefined ? bits : Number(length);
  if (family === 0 || address.includes('%') || !plain || prefix > bits || rest.length > 0) {
    throw refused(field, 'must be a network such as 10.8.0.0/24 or fd42::/64');
  }
  const network = networkOf(address, prefix);
  if (network !== ipaddr.parse(address).toString()) {
    throw refused(
      field,
      `must have no bits behind the prefix; ${network}/${prefix} is the network of ${address}/${prefix}`,
    );
  }
  return `${network}/${prefix}`;
}

function networkOf(address: string, prefix: number): string {
  const cidr = `${address}/${prefix}`;
  const family = isIPv4(address) ? ipaddr.IPv4 : ipaddr.IPv6;
  return family.networkAddressFromCIDR(cidr).toString();
}

/**
 * The networks a client may speak from. Without a wish: loopback for a server on loopback, else the network of the
 * interface the server listens on. An interface with a single address says nothing about its peers: then `--from` is
 * demanded.
 */
export function networksFor(wish: readonly string[] | undefined, listenHost: string): string[] {
  if (wish !== undefined) return parseNetworks(wish, '--from');
  if (listenHost === '::1' || listenHost.startsWith('127.')) return ['127.0.0.0/8', '::1/128'];
  const entries = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const cidr = entries.find((entry) => entry.address === listenHost)?.cidr;
  const prefix = Number(cidr?.split('/')[1]);
  if (cidr && prefix > 0 && prefix < (isIPv4(listenHost) ? 32 : 128)) {
    return [`${networkOf(listenHost, prefix)}/${prefix}`];
  }
  throw refused('--from', 'must be given: the network of the listen address is not known');
}

function refused(field: string, words: string): LatchkeyError {
  return new LatchkeyError('invalid_request', `"${field}" ${words}`, { exit: 2, field });
}
