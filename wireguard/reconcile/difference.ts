import { atOnce } from '../../platform/in-turns.ts';
import {
  type InterfaceChange,
  type LiveInterface,
  sortedNetworks,
  type WantedDevice,
  type WantedPeer,
} from '../drivers/driver.ts';
import type { WireGuardKey } from '../keys.ts';

/** What becomes of a peer that runs on the interface and was never in the store: it is taken off, or left and told about. */
export type ForeignPolicy = 'strict' | 'adopt';

export interface Difference {
  /** The interface's own key, port or mark is another: all of it has to be set anew. */
  readonly device: boolean;
  readonly change: InterfaceChange;
  /** Public keys that nobody ever asked for. */
  readonly foreign: readonly WireGuardKey[];
}

type Wanted = readonly [
  device: Omit<WantedDevice, 'obfuscation'>,
  peers: ReadonlyMap<WireGuardKey, WantedPeer>,
  live: LiveInterface,
  known: { readonly policy: ForeignPolicy; readonly retired: ReadonlySet<WireGuardKey> },
];

/**
 * Pure: the least that makes a running interface what the store says. Endpoints are no difference: peers roam. `retired` are keys that
 * the store knows as switched off or removed: they go, whatever the policy.
 */
export function differenceOf(...wanted: Wanted): Difference {
  return atOnce(differenceSteps(...wanted));
}

/** The same peer by peer. */
export function* differenceSteps(...[device, peers, live, known]: Wanted): Generator<undefined, Difference> {
  const { policy, retired } = known;
  const set: WantedPeer[] = [];
  for (const wanted of peers.values()) {
    if (!isAsWanted(wanted, live)) set.push(wanted);
    yield;
  }
  const unwanted = [...live.peers.keys()].filter((key) => !peers.has(key));
  return {
    device: isOtherDevice(device, live),
    change: { set, remove: policy === 'strict' ? unwanted : unwanted.filter((key) => retired.has(key)) },
    foreign: unwanted.filter((key) => !retired.has(key)),
  };
}

/** Pure: whether the interface itself, without its peers, is another than it is to be. */
export function isOtherDevice(
  device: Pick<WantedDevice, 'privateKey' | 'fwMark' | 'listenPort'>,
  live: LiveInterface,
): boolean {
  return (
    live.privateKey !== device.privateKey ||
    live.fwMark !== device.fwMark ||
    (device.listenPort !== 0 && live.listenPort !== device.listenPort)
  );
}

function isAsWanted(wanted: WantedPeer, live: LiveInterface): boolean {
  const peer = live.peers.get(wanted.publicKey);
  if (peer === undefined) return false;
  const networks = sortedNetworks(wanted.allowedIPs);
  return (
    peer.presharedKey === wanted.presharedKey &&
    peer.keepalive === wanted.keepalive &&
    peer.allowedIPs.length === networks.length &&
    networks.every((network, at) => peer.allowedIPs[at] === network)
  );
}
