import type { Driver } from '../drivers/driver.ts';
import type { ForeignPolicy } from '../reconcile/difference.ts';
import { isInterfaceTrouble, Reconciler } from '../reconcile/reconciler.ts';
import { type HubInterface, listInterfaces } from '../store/hub-interface.ts';
import { wantedPeers, wantedPeersOf } from '../store/peers.ts';
import { PeerRegister, type RegisterParts } from './peer-register.ts';

export interface HubParts extends Omit<RegisterParts, 'tell'> {
  readonly policy: ForeignPolicy;
  /** Told when the interface could not be told of a change; the next comparison mends it. */
  readonly onTrouble: (error: unknown) => void;
}

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

  /**
   * Reads the facts of the interface from the store again, and has the interface take them up. False when it could not be told;
   * what peers are told is new all the same.
   */
  async refresh(): Promise<boolean> {
    const { store, seal } = this.#parts;
    const all = await store.read((db) => listInterfaces(db, seal));
    const facts = all.find(({ name }) => name === this.#facts.name);
    if (facts === undefined) return false;
    this.#facts = facts;
    this.peers.refresh(facts);
    return this.#attempt(() => this.reconciler.compare());
  }

  /** Has the interface take up what the store says of these peers. False when it could not be told: nothing is lost, it is in the store. */
  tell(publicKeys: readonly string[]): Promise<boolean> {
    return this.#attempt(() => this.reconciler.touch(publicKeys));
  }

  async #attempt(work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (!isInterfaceTrouble(error)) throw error;
      this.#parts.onTrouble(error);
      return false;
    }
  }
}
