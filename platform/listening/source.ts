import { isIP, isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { isWithin } from './network.ts';

/** So many proxies of one's own, one behind the other, are more than anybody has. */
const mostHops = 16;

/**
 * The address a request comes from. `peer` is the connection's own; only when that is one of `proxies` is what it says of others
 * (`X-Forwarded-For`) looked at. Each proxy adds at the right end the address that spoke to it, so the list is read from there:
 * proxies of our own are passed over, and the first other address is the source. Nothing left of it is read, as its sender may
 * have written that.
 *
 * Without the header, or where an entry that has to be read is no address, or where the list ends among our own proxies, the source
 * is `peer`: programs on the proxy's machine send no such header, and it is an address that nobody else can choose to be. What is
 * limited by source is then limited for all of that proxy's clients together.
 */
export function sourceOf(peer: string, forwarded: string | undefined, proxies: readonly string[]): string {
  const own = plainAddress(peer);
  if (forwarded === undefined || !isWithin(own, proxies)) return own;
  let end = forwarded.length;
  for (let hop = 0; hop < mostHops && end > -1; hop += 1) {
    const comma = end === 0 ? -1 : forwarded.lastIndexOf(',', end - 1);
    const address = entryAddress(forwarded.slice(comma + 1, end));
    if (address === null) return own;
    if (!isWithin(address, proxies)) return address;
    end = comma;
  }
  return own;
}

/** An IPv4 address that arrived on an IPv6 socket is told as IPv4, so that it is one source on both. */
function plainAddress(peer: string): string {
  return /^::ffff:[0-9.]+$/i.test(peer) && isIPv4(peer.slice(7)) ? peer.slice(7) : peer;
}

const entryShape =
  /^(?:\[(?<six>[0-9a-f:.]{2,45})\]|(?<four>[0-9.]{7,15}))(?::(?<port>[0-9]{1,5}))?$|^(?<bare>[0-9a-f:.]{2,45})$/i;

/** `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]:4711`, blanks around it; in one spelling. `null` for all else. */
function entryAddress(entry: string): string | null {
  if (entry.length > 64) return null;
  const { six, four, bare, port } = entryShape.exec(entry.replace(/^[ \t]+|[ \t]+$/g, ''))?.groups ?? {};
  const address = six ?? four ?? bare ?? '';
  const family = four === undefined ? 6 : 4;
  if (isIP(address) !== family || Number(port ?? 0) > 65_535) return null;
  return ipaddr.process(address).toString();
}
