import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { isLatchkeyError } from '../../platform/errors.ts';
import { run } from '../../platform/run.ts';
import type { Store } from '../../platform/store.ts';
import { parseEndpoint } from '../config/endpoint.ts';
import { driverFor } from '../hub/make-hub.ts';
import { chooseLink, type LinkChoice, type LinkMeans } from '../links/link-choice.ts';
import { mayMakeLinks } from '../links/link-means.ts';
import { hasControlSocket, type LinkState, readLink } from '../links/link-state.ts';
import { listInterfaces } from '../store/hub-interface.ts';
import type { InterfaceFacts } from '../store/interface-facts.ts';
import type { HubDatabase } from '../store/schema.ts';
import type { Seal } from '../store/seal.ts';
import { wantedPeers } from '../store/wanted-peers.ts';
import type { InterfaceLook } from './interface-findings.ts';

const LOOKUP_MS = 5000;
const TOOL_MS = 5000;

/** Looks at one interface as it is and as it should be, changing nothing. */
export async function lookAtInterface(
  facts: InterfaceFacts,
  store: Store<HubDatabase>,
  seal: Seal | null,
  { means, isHubRunning }: { readonly means: LinkMeans; readonly isHubRunning: boolean },
): Promise<InterfaceLook> {
  const { name } = facts;
  const choice = chooseLink(means, facts.level !== 'off');
  const own =
    seal === null ? null : (await store.read((db) => listInterfaces(db, seal))).find((one) => one.name === name);
  return {
    facts,
    obfuscation: own?.obfuscation ?? null,
    choice,
    mayLook: mayMakeLinks(),
    isHubRunning,
    link: await linkOf(name),
    hasSocket: hasControlSocket(name),
    live: 'missing' in choice ? { trouble: 'there is no driver' } : await liveOf(name, choice),
    isPortTaken: isUdpPortTaken(facts.listenPort),
    wanted: await store.read((db) => wantedPeers(db, name, seal ?? BLIND)),
    hasSecrets: seal !== null,
    endpointAddresses: await addressesOf(facts.endpoint),
    tool: 'missing' in choice || choice.driver === 'uapi' ? null : await toolVersion(choice.driver),
    forwarding: { 4: sysctl('ipv4/ip_forward'), 6: sysctl('ipv6/conf/all/forwarding') },
  };
}

/** Opens nothing: what is sealed is not known, only that there is something. */
const BLIND: Seal = {
  seal: () => {
    throw new TypeError('nothing is sealed here');
  },
  open: () => Buffer.alloc(0),
};

async function linkOf(name: string): Promise<LinkState | null> {
  try {
    return await readLink(name);
  } catch (error) {
    if (isLatchkeyError(error)) return null; // without ip, which the findings about the machine tell
    throw error;
  }
}

async function liveOf(name: string, choice: LinkChoice): Promise<InterfaceLook['live']> {
  try {
    return await driverFor(name, choice).read();
  } catch (error) {
    if (isLatchkeyError(error)) return { trouble: error.message };
    throw error;
  }
}

/** Sockets of the kernel's own WireGuard are in the list too: a port is only taken when the interface does not have it. */
function isUdpPortTaken(port: number): boolean | null {
  try {
    const lines = ['/proc/net/udp', '/proc/net/udp6'].flatMap((path) =>
      readFileSync(path, 'utf8').split('\n').slice(1),
    );
    return isPortIn(lines, port);
  } catch {
    return null;
  }
}

/** Pure: whether a line of /proc/net/udp (proc(5)) is about this local port. */
export function isPortIn(lines: readonly string[], port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return lines.some((line) => line.trim().split(/\s+/)[1]?.endsWith(`:${hex}`) === true);
}

async function addressesOf(endpoint: string): Promise<string[] | null> {
  const { host } = parseEndpoint(endpoint, 'endpoint');
  if (isIP(host) !== 0) return [];
  const late = new Promise<null>((resolve) => setTimeout(() => resolve(null), LOOKUP_MS).unref());
  const found = lookup(host, { all: true }).then(
    (all) => all.map(({ address }) => address),
    () => null,
  );
  return Promise.race([found, late]);
}

async function toolVersion(name: 'wg' | 'awg'): Promise<{ name: string; version: string | null }> {
  try {
    const { stdout } = await run([name, '--version'], { timeoutMs: TOOL_MS, allowExit: 'any' });
    return { name, version: /\bv(\d+\.\d+\.\d+)/.exec(stdout.toString('utf8'))?.[1] ?? null };
  } catch (error) {
    if (isLatchkeyError(error)) return { name, version: null };
    throw error;
  }
}

function sysctl(path: string): boolean | null {
  try {
    return readFileSync(`/proc/sys/net/${path}`, 'utf8').trim() !== '0';
  } catch {
    return null;
  }
}
