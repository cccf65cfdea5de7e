import { LatchkeyError } from '../../platform/errors.ts';
import { inTurns } from '../../platform/in-turns.ts';
import type { Driver, LiveInterface, WantedDevice, WantedPeer } from '../drivers/driver.ts';
import type { WireGuardKey } from '../keys.ts';
import { type Difference, differenceSteps, type ForeignPolicy } from './difference.ts';

/** What the store says, asked anew each time. */
export interface Desired {
  device(): Promise<WantedDevice>;
  /** Every peer that belongs on the interface, by public key. */
  peers(): Promise<ReadonlyMap<WireGuardKey, WantedPeer>>;
  /** The same for a few: a key that is not in the answer does not belong there. */
  some(keys: readonly WireGuardKey[]): Promise<ReadonlyMap<WireGuardKey, WantedPeer>>;
  /** Which of these keys the store knows as switched off or removed: they are no strangers, and must not stay. */
  retired(keys: readonly WireGuardKey[]): Promise<ReadonlySet<WireGuardKey>>;
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
  /** Public keys that the store has never heard of. */
  readonly foreign: readonly WireGuardKey[];
}

/**
 * Makes an interface what the store says. Nothing else touches it, and it changes one thing at a time: a change that comes
 * meanwhile is carried out right after, all that came together. What a change is, is read from the store at that moment,
 * so that the order in which changes are told makes no difference. No change waits for a whole comparison, which leaves alone what
 * was changed beside it.
 */
export class Reconciler {
  readonly #parts: ReconcilerParts;
  #touched = new Set<WireGuardKey>();
  #next: Promise<void> | null = null;
  /** Keys of the change that is carried out now. */
  #inHand: readonly WireGuardKey[] = [];
  /** What a change waits for. */
  #busy: Promise<unknown> = Promise.resolve();
  /** What a whole comparison waits for. */
  #whole: Promise<unknown> = Promise.resolve();
  readonly #overhearing = new Set<Set<WireGuardKey>>();
  #failures = 0;
  /** Peers that were on the interface when it was told or compared last; `null` when nobody knows. */
  #there: Set<WireGuardKey> | null = null;
  #isSettled = false;

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
  }

  /**
   * True from a comparison that found nothing to change until something fails. A request that was given up may still be
   * carried out by a program that hangs, so that a comparison which mended something is worth another.
   */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /**
   * After a commit: something about these peers has changed. Resolves when the interface shows it; rejects when it could not be
   * told, which the next whole comparison mends.
   */
  touch(keys: readonly WireGuardKey[]): Promise<void> {
    for (const key of keys) this.#touched.add(key);
    for (const heard of this.#overhearing) for (const key of keys) heard.add(key);
    this.#next ??= this.#alone(() => this.#carryOut());
    return this.#next;
  }

  /**
   * Does work with a set that has every peer which is changed while it lasts: what is seen of these may be of before or after. It
   * grows as they come.
   */
  async beside<T>(work: (heard: ReadonlySet<WireGuardKey>) => Promise<T>): Promise<T> {
    const heard = new Set([...this.#touched, ...this.#inHand]);
    this.#overhearing.add(heard);
    try {
      return await work(heard);
    } finally {
      this.#overhearing.delete(heard);
    }
  }

  /** Compares everything, and mends what differs. */
  compare(): Promise<Comparison> {
    return this.#asWhole(async () => {
      await this.#alone(this.#parts.ensure);
      return this.beside((heard) => this.#compareAll(heard));
    });
  }

  /** Sets the whole interface from the store, whatever it shows; cuts off everybody for a moment. */
  rebuild(): Promise<Comparison> {
    return this.#asWhole(() =>
      this.#alone(async () => {
        await this.#parts.ensure();
        return this.#replaceAll([], []);
      }),
    );
  }

  #asWhole<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#whole.then(() => this.#careful(work));
    this.#whole = done.catch(() => undefined);
    return done;
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#busy.then(() => this.#careful(work));
    this.#busy = done.catch(() => undefined);
    return done;
  }

  async #careful<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.#isSettled = false;
      this.#failures++;
      throw error;
    }
  }

  async #carryOut(): Promise<void> {
    const keys = [...this.#touched];
    this.#touched = new Set();
    this.#inHand = keys;
    this.#next = null;
    try {
      const wanted = await this.#parts.desired.some(keys);
      const there = this.#there;
      const isNew = (key: WireGuardKey): boolean => there !== null && !there.has(key);
      await this.#set(
        [...wanted.values()],
        keys.filter((key) => !wanted.has(key)),
        isNew,
      );
    } finally {
      this.#inHand = [];
    }
  }

  async #compareAll(heard: ReadonlySet<WireGuardKey>): Promise<Comparison> {
    const { desired, driver, policy } = this.#parts;
    const failures = this.#failures;
    const live = await driver.read();
    const isBlank = live.privateKey === null && live.peers.size === 0; // it was made just now: there is nothing to compare
    if (isBlank) return this.#alone(() => this.#replaceAll([], []));
    const [device, peers] = [await desired.device(), await desired.peers()];
    const unwanted = [...live.peers.keys()].filter((key) => !peers.has(key));
    const retired = unwanted.length === 0 ? new Set<WireGuardKey>() : await desired.retired(unwanted);
    const difference = await inTurns(differenceSteps(device, peers, live, { policy, retired }));
    return this.#alone(async () => {
      const comparison = await this.#mend(without(difference, heard), live, heard);
      this.#isSettled = comparison.outcome === 'settled' && failures === this.#failures;
      return comparison;
    });
  }

  async #mend(
    { device, change, foreign }: Difference,
    live: LiveInterface,
    heard: ReadonlySet<WireGuardKey>,
  ): Promise<Comparison> {
    this.#there = thereAfter(live, heard, this.#there);
    if (device) return this.#replaceAll(foreign, this.#parts.policy === 'adopt' ? pick(live.peers, foreign) : []);
    const changed = change.set.length + change.remove.length;
    if (changed === 0) return { outcome: 'settled', changed, foreign };
    await this.#set(change.set, change.remove, (key) => !live.peers.has(key));
    return { outcome: 'changed', changed, foreign };
  }

  async #replaceAll(foreign: readonly WireGuardKey[], kept: readonly WantedPeer[]): Promise<Comparison> {
    const { desired, driver } = this.#parts;
    this.#isSettled = false;
    this.#there = null;
    const peers = [...(await desired.peers()).values()];
    refuseSharedNetworks(peers);
    await driver.replace(await desired.device(), [...kept, ...peers.map(calling)]); // a network is the last one's
    this.#there = new Set(peers.map(({ publicKey }) => publicKey));
    await this.#endCalls(peers);
    return { outcome: 'rebuilt', changed: peers.length, foreign };
  }

  /** Peers that come new to the interface are called; of the others it knows better where they are. */
  async #set(
    peers: readonly WantedPeer[],
    remove: readonly WireGuardKey[],
    isNew: (key: WireGuardKey) => boolean,
  ): Promise<void> {
    const called = peers.filter(({ publicKey }) => isNew(publicKey));
    const set = peers.map((peer) => (isNew(peer.publicKey) ? calling(peer) : roaming(peer)));
    const there = this.#there;
    this.#there = null; // until it is known how that went
    await this.#parts.driver.apply({ set, remove });
    for (const { publicKey } of peers) there?.add(publicKey);
    for (const key of remove) there?.delete(key);
    this.#there = there;
    await this.#endCalls(called);
  }

  async #endCalls(peers: readonly WantedPeer[]): Promise<void> {
    const called = peers.filter(({ endpoint, keepalive }) => endpoint !== null && keepalive === 0);
    if (called.length > 0) await this.#parts.driver.apply({ set: called.map(roaming), remove: [] });
  }
}

