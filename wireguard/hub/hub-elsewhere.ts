import { isDeepStrictEqual } from 'node:util';
import type { HubInterface } from '../store/hub-interface.ts';
import type { Ring } from './doorbell.ts';
import { PeerRegister, type RegisterParts } from './peer-register.ts';

export interface ElsewhereParts extends Omit<RegisterParts, 'tell'> {
  /** Tells the hub that keeps the interface. True when the interface shows it. */
  readonly tell: (ring: Ring) => Promise<boolean>;
  /** Reads the facts of the interface from the store; `null` when it is gone. */
  readonly facts: () => Promise<HubInterface | null>;
  /** Whether a hub that runs keeps the interface. */
  readonly isKept: () => Promise<boolean>;
}

/** An interface as a hub has it that does not keep it. */
interface FarHub {
  readonly facts: HubInterface;
  readonly peers: PeerRegister;
  tell(publicKeys: readonly string[]): Promise<boolean>;
  refresh(): Promise<boolean>;
}

/**
 * An interface that another hub of the same database keeps: its peers are made and removed here all the same, and the other is told. What
 * it shows now is for the other to say.
 */
export class HubElsewhere {
  readonly isElsewhere = true;
  readonly hub: FarHub;
  readonly #parts: ElsewhereParts;
  #facts: HubInterface;

  constructor(facts: HubInterface, parts: ElsewhereParts) {
    this.#facts = facts;
    this.#parts = parts;
    const { name } = facts;
    const tell = (publicKeys: readonly string[]): Promise<boolean> => parts.tell({ interface: name, publicKeys });
    const peers = new PeerRegister(facts, { ...parts, tell });
    const current = (): HubInterface => this.#facts;
    this.hub = {
      get facts() {
        return current();
      },
      peers,
      tell,
      refresh: async () => {
        await this.look();
        return tell([]);
      },
    };
  }

  /** Whether a hub that runs keeps it. */
  isKept(): Promise<boolean> {
    return this.#parts.isKept();
  }

  /** Reads its facts again; nobody is told. */
  async look(): Promise<void> {
    const facts = await this.#parts.facts();
    if (facts !== null) this.renew(facts);
  }

  /** Has these facts from now on. */
  renew(facts: HubInterface): void {
    if (isDeepStrictEqual(facts, this.#facts)) return;
    this.#facts = facts;
    this.hub.peers.refresh(facts);
  }
}
