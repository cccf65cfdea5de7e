import type { Kysely } from 'kysely';
import { appendAudit } from '../../platform/audit-chain.ts';
import type { RandomBytes } from '../../platform/clock.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import type { Store } from '../../platform/store.ts';
import type { Pool } from '../address/pool.ts';
import { generateKeyPair, generatePresharedKey, type KeyPair, parsePublicKey } from '../keys.ts';
import { poolOf } from '../store/hub-interface.ts';
import type { InterfaceFacts } from '../store/interface-facts.ts';
import {
  deletePeer,
  findById,
  findByKey,
  insertPeer,
  listPeers,
  type PageMark,
  type Peer,
  type PeerFilter,
  switchPeer,
} from '../store/peers.ts';
import type { HubDatabase, PeerKind } from '../store/schema.ts';
import type { Seal } from '../store/seal.ts';
import type { Actor } from './actor.ts';

export interface RegisterParts {
  readonly store: Store<HubDatabase>;
  readonly seal: Seal;
  readonly now: () => number;
  readonly random: RandomBytes;
  /** After a commit: something about these peers has changed. True when the interface shows it. */
  readonly tell: (publicKeys: readonly string[]) => Promise<boolean>;
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
 * The peers of one interface, for every front door. A change is committed with its audit record first, and then told: whoever
 * runs the interface makes it what the store says.
 */
export class PeerRegister {
  #facts: InterfaceFacts;
  #pool: Pool;
  readonly #parts: RegisterParts;

  constructor(facts: InterfaceFacts, parts: RegisterParts) {
    this.#facts = facts;
    this.#pool = poolOf(facts);
    this.#parts = parts;
  }

  get facts(): InterfaceFacts {
    return this.#facts;
  }

  get pool(): Pool {
    return this.#pool;
  }

  /** The interface has other facts by now. */
  refresh(facts: InterfaceFacts): void {
    this.#facts = facts;
    this.#pool = poolOf(facts);
  }

  /** Makes a peer. Throws what the schema and the store refuse: `invalid_request`, `invalid_key`, `public_key_exists`, `ip_taken`, `pool_exhausted`. */
  async create(order: PeerOrder, by: Actor): Promise<MadePeer> {
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
    const about = { interface: this.facts.name, pool: this.pool, seal, now: now() };
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
    const peer = await store.transaction(async (tx) => {
      const inserted = await insertPeer(tx, about, given);
      await this.#record(tx, 'peer_created', inserted, by, { kind: inserted.kind, addresses: inserted.addresses });
      return inserted;
    });
    const live = await this.#parts.tell([publicKey]);
    return { peer, privateKey: pair?.privateKey ?? null, presharedKey, live };
  }

  /** Deletes a peer; its address is free when this returns. Throws `peer_not_found`. */
  async remove(id: string, by: Actor): Promise<Peer> {
    const { now, store, tell } = this.#parts;
    const peer = await store.transaction(async (tx) => {
      const deleted = await deletePeer(tx, this.facts.name, id, now());
      await this.#record(tx, 'peer_removed', deleted, by, {});
      return deleted;
    });
    await tell([peer.publicKey]);
    return peer;
  }

  /** Switches a peer off, or on again. Throws `peer_not_found`. */
  async switch(id: string, isOn: boolean, by: Actor): Promise<Peer> {
    const peer = await this.#parts.store.transaction(async (tx) => {
      const switched = await switchPeer(tx, this.facts.name, id, isOn);
      await this.#record(tx, isOn ? 'peer_enabled' : 'peer_disabled', switched, by, {});
      return switched;
    });
    await this.#parts.tell([peer.publicKey]);
    return peer;
  }

  /** The living peer with this public key; `null` when there is none. */
  find(publicKey: string): Promise<Peer | null> {
    return this.#parts.store.read((db) => findByKey(db, this.facts.name, publicKey));
  }

  /** The living peer with this id; `null` when there is none. */
  get(id: string): Promise<Peer | null> {
    return this.#parts.store.read((db) => findById(db, this.facts.name, id));
  }

  list(filter: PeerFilter, after: PageMark | null, limit: number): Promise<Peer[]> {
    return this.#parts.store.read((db) => listPeers(db, this.facts.name, filter, after, limit));
  }

  async #record(
    tx: Kysely<HubDatabase>,
    event: string,
    { id, name, publicKey }: Peer,
    { name: by, source }: Actor,
    more: { readonly kind?: string; readonly addresses?: readonly string[] },
  ): Promise<void> {
    await appendAudit(tx, {
      time: this.#parts.now(),
      event,
      ...(source === null ? {} : { source }),
      detail: { by, interface: this.facts.name, peer: id, name, public_key: publicKey, ...more },
    });
  }
}
