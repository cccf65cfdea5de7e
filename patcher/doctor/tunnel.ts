import { isIP } from 'node:net';
import { bad, type Finding, info, ok, spanWords, unknown, warn } from './finding.ts';

/** Where one of the key server's names leads. */
export interface RouteSeen {
  readonly host: string;
  readonly address: string | null;
  readonly device: string | null;
  readonly isWireGuard: boolean;
  /** Whether `wg` is there to be asked. */
  readonly hasTool: boolean;
  /** Seconds; `null` where it could not be asked. */
  readonly handshakeAge: number | 'never' | null;
}

/** A tunnel that is used every minute shakes hands every two; after three a session is dead (REJECT_AFTER_TIME). */
const DEAD_S = 180;

/** Pure: whether the way to the key server is a tunnel, and alive. */
export function tunnelFindings(routes: readonly RouteSeen[], enrolled: boolean | null): Finding[] {
  if (enrolled === null) return [unknown('tunnel_unknown', 'where the key server is could not be read')];
  if (!enrolled) return [info('no_key_server', 'no key server is known yet', { fix: 'ncpatch enroll' })];
  return routes.map(routeFinding);
}

function routeFinding({ host, address, device, isWireGuard, hasTool, handshakeAge }: RouteSeen): Finding {
  if (address === null) {
    return bad('key_server_name', `the name ${host} of the key server is not known here`, {
      fix: 'name it by its address in the tunnel: ncpatch enroll --replace --url https://ADDRESS:PORT',
    });
  }
  if (isLoopback(address)) {
    return warn('key_server_here', `the key server is reached at ${address}, on this same machine`, {
      why: 'a thief of this machine has both halves; this is good for trying it out only, unless it is a relay',
      fix: 'run the key server on a machine of your own',
    });
  }
  if (device === null) {
    return bad('no_route', `there is no way to the key server at ${address}`, {
      fix: 'systemctl status wg-quick@*; ip route',
    });
  }
  if (!isWireGuard) {
    return warn('no_tunnel', `the way to the key server at ${address} is ${device}, which is no WireGuard interface`, {
      why: hasTool
        ? 'TLS protects what is said, but not who may knock; where the server stands is part of what the gates look at'
        : 'without the program wg a WireGuard made by a program instead of the kernel cannot be told',
      fix: `ip -d link show ${device}; set up the tunnel, and enrol with the address in it`,
    });
  }
  if (handshakeAge === 'never') {
    return bad('tunnel_never_up', `WireGuard on ${device} has never reached its peer`, { fix: `wg show ${device}` });
  }
  if (handshakeAge === null)
    return info('tunnel_unasked', `the key server is behind WireGuard on ${device}; its state could not be asked`, {
      fix: `wg show ${device}`,
    });
  if (handshakeAge > DEAD_S) {
    return warn('tunnel_quiet', `WireGuard on ${device} last shook hands ${spanWords(handshakeAge * 1000)} ago`, {
      why: 'with a heartbeat each minute it does so every two',
      fix: `wg show ${device}`,
    });
  }
  return ok('tunnel', `WireGuard on ${device}, handshake ${spanWords(handshakeAge * 1000)} ago`);
}

function isLoopback(address: string): boolean {
  return isIP(address) === 4 ? address.startsWith('127.') : address === '::1';
}
