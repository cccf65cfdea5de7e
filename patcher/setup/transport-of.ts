import type { Agreement } from './agreement.ts';
import type { TransportChoice } from './setup-config.ts';

/** Pure: what both machines were left with, whatever is wanted now. */
export function transportOf({ wireguard, sshTunnel }: Agreement): TransportChoice {
  if (wireguard !== null && sshTunnel !== null) return 'both';
  return wireguard === null ? 'ssh' : 'wireguard';
}
