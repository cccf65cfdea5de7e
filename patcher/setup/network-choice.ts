import type { RandomBytes } from '../../platform/clock.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import {
  contains,
  formatAddress,
  formatPrefix,
  overlap,
  type Prefix,
  parseNetwork,
  parsePrefix,
} from '../../wireguard/address/prefix.ts';

/** The network of a pair of machines, and what each of them is called in it. */
export interface ChosenNetwork {
  readonly network: string;
  readonly homeAddress: string;
  readonly serverAddress: string;
}

const FIELD = 'wireguard.network';
const BITS = 30;
const PAIRS_TRIED = 4096;

/** Where nothing of the internet is (RFC 1918, section 3; RFC 6598), the first of them preferred. */
const PRIVATE = networks('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10');

/** What others choose by themselves, and may have by tomorrow. */
const POPULAR = networks(
  '10.0.0.0/15', // clouds, routers
  '10.6.0.0/16', // PiVPN
  '10.8.0.0/16', // OpenVPN, wg-easy
  '10.10.0.0/16',
  '10.13.13.0/24', // linuxserver.io
  '10.42.0.0/15', // k3s
  '10.66.0.0/16',
  '10.88.0.0/15', // Podman
  '10.96.0.0/11', // Kubernetes
  '10.100.0.0/16',
  '10.200.0.0/16',
  '10.244.0.0/16', // flannel
  '10.255.0.0/16', // Docker Swarm
  '172.16.0.0/12', // Docker
  '192.168.0.0/16', // routers of homes, Docker
);

/**
 * Pure: a network for two that touches none of `taken` (IPv4 networks, in any width). The one that is wished for, refused with
 * `network_collides` (exit 3) where it touches one; else whichever `random` hits on first, and `network_none_free` where all of 10/8 and 172.16/12 is taken.
 */
export function chooseNetwork(wish: string | undefined, taken: readonly string[], random: RandomBytes): ChosenNetwork {
  const others = taken.map((text) => parsePrefix(text, 'taken'));
  if (wish !== undefined) return addressed(wished(wish, others));
  for (const [range, avoided] of [
    [PRIVATE[0], [...others, ...POPULAR]],
    [PRIVATE[0], others],
    [PRIVATE[1], others],
    [PRIVATE[2], others],
  ] as const) {
    if (range === undefined || avoided.some((one) => contains(one, range))) continue;
    const found = somewhereIn(range, avoided, random);
    if (found !== null) return addressed(found);
  }
  throw new LatchkeyError('network_none_free', 'every private network is in use on one of the machines', {
    exit: 3,
    field: FIELD,
    hint: 'name one that is free on both: "wireguard": {"network": "10.71.203.0/30"}',
  });
}

function wished(wish: string, others: readonly Prefix[]): Prefix {
  const network = parseNetwork(wish, FIELD);
  const isFit = network.family === 4 && network.bits <= BITS && PRIVATE.some((range) => contains(range, network));
  if (!isFit) {
    throw new LatchkeyError(
      'invalid_address',
      `"${FIELD}" must be a private IPv4 network for two, such as 10.71.203.0/30`,
      {
        status: 400,
        exit: 2,
        field: FIELD,
      },
    );
  }
  const other = others.find((one) => overlap(one, network));
  if (other === undefined) return network;
  throw new LatchkeyError(
    'network_collides',
    `"${FIELD}" ${formatPrefix(network)} collides with ${formatPrefix(other)}`,
    {
      exit: 3,
      field: FIELD,
      hint: 'that one is in use on one of the machines; leave the field out, and a free network is found',
    },
  );
}

function somewhereIn(range: Prefix, avoided: readonly Prefix[], random: RandomBytes): Prefix | null {
  const room = 2 ** (BITS - range.bits);
  for (let tries = 0; tries < PAIRS_TRIED; tries++) {
    const at = random(4).readUInt32BE() % room; // a power of two: no number is likelier than another
    const network: Prefix = { family: 4, value: range.value + BigInt(at) * 4n, bits: BITS };
    if (!avoided.some((one) => overlap(one, network))) return network;
  }
  return null;
}

function addressed(network: Prefix): ChosenNetwork {
  return {
    network: formatPrefix(network),
    homeAddress: formatAddress(4, network.value + 1n),
    serverAddress: formatAddress(4, network.value + 2n),
  };
}

function networks(...texts: string[]): readonly Prefix[] {
  return texts.map((text) => parseNetwork(text, 'network'));
}
