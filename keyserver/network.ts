import ipaddr from 'ipaddr.js';

type Range = ReturnType<typeof ipaddr.parseCIDR>;

/** Parsed lists by their spelling; the oldest leaves first. */
const parsed = new Map<string, readonly Range[]>();
const parsedLimit = 1_000;

/**
 * Whether `address` lies in one of the networks. An IPv4 address that arrived on an IPv6 socket (`::ffff:a.b.c.d`) counts
 * as IPv4. An address or network that cannot be read matches nothing.
 */
export function isWithin(address: string, networks: readonly string[]): boolean {
  if (!ipaddr.isValid(address)) return false;
  const peer = ipaddr.process(address);
  return rangesOf(networks).some((range) => peer.kind() === range[0].kind() && peer.match(range));
}

function rangesOf(networks: readonly string[]): readonly Range[] {
  const spelling = networks.join(' ');
  const known = parsed.get(spelling);
  if (known !== undefined) return known;
  const ranges = networks.filter((text) => ipaddr.isValidCIDR(text)).map((text) => ipaddr.parseCIDR(text));
  parsed.set(spelling, ranges);
  const oldest = parsed.keys().next();
  if (parsed.size > parsedLimit && oldest.done === false) parsed.delete(oldest.value);
  return ranges;
}
