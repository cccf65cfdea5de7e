import { LatchkeyError } from '../../platform/errors.ts';
import { contains, formatAddress, type Prefix, parsePrefix, width } from './prefix.ts';

/**
 * The addresses of one interface, counted from the network's own: offset 1 is `10.0.1.1` and, in a pair, `fd00::1`. Peers
 * get one offset, and with it one address of each family.
 */
export interface Pool {
  readonly networks: readonly Prefix[];
  /** The lowest and the highest offset that may be handed out. */
  readonly first: number;
  readonly last: number;
  /** Offsets of the hub's own addresses. */
  readonly taken: readonly number[];
}

/** More offsets than a tunnel can have peers, whatever a network of IPv6 would hold. */
const MOST = 2 ** 32;

/**
 * The pool of one network, or of an IPv4 and an IPv6 network as pairs. Throws `invalid_network` for two of a family, an
 * IPv4 network longer than /30 or shorter than /8, an IPv6 network longer than /64, and a hub address outside.
 */
export function makePool(networks: readonly Prefix[], hubAddresses: readonly Prefix[]): Pool {
  if (networks.length === 0 || networks.length > 2 || networks[0]?.family === networks[1]?.family) {
    throw invalid('networks', 'must be one network, or one of IPv4 and one of IPv6');
  }
  for (const { family, bits } of networks) {
    if (family === 4 && (bits < 8 || bits > 30)) throw invalid('networkCIDR', 'must be from /8 to /30');
    if (family === 6 && bits > 64) throw invalid('networkCIDR6', 'must be /64 or shorter');
  }
  const last = Math.min(...networks.map(lastOffset));
  const pool = { networks, first: 1, last, taken: [] as number[] };
  const taken = hubAddresses.map((address) => offsetWithin(pool, address));
  if (taken.includes(null))
    throw invalid('addresses', 'must be inside of the network, and neither its first nor its last address');
  return { ...pool, taken: [...new Set(taken as number[])].sort((a, b) => a - b) };
}

/** IPv4 has a broadcast address at the end; both keep the network's own for routers. */
function lastOffset({ family, bits }: Prefix): number {
  const size = 2 ** Math.min(width(family) - bits, 33);
  return Math.min(family === 4 ? size - 2 : size - 1, MOST);
}

function offsetWithin(pool: Pick<Pool, 'networks' | 'first' | 'last'>, address: Prefix): number | null {
  const network = pool.networks.find((candidate) => contains(candidate, { ...address, bits: width(address.family) }));
  if (network === undefined) return null;
  const offset = address.value - network.value;
  return offset >= BigInt(pool.first) && offset <= BigInt(pool.last) ? Number(offset) : null;
}

/** The addresses of an offset, IPv4 first, each with its full length. */
export function addressesAt(pool: Pool, offset: number): string[] {
  if (!Number.isSafeInteger(offset) || offset < pool.first || offset > pool.last) {
    throw new TypeError('the offset is outside of the pool');
  }
  return [...pool.networks]
    .sort((a, b) => a.family - b.family)
    .map(({ family, value }) => `${formatAddress(family, value + BigInt(offset))}/${width(family)}`);
}

/** The offset of an address somebody asks for. Throws `invalid_address` when the pool does not hand it out. */
export function offsetOf(pool: Pool, address: string, field: string): number {
  const prefix = parsePrefix(address, field);
  const offset = prefix.bits === width(prefix.family) ? offsetWithin(pool, prefix) : null;
  if (offset === null || pool.taken.includes(offset)) {
    throw new LatchkeyError('invalid_address', `"${field}" must be an address of the network that may be handed out`, {
      status: 400,
      exit: 2,
      field,
    });
  }
  return offset;
}

/** How many peers the pool can hold. */
export function capacityOf(pool: Pool): number {
  return pool.last - pool.first + 1 - pool.taken.length;
}

function invalid(field: string, words: string): LatchkeyError {
  return new LatchkeyError('invalid_network', `"${field}" ${words}`, { status: 400, exit: 2, field });
}
