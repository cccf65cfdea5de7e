import ipaddr from 'ipaddr.js';

type Range = ReturnType<typeof ipaddr.parseCIDR>;

type Address = ReturnType<typeof ipaddr.process>;

/** What was parsed before: lists and addresses by their spelling. They come again with every request. */
const ranges = new Map<string, readonly Range[]>();
const addresses = new Map<string, Address | null>();
const limit = 1_000;

/**
 * Whether `address` lies in one of the networks. An IPv4 address that arrived on an IPv6 socket (`::ffff:a.b.c.d`) counts
 * as IPv4. An address or network that cannot be read matches nothing.
 */
export function isWithin(address: string, networks: readonly string[]): boolean {
  const peer = remembered(addresses, address, parseAddress);
  if (peer === null) return false;
  const list = remembered(ranges, networks.join(' '), () => parseRanges(networks));
  return list.some((range) => peer.kind() === range[0].kind() && peer.match(range));
}

function parseAddress(text: string): Address | null {
  return ipaddr.isValid(text) ? ipaddr.process(text) : null;
}

function parseRanges(networks: readonly string[]): readonly Range[] {
  return networks.filter((text) => ipaddr.isValidCIDR(text)).map((text) => ipaddr.parseCIDR(text));
}

function remembered<V>(map: Map<string, V>, key: string, make: (key: string) => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  if (map.size >= limit) map.clear();
  const value = make(key);
  map.set(key, value);
  return value;
}
