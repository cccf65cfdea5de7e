import { isLatchkeyError } from '../../platform/errors.ts';
import { toolDriver } from '../drivers/tool.ts';
import { isWireGuardInterface, type NetworkView, thisMachine } from '../interface-address.ts';
import { readLink } from '../links/link-state.ts';
import type { Look, SeenInterface } from './look-file.ts';

/**
 * Looks at the machine's WireGuard interfaces, which only those may who may change networks. With `names` one that is not there is seen as
 * down; without, all there are.
 */
export async function lookAround(
  names: readonly string[] | null,
  now: number,
  view: NetworkView = thisMachine,
): Promise<Look> {
  const there = [...new Set(view.addresses().map(({ name }) => name))].filter((name) =>
    isWireGuardInterface(name, view),
  );
  const interfaces: SeenInterface[] = [];
  for (const name of names ?? there) interfaces.push(await seen(name));
  return { version: 1, at: now, interfaces };
}

async function seen(name: string): Promise<SeenInterface> {
  const link = await readLink(name);
  const nothing = { name, isUp: false, addresses: [...(link?.addresses ?? [])], listenPort: 0, peers: [] };
  if (link === null) return nothing;
  const live = await read(name);
  if (live === null) return nothing;
  const peers = [...live.peers.values()].map(({ publicKey, endpoint, lastHandshake, rx, tx }) => {
    return { publicKey, endpoint, lastHandshake, rx, tx };
  });
  return { ...nothing, isUp: link.isUp, listenPort: live.listenPort, peers };
}

/** By `wg`, and for an obfuscated one by `awg`; `null` where it does not answer. */
async function read(name: string) {
  for (const tool of ['wg', 'awg'] as const) {
    try {
      return await toolDriver({ tool, interface: name, timeoutMs: 5_000 }).read();
    } catch (error) {
      if (!isLatchkeyError(error)) throw error;
    }
  }
  return null;
}
