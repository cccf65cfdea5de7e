import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import type { Driver, WantedDevice, WantedPeer } from '../drivers/driver.ts';
import type { WireGuardKey } from '../keys.ts';
import { differenceOf, type ForeignPolicy, isSettled } from './difference.ts';

/** What the store says, asked anew each time. */
export interface Desired {
  device(): Promise<WantedDevice>;
  /** Every peer that belongs on the interface, by public key. */
  peers(): Promise<ReadonlyMap<WireGuardKey, WantedPeer>>;
  /** The same for a few: a key that is not in the answer does not belong there. */
  some(keys: readonly WireGuardKey[]): Promise<ReadonlyMap<WireGuardKey, WantedPeer>>;
}

export interface ReconcilerParts {
  readonly desired: Desired;
  readonly driver: Driver;
  readonly policy: ForeignPolicy;
  /** Makes the interface with its addresses when it is not there; throws where it cannot. Does nothing when it is. */
  readonly ensure: () => Promise<void>;
}

/** How a whole comparison ended. */
export interface Comparison {
  readonly outcome: 'settled' | 'changed' | 'rebuilt';
  /** Peers set and taken off. */
  readonly changed: number;
  readonly foreign: readonly WireGuardKey[];
}

/**
 * Makes an interface what the store says. Nothing else touches it, and it does one thing at a time: a change that comes
 * meanwhile is carried out right after, all that came together. What a change is, is read from the store at that moment,
 * so that the order in which changes are told makes no difference.
 */
export class Reconciler {
  readonly #parts: ReconcilerParts;
  #touched = new Set<WireGuardKey>();
  #next: Promise<void> | null = null;
  #busy: Promise<unknown> = Promise.resolve();

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
  }

  /**
   * After a commit: something about these peers has changed. Resolves when the interface shows it; rejects when it could not be
   * told, which the next whole comparison mends.
   */
  touch(keys: readonly WireGuardKey[]): Promise<void> {
    for (const key of keys) this.#touched.add(key);
    this.#next ??= this.#alone(() => this.#carryOut());
    return this.#next;
  }

  /** Compares everything, and mends what differs. */
  compare(): Promise<Comparison> {
    return this.#alone(() => this.#compareAll());
  }

  /** Sets the whole interface from the store, whatever it shows: at the start, and after it was made anew. */
  rebuild(): Promise<Comparison> {
    return this.#alone(async () => {
      await this.#parts.ensure();
      return this.#replaceAll([]);
    });
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#busy.then(work, work);
    this.#busy = done.catch(() => undefined);
    return done;
  }

  async #carryOut(): Promise<void> {
    const keys = [...this.#touched];
    this.#touched = new Set();
    this.#next = null;
    const wanted = await this.#parts.desired.some(keys);
    const set = [...wanted.values()].map(roaming);
    const remove = keys.filter((key) => !wanted.has(key));
    await this.#parts.driver.apply({ set, remove });
  }

  async #compareAll(): Promise<Comparison> {
    const { desired, driver, policy, ensure } = this.#parts;
    await ensure();
    const [device, peers] = [await desired.device(), await desired.peers()];
    const difference = differenceOf(device, peers, await driver.read(), policy);
    const { change, foreign } = difference;
    if (difference.device) return this.#replaceAll(foreign);
    if (isSettled(difference)) return { outcome: 'settled', changed: 0, foreign };
    await driver.apply({ set: change.set.map(roaming), remove: change.remove });
    return { outcome: 'changed', changed: change.set.length + change.remove.length, foreign };
  }

  async #replaceAll(foreign: readonly WireGuardKey[]): Promise<Comparison> {
    const { desired, driver } = this.#parts;
    const peers = [...(await desired.peers()).values()];
    refuseSharedNetworks(peers);
    await driver.replace(await desired.device(), peers.map(calling));
    const called = peers.filter(({ endpoint, keepalive }) => endpoint !== null && keepalive === 0);
    if (called.length > 0) await driver.apply({ set: called.map(roaming), remove: [] });
    return { outcome: 'rebuilt', changed: peers.length, foreign };
  }
}

/** A peer may be elsewhere by now: where it is, is left to the interface. */
function roaming(peer: WantedPeer): WantedPeer {
  return { ...peer, endpoint: null };
}

/**
 * An interface that was made anew has lost its sessions, and peers that wait for data would wait for minutes. One that keeps
 * itself alive begins a handshake at once, so each peer whose place is known is told so for a moment.
 */
function calling(peer: WantedPeer): WantedPeer {
  return peer.endpoint === null || peer.keepalive > 0 ? peer : { ...peer, keepalive: CALL_SECONDS };
}

const CALL_SECONDS = 25;

/** WireGuard would give a network that two peers have to the last of them, without a word. */
function refuseSharedNetworks(peers: readonly WantedPeer[]): void {
  const seen = new Set<string>();
  for (const network of peers.flatMap(({ allowedIPs }) => allowedIPs)) {
    if (seen.has(network))
      throw new LatchkeyError('networks_shared', `two peers are to have ${network}`, {
        hint: 'the store is damaged: wghub doctor',
      });
    seen.add(network);
  }
}

/** True for an error after which the interface may be anything, so that it has to be compared. */
export function isInterfaceTrouble(error: unknown): boolean {
  return (
    isLatchkeyError(error) &&
    ['interface_down', 'driver_failed', 'driver_missing', 'link_not_made'].includes(error.code)
  );
}
