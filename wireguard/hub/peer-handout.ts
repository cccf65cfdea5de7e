import { LatchkeyError } from '../../platform/errors.ts';
import { QR_MOST_BYTES } from '../../platform/qr-code.ts';
import { writeConfig } from '../config/write-config.ts';
import type { WireGuardKey } from '../keys.ts';
import type { ClientProgram } from '../obfuscation/clients.ts';
import { clientConfig, programFor } from '../peers/client-config.ts';
import type { HubInterface } from '../store/hub-interface.ts';
import type { MadePeer } from './peer-register.ts';

/** In which form somebody wants the configuration of a peer. */
export interface HandoutWish {
  readonly program: ClientProgram;
  readonly route: 'network' | 'all';
  /** Whether it has to fit into a QR code. */
  readonly isForQr: boolean;
}

/** As long as any key, and none. */
const SOME_KEY: WireGuardKey = 'A'.repeat(43).concat('=');

/** The wish in its words; a device without a word of its program gets what fits the interface. Throws `invalid_request` and `client_unfit` (409). */
export function handoutWish(
  given: { readonly client?: string | undefined; readonly route?: 'network' | 'all' | undefined },
  isForQr: boolean,
  { obfuscation }: Pick<HubInterface, 'obfuscation'>,
  clientField: string,
): HandoutWish {
  const { client, route = 'network' } = given;
  return { program: programFor(client, obfuscation, clientField), route, isForQr };
}

/**
 * Before anything is stored: throws what would keep the configuration from being handed out after. `client_unfit` (409) for a
 * program that does not know the hub's obfuscation, `qr_too_large` (409) for more than a code holds.
 */
export function assertHandout(facts: HubInterface, wish: HandoutWish): void {
  const longest = {
    privateKey: SOME_KEY,
    presharedKey: SOME_KEY,
    addresses: longestAddresses(facts),
    keepalive: 65_535,
  };
  const text = configText(facts, longest, wish);
  if (!wish.isForQr || Buffer.byteLength(text) <= QR_MOST_BYTES) return;
  throw new LatchkeyError('qr_too_large', 'the configuration is larger than a QR code can be', {
    status: 409,
    exit: 3,
    hint: 'write it to a file and move that to the device',
  });
}

/** The configuration of a new peer, with the secrets that nobody is told again. */
export function handout(facts: HubInterface, { peer, privateKey, presharedKey }: MadePeer, wish: HandoutWish): string {
  const { addresses, keepalive } = peer;
  return configText(facts, { privateKey, presharedKey, addresses, keepalive }, wish);
}

function configText(
  facts: HubInterface,
  client: {
    readonly privateKey: WireGuardKey | null;
    readonly presharedKey: WireGuardKey | null;
    readonly addresses: readonly string[];
    readonly keepalive: number;
  },
  { program, route }: HandoutWish,
): string {
  return writeConfig(clientConfig(facts, { ...client, route, program }));
}

function longestAddresses({ networks }: HubInterface): string[] {
  return networks.map((network) => (network.includes(':') ? `${'ffff:'.repeat(7)}ffff/128` : '255.255.255.255/32'));
}
