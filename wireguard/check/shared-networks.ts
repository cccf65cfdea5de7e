import { contains, type Prefix, parsePrefix } from '../address/prefix.ts';
import type { PeerConfig } from '../config/wireguard-config.ts';

/** Two peers that are given the same addresses; their places in the file, from 0. */
export interface SharedNetwork {
  readonly network: string;
  readonly inside: string;
  readonly peers: readonly [number, number];
  /** The very same network: WireGuard gives it to the later one without a word. One inside of another is legal, the narrower wins. */
  readonly same: boolean;
}

interface Owned {
  readonly prefix: Prefix;
  readonly text: string;
  readonly peer: number;
}

/** Pure: what two peers both have. In one pass over the sorted networks, since a file may have tens of thousands. */
export function sharedNetworks(peers: readonly Pick<PeerConfig, 'allowedIPs'>[]): SharedNetwork[] {
  const owned = peers.flatMap(({ allowedIPs }, peer) =>
    allowedIPs.map((text): Owned => ({ prefix: parsePrefix(text, 'AllowedIPs'), text, peer })),
  );
  owned.sort((a, b) => compare(a.prefix, b.prefix) || a.peer - b.peer);
  const found: SharedNetwork[] = [];
  const around: Owned[] = [];
  for (const one of owned) {
    for (let top = around.at(-1); top !== undefined && !contains(top.prefix, one.prefix); top = around.at(-1))
      around.pop();
    const outer = around.at(-1);
    if (outer !== undefined && outer.peer !== one.peer) {
      const same = outer.prefix.bits === one.prefix.bits;
      found.push({ network: outer.text, inside: one.text, peers: [outer.peer, one.peer], same });
    }
    around.push(one);
  }
  return found;
}

/** Outer ones before what is inside of them. */
function compare(a: Prefix, b: Prefix): number {
  if (a.family !== b.family) return a.family - b.family;
  if (a.value !== b.value) return a.value < b.value ? -1 : 1;
  return a.bits - b.bits;
}
