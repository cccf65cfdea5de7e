import { isDeepStrictEqual } from 'node:util';
import type { Driver } from '../drivers/driver.ts';
import { isPlain } from '../obfuscation/parameters.ts';
import type { ForeignPolicy } from '../reconcile/difference.ts';
import { type Comparison, Reconciler } from '../reconcile/reconciler.ts';
import { type HubInterface, listInterfaces } from '../store/hub-interface.ts';
import { retiredPeers } from '../store/retired-peers.ts';
import { wantedPeers, wantedPeersOf } from '../store/wanted-peers.ts';
import { PeerRegister, type RegisterParts } from './peer-register.ts';

export interface HubParts extends Omit<RegisterParts, 'tell'> {
  readonly policy: ForeignPolicy;
  /** Told when the interface could not be told of a change; the next comparison mends it. */
  readonly onTrouble: (error: unknown) => void;
  /** Told when the store has other facts of the interface than before. */
  readonly onFacts?: (name: string) => void;
  /** How long a change waits for the interface to show it, in milliseconds; 5 s unless told. */
  readonly patience?: number;
}

const PATIENCE_MS = 5000;

/**
 * One interface with its peers. Every change is committed to the store first and then told to the interface, whose peers are
 * whatever the store says; which front door a peer came in by makes no difference here.
 */
export class Hub {
  readonly driver: Driver;
  readonly reconciler: Reconciler;
  readonly peers: PeerRegister;
  readonly #parts: HubParts;
  #facts: HubInterface;

  /** `ensure` makes the interface when it is not there and gives it what its facts say; it does nothing when it is so. */
  constructor(facts: HubInterface, driver: Driver, ensure: (facts: HubInterface) => Promise<void>, parts: HubParts) {
    const { store, seal, policy } = parts;
    this.#facts = facts;
    this.#parts = parts;
    this.driver = driver;
    this.peers = new PeerRegister(facts, { ...parts, tell: (keys) => this.tell(keys) });
    const { name } = facts;
    this.reconciler = new Reconciler({
      desired: {
        device: () => {
          const { privateKey, listenPort, fwMark, obfuscation } = this.#facts;
          return Promise.resolve({ privateKey, listenPort, fwMark, obfuscation });
        },
        peers: () => store.read((db) => wantedPeers(db, name, seal)),
        some: (keys) => store.read((db) => wantedPeersOf(db, name, keys, seal)),
        retired: (keys) => store.read((db) => retiredPeers(db, name, keys)),
      },
      driver,
      policy,
      ensure: () => ensure(this.#facts),
    });
  }

  /** As they are now: endpoint, networks and the like may be changed while the hub runs. */
  get facts(): HubInterface {
    return this.#facts;
  }

  get policy(): ForeignPolicy {
    return this.#parts.policy;
  }

  /**
   * Makes the interface what the store says when the hub starts. One that runs on from the hub's last life keeps its sessions, so
   * that a restart cuts nobody off; what of an obfuscated one cannot be read is set anew.
   */
  begin(): Promise<Comparison> {
    return isPlain(this.#facts.obfuscation) ? this.reconciler.compare() : this.reconciler.rebuild();
  }

  /** Compares the interface with the store, whose facts of it may be others by now: another hub may have changed them. */
  async compare(): Promise<Comparison> {
    await this.#readFacts();
    return this.reconciler.compare();
  }

  /**
   * Reads the facts of the interface from the store again, and has the interface take them up. False when it could not be told;
   * what peers are told is new all the same.
   */
  refresh(): Promise<boolean> {
    return this.#inTime(this.compare());
  }

  /**
   * Has the interface take up what the store says of these peers. False when it could not be told, or not in time: nothing is lost,
   * it is in the store, and whoever asked is not to be told that it failed.
   */
  tell(publicKeys: readonly string[]): Promise<boolean> {
    return this.#inTime(this.reconciler.touch(publicKeys));
  }

  async #readFacts(): Promise<void> {
    const { store, seal } = this.#parts;
    const all = await store.read((db) => listInterfaces(db, seal));
    const facts = all.find(({ name }) => name === this.#facts.name);
    if (facts === undefined || isDeepStrictEqual(facts, this.#facts)) return;
    this.#facts = facts;
    this.peers.refresh(facts);
    this.#parts.onFacts?.(facts.name);
  }

  async #inTime(work: Promise<unknown>): Promise<boolean> {
    const done = work.then(
      () => true,
      (error: unknown) => {
        this.#parts.onTrouble(error);
        return false;
      },
    );
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), this.#parts.patience ?? PATIENCE_MS);
    });
    const isShown = await Promise.race([done, late]);
    clearTimeout(timer);
    return isShown;
  }
}
