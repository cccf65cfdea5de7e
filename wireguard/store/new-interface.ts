import { isIP } from 'node:net';
import type { RandomBytes } from '../../platform/clock.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { contains, formatAddress, formatPrefix, overlap, parseNetwork, parsePrefix } from '../address/prefix.ts';
import { formatEndpoint, parseEndpoint } from '../config/endpoint.ts';
import { generateKeyPair } from '../keys.ts';
import { drawObfuscation } from '../obfuscation/levels.ts';
import { type HubInterface, poolOf } from './hub-interface.ts';
import type { InterfaceFacts } from './interface-facts.ts';

/** An interface as it is asked for. No addresses are the first one of each network. */
export type InterfaceOrder = Omit<InterfaceFacts, 'publicKey'>;

/** What an interface may be called: what Linux and wg-quick take. */
export const INTERFACE_NAME = /^[a-zA-Z0-9_=+.-]{1,15}$/;

/**
 * A new interface with its key and, where it is obfuscated, parameters of its own. Throws `invalid_request` and what networks and
 * endpoints throw, naming the field; `network_overlap` (409) for a network that another interface of the hub has.
 */
export function newInterface(
  order: InterfaceOrder,
  others: readonly Pick<HubInterface, 'name' | 'networks' | 'listenPort'>[],
  random: RandomBytes,
): HubInterface {
  if (!INTERFACE_NAME.test(order.name)) throw invalid('interface', 'must be 1 to 15 letters, digits or any of "_=+.-"');
  for (const text of order.dns) if (isIP(text) === 0) throw invalid('dns', 'must be IP addresses');
  if (order.mtu !== null) assertRange('mtu', order.mtu, 1280, 65_535);
  assertRange('listenPort', order.listenPort, 1, 65_535);
  assertRange('keepalive', order.keepalive, 0, 65_535);
  assertRange('fwMark', order.fwMark, 0, 0xffff_ffff);
  const networks = order.networks.map((text) => parseNetwork(text, 'networks'));
  const addresses =
    order.addresses.length > 0
      ? order.addresses.map((text) => formatPrefix(ownAddress(text, networks)))
      : networks.map(({ family, value, bits }) => `${formatAddress(family, value + 1n)}/${bits}`);
  for (const other of others) {
    const theirs = other.networks.map((text) => parseNetwork(text, 'networks'));
    if (networks.some((one) => theirs.some((two) => overlap(one, two)))) {
      throw new LatchkeyError('network_overlap', `the network overlaps with the one of ${other.name}`, {
        status: 409,
        exit: 2,
        field: 'networks',
      });
    }
    if (other.listenPort === order.listenPort) throw invalid('listenPort', `is the port of ${other.name} already`);
  }
  const made: HubInterface = {
    ...order,
    networks: networks.map(formatPrefix),
    addresses,
    endpoint: formatEndpoint(parseEndpoint(order.endpoint, 'endpoint')),
    obfuscation: drawObfuscation(order.level, random),
    ...generateKeyPair(),
  };
  poolOf(made); // throws what is wrong with networks and addresses
  return made;
}

function ownAddress(
  text: string,
  networks: readonly ReturnType<typeof parseNetwork>[],
): ReturnType<typeof parsePrefix> {
  const given = parsePrefix(text, 'addresses');
  const network = networks.find(
    (one) =>
      one.family === given.family && contains(one, { ...given, bits: one.bits > given.bits ? one.bits : given.bits }),
  );
  if (network === undefined) throw invalid('addresses', 'must be inside of the networks');
  return { ...given, bits: network.bits };
}

function assertRange(field: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw invalid(field, `must be an integer from ${min} to ${max}`);
}

function invalid(field: string, words: string): LatchkeyError {
  return new LatchkeyError('invalid_request', `"${field}" ${words}`, { status: 400, exit: 2, field });
}
