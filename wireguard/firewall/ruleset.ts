import { NECESSARY, type NftBlock, nftSet, ports, tableText } from './nft-text.ts';

/** What the firewall of a hub lets through. */
export interface HubFirewall {
  /** The hub's interfaces with their UDP ports. */
  readonly tunnels: readonly { readonly name: string; readonly port: number }[];
  /** Networks of the tunnels: nobody outside of them may have one of these addresses. */
  readonly networks: readonly string[];
  readonly sshPorts: readonly number[];
  /** TCP ports for everybody: that of the API, or of the web server before it. */
  readonly publicPorts: readonly number[];
  /** TCP ports for peers alone. */
  readonly tunnelPorts: readonly number[];
  /** Addresses and networks of the peers that may reach each other. */
  readonly talking: readonly string[];
}

/** What the firewall of a spoke lets through. */
export interface SpokeFirewall {
  readonly tunnel: string;
  readonly networks: readonly string[];
  /** The hub's own addresses: it carries what others send, and nothing that it begins itself comes in. */
  readonly hubAddresses: readonly string[];
  readonly sshPorts: readonly number[];
  /** TCP ports for everybody, of what the machine serves beside the tunnel. */
  readonly publicPorts: readonly number[];
}

const is4 = (text: string): boolean => !text.includes(':');
const is6 = (text: string): boolean => text.includes(':');

/**
 * Pure: SSH, WireGuard and what is named may come in, peers that are told so may reach each other, and the hub begins nothing towards a
 * peer. As many rules for a thousand peers as for one: they are elements of a set.
 */
export function hubRuleset(wanted: HubFirewall, remark: string): string {
  const { tunnels, networks, sshPorts, publicPorts, tunnelPorts, talking } = wanted;
  const input: NftBlock = [
    'type filter hook input priority filter; policy drop;',
    ...established(),
    ...outsiders(networks, 'iifname != @tunnels'),
    ...open(sshPorts),
    `udp dport ${ports(tunnels.map(({ port }) => port))} accept`,
    ...open(publicPorts),
    ...(tunnelPorts.length === 0 ? [] : [`iifname @tunnels tcp dport ${ports(tunnelPorts)} accept`]),
    ...NECESSARY,
  ];
  const forward: NftBlock = [
    'type filter hook forward priority filter; policy drop;',
    'ct state vmap { established : accept, related : accept, invalid : drop }',
    'iifname @tunnels oifname @tunnels ip saddr @talking4 ip daddr @talking4 accept',
    'iifname @tunnels oifname @tunnels ip6 saddr @talking6 ip6 daddr @talking6 accept',
  ];
  const output: NftBlock = [
    'type filter hook output priority filter; policy accept;',
    'oifname @tunnels ct state established,related accept',
    'oifname @tunnels counter reject with icmpx admin-prohibited',
  ];
  const names = tunnels.map(({ name }) => name);
  return tableText(remark, [
    ...nftSet('tunnels', 'ifname', names),
    ...nftSet('talking4', 'ipv4_addr', talking.filter(is4)),
    ...nftSet('talking6', 'ipv6_addr', talking.filter(is6)),
    ['chain input', input],
    ['chain forward', forward],
    ['chain output', output],
  ]);
}

/**
 * Pure: what the other peers send through the tunnel may come in, and from the hub itself nothing but answers. Beside the tunnel SSH and
 * what is named.
 */
export function spokeRuleset(wanted: SpokeFirewall, remark: string): string {
  const { tunnel, networks, hubAddresses, sshPorts, publicPorts } = wanted;
  const ofTunnel = `iifname "${tunnel}"`;
  const fromHub = [
    ...hubAddresses.filter(is4).map((address) => `ip saddr ${address}`),
    ...hubAddresses.filter(is6).map((address) => `ip6 saddr ${address}`),
  ];
  const input: NftBlock = [
    'type filter hook input priority filter; policy drop;',
    ...established(),
    ...outsiders(networks, `iifname != "${tunnel}"`),
    ...fromHub.map((source) => `${ofTunnel} ${source} counter drop`),
    ...networks.map((network) => `${ofTunnel} ${is4(network) ? 'ip' : 'ip6'} saddr ${network} accept`),
    `${ofTunnel} drop`,
    ...open(sshPorts),
    ...open(publicPorts),
    ...NECESSARY,
  ];
  const forward: NftBlock = [
    'type filter hook forward priority filter; policy accept;',
    // a spoke is no way from the tunnel to the network that it stands in
    `${ofTunnel} ct state != { established, related } drop`,
  ];
  return tableText(remark, [
    ['chain input', input],
    ['chain forward', forward],
  ]);
}

function established(): string[] {
  return ['iif lo accept', 'ct state vmap { established : accept, related : accept, invalid : drop }'];
}

function outsiders(networks: readonly string[], outside: string): string[] {
  return networks.map((network) => `${outside} ${is4(network) ? 'ip' : 'ip6'} saddr ${network} drop`);
}

function open(list: readonly number[]): string[] {
  return list.length === 0 ? [] : [`tcp dport ${ports(list)} accept`];
}
