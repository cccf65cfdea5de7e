/** Lines of a table, indented by depth; a block is its head and what is in it. */
export type NftBlock = readonly (string | readonly [head: string, body: NftBlock])[];

/** The table's name: whatever is in it is ours, and nothing else is. */
export const TABLE = 'inet latchkey';

/**
 * Pure: a file for `nft -f` that puts the table in place of the one before, in one transaction: at no moment is there none, or half of one.
 * Rules of other tables stay as they are.
 */
export function tableText(remark: string, body: NftBlock): string {
  const head = [`# ${remark}`, `table ${TABLE}`, `delete table ${TABLE}`];
  return `${[...head, ...lines([[`table ${TABLE}`, body]], 0)].join('\n')}\n`;
}

function lines(block: NftBlock, depth: number): string[] {
  const indent = '\t'.repeat(depth);
  return block.flatMap((item) =>
    typeof item === 'string'
      ? [`${indent}${item}`]
      : [`${indent}${item[0]} {`, ...lines(item[1], depth + 1), `${indent}}`],
  );
}

/** A named set; one without elements is there to be filled. */
export function nftSet(
  name: string,
  type: 'ipv4_addr' | 'ipv6_addr' | 'ifname',
  elements: readonly string[],
): NftBlock {
  const isRanges = type !== 'ifname';
  const shown = isRanges ? elements : elements.map((one) => `"${one}"`);
  return [
    [
      `set ${name}`,
      [
        `type ${type}`,
        ...(isRanges ? ['flags interval', 'auto-merge'] : []),
        ...(shown.length === 0 ? [] : [`elements = { ${shown.join(', ')} }`]),
      ],
    ],
  ];
}

/** `{ 22, 443 }` */
export function ports(list: readonly number[]): string {
  return `{ ${list.join(', ')} }`;
}

/** What a host must hear to be on a network at all: errors, path MTU, neighbours, address leases; and it answers ping, at a measured pace. */
export const NECESSARY: readonly string[] = [
  'icmp type { destination-unreachable, time-exceeded, parameter-problem } accept',
  'icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } accept',
  'icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, nd-redirect } ip6 hoplimit 255 accept',
  'icmpv6 type { mld-listener-query } ip6 saddr fe80::/10 accept',
  'icmp type echo-request limit rate 50/second burst 100 packets accept',
  'icmpv6 type echo-request limit rate 50/second burst 100 packets accept',
  'udp sport 67 udp dport 68 accept',
  'ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept',
];
