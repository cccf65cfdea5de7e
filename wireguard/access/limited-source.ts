import ipaddr from 'ipaddr.js';
import { isWithin } from '../../platform/listening/network.ts';

/** How much of an address of IPv6 is somebody's: the rest of a /64 is theirs to choose, and to change at will (RFC 8981). */
const networkLength = 64;

/** What counts as one source where a source is told to wait. */
export type LimitedSource = (source: string) => string;

/**
 * An address of IPv4 is one source, and so is a /64 of IPv6 (`2001:db8:1:2::/64`). In a network of the hub's own each address
 * is, of either family: WireGuard lets nobody take another's, and a /64 there has many machines.
 */
export function limitedSource(own: () => readonly string[]): LimitedSource {
  return (source) => {
    if (!source.includes(':') || !ipaddr.isValid(source) || isWithin(source, own())) return source;
    const address = ipaddr.process(source);
    if (address.kind() === 'ipv4') return address.toString();
    const bare = address.toNormalizedString().replace(/%.*$/, ''); // a zone is part of this machine's words
    return `${ipaddr.IPv6.networkAddressFromCIDR(`${bare}/${networkLength}`)}/${networkLength}`;
  };
}