/** A peer may be elsewhere by now: where it is, is left to the interface. */
function roaming(peer: WantedPeer): WantedPeer {
  return { ...peer, endpoint: null };
}

/**
 * An interface on which a peer is new has no session with it, and a peer that waits for data would wait for minutes. One that keeps
 * itself alive begins a handshake at once, so each peer whose place is known is told so for a moment.
 */
function calling(peer: WantedPeer): WantedPeer {
  return peer.endpoint === null || peer.keepalive > 0 ? peer : { ...peer, keepalive: CALL_SECONDS };
}

const CALL_SECONDS = 25;

/** A difference but for these keys. */
function without({ device, change, foreign }: Difference, keys: ReadonlySet<WireGuardKey>): Difference {
  const isOther = (key: WireGuardKey): boolean => !keys.has(key);
  return {
    device,
    change: { set: change.set.filter(({ publicKey }) => isOther(publicKey)), remove: change.remove.filter(isOther) },
    foreign: foreign.filter(isOther),
  };
}

/** Who is on an interface that was looked at, while these were changed: of them the last word counts. */
function thereAfter(
  live: LiveInterface,
  heard: ReadonlySet<WireGuardKey>,
  told: ReadonlySet<WireGuardKey> | null,
): Set<WireGuardKey> {
  const there = new Set(live.peers.keys());
  for (const key of heard) {
    if (told === null || told.has(key)) there.add(key);
    else there.delete(key);
  }
  return there;
}

function pick<T>(all: ReadonlyMap<WireGuardKey, T>, keys: readonly WireGuardKey[]): T[] {
  return keys.flatMap((key) => all.get(key) ?? []);
}

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
