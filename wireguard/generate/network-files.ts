import { LatchkeyError } from '../../platform/errors.ts';
import { addressesAt, makePool, type Pool } from '../address/pool.ts';
import { formatAddress, type Prefix, parseNetwork } from '../address/prefix.ts';
import { formatEndpoint, outerFamily, parseEndpoint } from '../config/endpoint.ts';
import { EMPTY_INTERFACE, type PeerConfig, type WireGuardConfig } from '../config/wireguard-config.ts';
import { writeConfig } from '../config/write-config.ts';
import type { KeyPair, WireGuardKey } from '../keys.ts';
import { LINK_MTU, tunnelMtu } from '../obfuscation/mtu.ts';
import { isPlain, type Obfuscation } from '../obfuscation/parameters.ts';

/** A hub and its spokes, to be written as files for wg-quick. */
export interface NetworkOrder {
  /** `host:port` by which spokes reach the hub. */
  readonly hub: string;
  /** Names, each of which becomes a folder. */
  readonly spokes: readonly string[];
  /** One network, or one of IPv4 and one of IPv6. */
  readonly networks: readonly string[];
  readonly interface: string;
  readonly keepalive: number;
  /** A preshared key for each spoke. */
  readonly preshared: boolean;
  /** The same parameters for all of them; `{}` is plain WireGuard. */
  readonly obfuscation: Obfuscation;
}

export interface GeneratedFile {
  /** Relative: `hub/wg0.conf`. */
  readonly path: string;
  readonly text: string;
  /** True where a private key is in it. */
  readonly secret: boolean;
}

/** The hub has the first address; spokes begin here, so that there is room for what the hub's owner adds by hand. */
const FIRST_SPOKE = 11;
const HUB = 1;
const SPOKE_NAME = /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/;
const INTERFACE_NAME = /^[a-zA-Z0-9_=+.-]{1,15}$/;

/**
 * Every file of a network of one hub and its spokes. Pure but for the keys it is handed. Throws `invalid_request` and what the
 * parts throw, naming the option.
 */
export function networkFiles(
  order: NetworkOrder,
  newPair: () => KeyPair,
  newPreshared: () => WireGuardKey,
): GeneratedFile[] {
  const { endpoint, pool } = check(order);
  const hub = newPair();
  const spokes = order.spokes.map((name, at) => ({
    name,
    addresses: addressesAt(pool, FIRST_SPOKE + at),
    keys: newPair(),
    presharedKey: order.preshared ? newPreshared() : null,
  }));
  const hubAddresses = addressesAt(pool, HUB);
  const { obfuscation } = order;
  // padding is not part of what plain WireGuard reckons with when it finds its MTU
  const mtu = isPlain(obfuscation)
    ? null
    : tunnelMtu(obfuscation, { mtu: LINK_MTU, family: outerFamily(formatEndpoint(endpoint)) });
  const hubConfig: WireGuardConfig = {
    interface: {
      ...EMPTY_INTERFACE,
      privateKey: hub.privateKey,
      addresses: withLengths(pool.networks, HUB),
      listenPort: endpoint.port,
      mtu,
      obfuscation,
    },
    peers: spokes.map(
      ({ keys, presharedKey, addresses }): PeerConfig => ({
        publicKey: keys.publicKey,
        presharedKey,
        allowedIPs: addresses,
        endpoint: null,
        keepalive: null,
        others: [],
      }),
    ),
  };
  const files = spokes.map(({ name, keys, presharedKey, addresses }): GeneratedFile => {
    const peer = {
      publicKey: hub.publicKey,
      presharedKey,
      allowedIPs: order.networks,
      endpoint: formatEndpoint(endpoint),
      keepalive: order.keepalive,
      others: [],
    };
    const own = { ...EMPTY_INTERFACE, privateKey: keys.privateKey, addresses, mtu, obfuscation };
    return {
      path: `node-${name}/${order.interface}.conf`,
      text: writeConfig({ interface: own, peers: [peer] }),
      secret: true,
    };
  });
  return [
    { path: `hub/${order.interface}.conf`, text: writeConfig(hubConfig), secret: true },
    ...files,
    { path: 'network.env', text: environment(order, hub.publicKey, hubAddresses, spokes), secret: false },
  ];
}

function check(order: NetworkOrder): { endpoint: ReturnType<typeof parseEndpoint>; pool: Pool } {
  const endpoint = parseEndpoint(order.hub, '--hub');
  if (!INTERFACE_NAME.test(order.interface))
    throw wrong('--interface', 'must be 1 to 15 of letters, digits and _ = + . -');
  if (order.spokes.length === 0) throw wrong('--spokes', 'must name at least one');
  for (const name of order.spokes) {
    if (!SPOKE_NAME.test(name))
      throw wrong('--spokes', 'must be names of lower-case letters, digits and "-", at most 32 long');
  }
  if (new Set(order.spokes).size !== order.spokes.length) throw wrong('--spokes', 'must not name one twice');
  const pool = makePool(
    order.networks.map((text) => parseNetwork(text, '--network')),
    [],
  );
  if (FIRST_SPOKE + order.spokes.length - 1 > pool.last)
    throw wrong('--network', `must be larger for ${order.spokes.length} spokes`);
  return { endpoint, pool };
}

/** On the hub the addresses have the length of their network, so that all of it goes to the interface. */
function withLengths(networks: readonly Prefix[], offset: number): string[] {
  return [...networks]
    .sort((a, b) => a.family - b.family)
    .map(({ family, value, bits }) => `${formatAddress(family, value + BigInt(offset))}/${bits}`);
}

/** A template for scripts: what is no secret of the network. */
function environment(
  order: NetworkOrder,
  hubKey: WireGuardKey,
  hubAddresses: readonly string[],
  spokes: readonly { readonly name: string; readonly addresses: readonly string[] }[],
): string {
  const bare = (address: string): string => address.replace(/\/\d+$/, '');
  const variable = (name: string): string => name.toUpperCase().replaceAll('-', '_');
  const lines = [
    `WG_INTERFACE=${order.interface}`,
    `WG_NETWORK=${order.networks.join(',')}`,
    `WG_HUB_ENDPOINT=${order.hub}`,
    `WG_HUB_PUBLIC_KEY=${hubKey}`,
    `WG_HUB_ADDRESS=${hubAddresses.map(bare).join(',')}`,
    ...spokes.map(({ name, addresses }) => `WG_NODE_${variable(name)}_ADDRESS=${addresses.map(bare).join(',')}`),
  ];
  return `${lines.join('\n')}\n`;
}

function wrong(field: string, words: string): LatchkeyError {
  return new LatchkeyError('invalid_request', `"${field}" ${words}`, { exit: 2, status: 400, field });
}
