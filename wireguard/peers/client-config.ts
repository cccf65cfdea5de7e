import { LatchkeyError } from '../../platform/errors.ts';
import { outerFamily } from '../config/endpoint.ts';
import { EMPTY_INTERFACE, type WireGuardConfig } from '../config/wireguard-config.ts';
import type { WireGuardKey } from '../keys.ts';
import { CLIENT_PROGRAMS, type ClientProgram, clientProgram, whyNot } from '../obfuscation/clients.ts';
import { LINK_MTU, tunnelMtu } from '../obfuscation/mtu.ts';
import { isPlain, type Obfuscation } from '../obfuscation/parameters.ts';

/** What of a hub its peers are told. */
export interface HubFacts {
  readonly networks: readonly string[];
  readonly endpoint: string;
  readonly dns: readonly string[];
  readonly mtu: number | null;
  readonly publicKey: WireGuardKey;
  readonly obfuscation: Obfuscation;
}

export interface ClientFacts {
  /** `null` where the key is made and kept by the peer, whose installer puts it in. */
  readonly privateKey: WireGuardKey | null;
  readonly presharedKey: WireGuardKey | null;
  /** Each with its full length. */
  readonly addresses: readonly string[];
  readonly keepalive: number;
  /** `network`: only what the hub's network is goes through the tunnel; `all`: everything does. */
  readonly route: 'network' | 'all';
  readonly program: ClientProgram;
}

/**
 * Pure: the configuration of one peer. Throws `client_unfit` (409) when its program does not know the hub's obfuscation: such a
 * file would be refused there, or make a tunnel that carries nothing.
 */
export function clientConfig(hub: HubFacts, client: ClientFacts): WireGuardConfig {
  assertFit(client.program, hub.obfuscation);
  return {
    interface: {
      ...EMPTY_INTERFACE,
      privateKey: client.privateKey,
      addresses: client.addresses,
      dns: hub.dns,
      // plain WireGuard finds its MTU by itself; padding is not part of what it reckons with
      mtu:
        hub.mtu ??
        (isPlain(hub.obfuscation)
          ? null
          : tunnelMtu(hub.obfuscation, { mtu: LINK_MTU, family: outerFamily(hub.endpoint) })),
      obfuscation: hub.obfuscation,
    },
    peers: [
      {
        publicKey: hub.publicKey,
        presharedKey: client.presharedKey,
        allowedIPs: client.route === 'all' ? ['0.0.0.0/0', '::/0'] : hub.networks,
        endpoint: hub.endpoint,
        keepalive: client.keepalive,
        others: [],
      },
    ],
  };
}

/** Throws `client_unfit` (409) when the program does not know the obfuscation. */
export function assertFit(program: ClientProgram, obfuscation: Obfuscation): void {
  const why = whyNot(program, obfuscation);
  if (why === null) return;
  throw new LatchkeyError('client_unfit', why, {
    status: 409,
    exit: 3,
    hint: 'use another program there, or an interface of a lower level',
  });
}

/**
 * The program that a configuration is for: the one that was named, or one that is sure to understand it. To be asked before a peer is
 * made, as afterwards nobody could be told its key. Throws `invalid_request` naming the field, and `client_unfit` (409).
 */
export function programFor(client: string | undefined, obfuscation: Obfuscation, field: string): ClientProgram {
  if (client === undefined) return surestProgram(obfuscation);
  const program = clientProgram(client, field);
  assertFit(program, obfuscation);
  return program;
}

/** A program that is sure to understand the obfuscation: plain WireGuard where there is none. */
export function surestProgram(obfuscation: Obfuscation): ClientProgram {
  const found = CLIENT_PROGRAMS.find((program) => whyNot(program, obfuscation) === null);
  if (found === undefined) throw new TypeError('no program takes these parameters');
  return found;
}
