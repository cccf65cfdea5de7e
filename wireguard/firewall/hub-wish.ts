import { isIP } from 'node:net';
import { isWithin } from '../../platform/listening/network.ts';
import type { HubConfig } from '../data/hub-config.ts';
import type { InterfaceFacts } from '../store/interface-facts.ts';
import type { HubFirewall } from './ruleset.ts';

/** What is open on a hub beside what follows from its interfaces. */
export interface OpenOnHub {
  readonly sshPorts: readonly number[];
  readonly publicPorts: readonly number[];
  readonly talking: TalkingWish;
}

/** Whose peers may reach each other: everybody's, nobody's, or these addresses. */
export type TalkingWish = 'all' | 'none' | readonly string[];

/**
 * Pure: what the firewall of a hub has to let through for what its config says: its API is open where it listens, inside of the tunnel,
 * for everybody with TLS, or not at all.
 */
export function hubWish(
  { listen, interfaces: own }: Pick<HubConfig, 'listen' | 'interfaces'>,
  all: readonly InterfaceFacts[],
  wanted: OpenOnHub,
): HubFirewall {
  const interfaces = all.filter(({ name }) => own?.includes(name) ?? true);
  const networks = interfaces.flatMap((one) => one.networks);
  const { host, port } = listen;
  const isLocal = host === '::1' || host.startsWith('127.') || isIP(host) === 0;
  const isInside = isWithin(host, networks);
  const { talking, sshPorts, publicPorts } = wanted;
  return {
    tunnels: interfaces.map(({ name, listenPort }) => ({ name, port: listenPort })),
    networks,
    sshPorts,
    publicPorts: isLocal || isInside ? publicPorts : [...new Set([...publicPorts, port])],
    tunnelPorts: isInside ? [port] : [],
    talking: talkers(talking, networks),
  };
}

/** Pure: the same for a hub that has a file for wg-quick, and no program of ours. */
export function fileWish(
  tunnel: { readonly name: string; readonly port: number; readonly networks: readonly string[] },
  { sshPorts, publicPorts, talking }: OpenOnHub,
): HubFirewall {
  const { name, port, networks } = tunnel;
  return {
    tunnels: [{ name, port }],
    networks,
    sshPorts,
    publicPorts,
    tunnelPorts: [],
    talking: talkers(talking, networks),
  };
}

function talkers(talking: TalkingWish, networks: readonly string[]): readonly string[] {
  return talking === 'all' ? networks : talking === 'none' ? [] : talking;
}
