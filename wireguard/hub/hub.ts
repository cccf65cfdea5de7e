import type { RandomBytes } from '../../platform/clock.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import type { Store } from '../../platform/store.ts';
import type { Pool } from '../address/pool.ts';
import type { Driver } from '../drivers/driver.ts';
import { generateKeyPair, generatePresharedKey, type KeyPair, parsePublicKey } from '../keys.ts';
import type { ForeignPolicy } from '../reconcile/difference.ts';
import { isInterfaceTrouble, Reconciler } from '../reconcile/reconciler.ts';
import { type HubInterface, poolOf } from '../store/hub-interface.ts';
import {
  deletePeer,
  findByKey,
  insertPeer,
  listPeers,
  type PageMark,
  type Peer,
  type PeerFilter,
  switchPeer,
  wantedPeers,
  wantedPeersOf,
} from '../store/peers.ts';
import type { HubDatabase, PeerKind } from '../store/schema.ts';
import type { Seal } from '../store/seal.ts';

export interface HubParts {
  readonly store: Store<HubDatabase>;
  readonly seal: Seal;
  readonly now: () => number;
  readonly random: RandomBytes;
  readonly policy: ForeignPolicy;
  /** Told when the interface could not be told of a change; the next comparison mends it. */
  readonly onTrouble: (error: unknown) => void;
}

/** What a front door asks for. Texts are checked here, once for all doors. */
export interface PeerOrder {
  readonly name: string;
  readonly owner?: string | null;
  readonly kind: PeerKind;
  readonly platform?: string | null;
  /** Without one a pair is made, and its private half is told once. */
  readonly publicKey?: string;
  readonly presharedKey?: boolean;
  readonly keepalive?: number;
  readonly wishedAddress?: string | null;
  readonly extraNetworks?: readonly string[];
  readonly expiresAt?: number | null;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** A new peer with the secrets that nobody is told again. */
export interface MadePeer {
  readonly peer: Peer;
  readonly privateKey: string | null;
  readonly presharedKey: string | null;
  /** False when the interface could not be told yet. */
  readonly live: boolean;
}

/**
 * One interface with its peers. Every change is committed to the store first and then told to the interface, whose peers are
 * whatever the store says; which front door a peer came in by makes no difference here.
 */
export class Hub {
  readonly facts: HubInterface;
  readonly reconciler: Reconciler;
  readonly #parts: HubParts;
  readonly #pool: Pool;
  readonly driver: Driver;

  constructor(facts: HubInterface, driver: Driver, ensure: () => Promise<void>, parts: HubParts) {
    const { store, seal, policy } = parts;
    this.facts = facts;
    this.driver = driver;
    this.#parts = parts;
    this.#pool = poolOf(facts);
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

  /** Makes a peer. Throws what the schema and the store refuse: `invalid_request`, `invalid_key`, `public_key_exists`, `ip_taken`, `pool_exhausted`. */
  async create(order: PeerOrder): Promise<MadePeer> {
    const { now, random, seal, store } = this.#parts;
    const pair: KeyPair | null = order.publicKey === undefined ? generateKeyPair() : null;
    const publicKey = pair?.publicKey ?? parsePublicKey(order.publicKey ?? '', 'publicKey');
    if (publicKey === this.facts.publicKey) {
      throw new LatchkeyError('invalid_key', '"publicKey" must not be the hub\'s own', {
        status: 400,
        field: 'publicKey',
      });
    }
    const presharedKey = order.presharedKey === true ? generatePresharedKey(random) : null;
    const about = { interface: this.facts.name, pool: this.#pool, seal, now: now() };
    const given = {
      id: random(12).toString('hex'),
      name: order.name,
      owner: order.owner ?? null,
      publicKey,
      presharedKey,
      kind: order.kind,
      platform: order.platform ?? null,
      keepalive: order.keepalive ?? this.facts.keepalive,
      wishedAddress: order.wishedAddress ?? null,
      extraNetworks: order.extraNetworks ?? [],
      expiresAt: order.expiresAt ?? null,
      metadata: order.metadata ?? {},
    };
    const peer = await store.transaction((tx) => insertPeer(tx, about, given));
    return { peer, privateKey: pair?.privateKey ?? null, presharedKey, live: await this.#tell(publicKey) };
  }

  /** Deletes a peer; its address is free when this returns. Throws `peer_not_found`. */
  async remove(id: string): Promise<Peer> {
    const { now, store } = this.#parts;
    const peer = await store.transaction((tx) => deletePeer(tx, this.facts.name, id, now()));
    await this.#tell(peer.publicKey);
    return peer;
  }

  /** Switches a peer off, or on again. Throws `peer_not_found`. */
  async switch(id: string, isOn: boolean): Promise<Peer> {
    const peer = await this.#parts.store.transaction((tx) => switchPeer(tx, this.facts.name, id, isOn));
    await this.#tell(peer.publicKey);
    return peer;
  }

  find(publicKey: string): Promise<Peer | null> {
    return this.#parts.store.read((db) => findByKey(db, this.facts.name, publicKey));
  }

  list(filter: PeerFilter, after: PageMark | null, limit: number): Promise<Peer[]> {
    return this.#parts.store.read((db) => listPeers(db, this.facts.name, filter, after, limit));
  }

  /** A change that the interface was not told of is not lost: it is in the store. */
  async #tell(publicKey: string): Promise<boolean> {
    try {
      await this.reconciler.touch([publicKey]);
      return true;
    } catch (error) {
      if (!isInterfaceTrouble(error)) throw error;
      this.#parts.onTrouble(error);
      return false;
    }
  }
}
