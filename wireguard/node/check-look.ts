import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import { toolDriver } from '../drivers/tool.ts';
import { isWireGuardInterface, type NetworkView, thisMachine } from '../interface-address.ts';
import type { SightedInterface } from './check.ts';
import { lookAround } from './look.ts';

/**
 * How these interfaces are, by the names that wg-quick knows them by; one that is not there is down. Throws `look_refused` to whoever
 * may not look, and `driver_missing`: neither is an interface that is down.
 */
export async function sightOf(
  names: readonly string[],
  now: number,
  view: NetworkView = thisMachine,
): Promise<readonly SightedInterface[]> {
  if (view.platform === 'darwin') return Promise.all(names.map((name) => seenOnMac(name, view)));
  const { interfaces } = await lookAround(names, now, view);
  for (const { name, isUp } of interfaces) if (!isUp) await assertMayLook(name);
  return interfaces;
}

/** On a Mac wg-quick writes down which `utun` an interface is; `wg` knows it by that name alone. */
async function seenOnMac(name: string, view: NetworkView): Promise<SightedInterface> {
  const device = view.readText(`/var/run/wireguard/${name}.name`)?.trim() ?? '';
  if (!isWireGuardInterface(device, view)) return { name, isUp: false, peers: [] };
  const peers = await assertMayLook(device);
  return { name, isUp: peers !== null, peers: peers ?? [] };
}

/** `null` for an interface that does not answer, neither `wg` nor, where that is not installed, `awg`. */
async function assertMayLook(device: string, tool: 'wg' | 'awg' = 'wg'): Promise<SightedInterface['peers'] | null> {
  try {
    const { peers } = await toolDriver({ tool, interface: device, timeoutMs: 5_000 }).read();
    return [...peers.values()];
  } catch (error) {
    if (!isLatchkeyError(error)) throw error;
    if (error.code === 'driver_missing') return tool === 'wg' ? assertMayLook(device, 'awg') : missing(error);
    const said = isLatchkeyError(error.cause) ? String(error.cause.extra?.stderr ?? '') : '';
    if (!/Operation not permitted|Permission denied/.test(said)) return null;
    throw new LatchkeyError('look_refused', `this user may not look at ${device}`, {
      cause: error,
      hint: 'as root, or with CAP_NET_ADMIN',
    });
  }
}

function missing(cause: LatchkeyError): never {
  throw new LatchkeyError('driver_missing', 'neither wg nor awg is installed on this machine', {
    cause,
    hint: 'install wireguard-tools, and see that they are on the PATH',
  });
}
