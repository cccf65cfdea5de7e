import type { Obfuscation } from './parameters.ts';

/** What WireGuard adds to a packet: an outer header of IPv4 (20) or IPv6 (40) with UDP (8), and 32 of its own. */
const OVERHEAD = { 4: 60, 6: 80 } as const;
/** Nothing in between is known of a link on the Internet. */
export const LINK_MTU = 1500;
/** The least a link of IPv6 carries (RFC 8200, section 5). */
const LEAST = 1280;

/**
 * The largest MTU of a tunnel whose outer packets are not cut on a link with this MTU. With `either` the outer family is not
 * known, and the larger header counts. Never less than IPv6 needs.
 */
export function tunnelMtu(
  obfuscation: Obfuscation,
  link: { readonly mtu: number; readonly family: 4 | 6 | 'either' },
): number {
  const header = link.family === 'either' ? OVERHEAD[6] : OVERHEAD[link.family];
  return Math.max(LEAST, link.mtu - header - (obfuscation.S4 ?? 0));
}
