import type { Driver } from '../drivers/driver.ts';
import type { ForeignPolicy } from '../reconcile/difference.ts';
import { isInterfaceTrouble, Reconciler } from '../reconcile/reconciler.ts';
import type { HubInterface } from '../store/hub-interface.ts';
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
  readonly facts: HubInterface;
  readonly driver: Driver;
  readonly reconciler: Reconciler;
  readonly peers: PeerRegister;
  readonly #onTrouble: (error: unknown) => void;

  /** `ensure` makes the interface when it is not there; it does nothing when it is. */
  constructor(facts: HubInterface, driver: Driver, ensure: () => Promise<void>, parts: HubParts) {
    const { store, seal, policy, onTrouble } = parts;
    this.facts = facts;
    this.driver = driver;
    this.#onTrouble = onTrouble;
    this.peers = new PeerRegister(facts, { ...parts, tell: (keys) => this.tell(keys) });
    const { privateKey, listenPort, fwMark, obfuscation, name } = facts;
    this.reconciler = new Reconciler({
      desired: {
        device: () => Promise.resolve({ privateKey, listenPort, fwMark, obfuscation }),
        peers: () => store.read((db) => wantedPeers(db, name, seal)),
        some: (keys) => store.read((db) => wantedPeersOf(db, name, keys, seal)),
      },
      driver,
      policy,
      ensure,
    });
  }

  /** Has the interface take up what the store says of these peers. False when it could not be told: nothing is lost, it is in the store. */
  async tell(publicKeys: readonly string[]): Promise<boolean> {
    try {
      await this.reconciler.touch(publicKeys);
      return true;
    } catch (error) {
      if (!isInterfaceTrouble(error)) throw error;
      this.#onTrouble(error);
      return false;
    }
  }
}
