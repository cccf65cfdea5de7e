import type { Kysely } from 'kysely';
import { appendAudit } from '../../platform/audit-chain.ts';
import type { RandomBytes } from '../../platform/clock.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { statement } from '../../platform/statement.ts';
import type { Store } from '../../platform/store.ts';
import type { Pool } from '../address/pool.ts';
import { generateKeyPair, generatePresharedKey, type KeyPair } from '../keys.ts';
import { endInvitationsOf } from '../spokes/token-sweeper.ts';
import { poolOf } from '../store/hub-interface.ts';
import { type InterfaceFacts, listInterfaceFacts } from '../store/interface-facts.ts';
import {
  deletePeer,
  findById,
  findByKey,
  insertPeer,
  listPeers,
  type PageMark,
  type Peer,
  type PeerFilter,
  peersWithNetworks,
  rekeyPeer,
  switchPeer,
} from '../store/peers.ts';
import type { HubDatabase } from '../store/schema.ts';
import type { Seal } from '../store/seal.ts';
import type { Actor } from './actor.ts';
import { checkOrder, ORDER_FIELDS, type OrderFields, type PeerOrder, refuseSharedNetworks } from './peer-order.ts';

export interface RegisterParts {
  readonly store: Store<HubDatabase>;
  readonly seal: Seal;
  readonly now: () => number;
  readonly random: RandomBytes;
  /** After a commit: something about these peers has changed. True when the interface shows it. */
  readonly tell: (publicKeys: readonly string[]) => Promise<boolean>;
}

/** A new peer with the secrets that nobody is told again. */
export interface MadePeer {
  readonly peer: Peer;
  readonly privateKey: string | null;
  readonly presharedKey: string | null;
  /** False when the interface could not be told yet. */
  readonly live: boolean;
}

/** An address that was kept for a peer before it was there, and what belongs into the same transaction. */
export interface KeptPlace {
  /** The id that the peer gets. */
  readonly id: string;
  /** Before the peer is stored: gives up what kept the address, and answers its place. What it throws undoes everything. */
  claim(tx: Kysely<HubDatabase>): Promise<number>;
  /** When the peer is stored. */
  joined(tx: Kysely<HubDatabase>, peer: Peer): Promise<void>;
}

/** A peer after a change. */
export interface ToldPeer extends Peer {
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

  /**
   * Makes a peer. Throws what `checkOrder` and the store refuse, naming fields as its door does: `invalid_request`, `invalid_key`,
   * `invalid_address`, `network_overlap`, `public_key_exists`, `ip_taken`, `pool_exhausted`; and what `kept` throws.
   */
  async create(
    order: PeerOrder,
    by: Actor,
    fields: OrderFields = ORDER_FIELDS,
    kept: KeptPlace | null = null,
  ): Promise<MadePeer> {
    const { now, random, seal, store } = this.#parts;
    const [facts, pool] = [this.#facts, this.#pool]; // others may come meanwhile
    const hasNetworks = (order.extraNetworks ?? []).length > 0;
    // no network behind a peer, no look at the networks of others
    const interfaces = hasNetworks ? await store.read(listInterfaceFacts) : [];
    const checked = checkOrder(order, facts, pool, interfaces, now(), fields);
    const pair: KeyPair | null = checked.publicKey === null ? generateKeyPair() : null;
    const publicKey = pair?.publicKey ?? checked.publicKey ?? '';
    const presharedKey = checked.isPreshared ? generatePresharedKey(random) : null;
    const about = { interface: facts.name, pool, seal, now: now(), fields };
    const given = { ...checked, id: kept?.id ?? random(12).toString('hex'), publicKey, presharedKey };
    const peer = await store.transaction(async (tx) => {
      await assertSameNetworks(tx, facts);
      if (hasNetworks) {
        refuseSharedNetworks(checked.extraNetworks, await peersWithNetworks(tx), fields.extraNetworks);
      }
      const place = (await kept?.claim(tx)) ?? null;
      const inserted = await insertPeer(tx, about, given, place);
      await this.#record(tx, 'peer_created', inserted, by, { kind: inserted.kind, addresses: inserted.addresses });
      await kept?.joined(tx, inserted);
      return inserted;
    });
    const live = await this.#parts.tell([publicKey]);
    return { peer, privateKey: pair?.privateKey ?? null, presharedKey, live };
  }

  /**
   * Makes a new key pair for a peer, and a new preshared key where it has one; the old ones are worth nothing when this returns.
   * Throws `peer_not_found`.
   */
  async rekey(id: string, by: Actor): Promise<MadePeer> {
    const { now, random, seal, store, tell } = this.#parts;
    const present = await this.get(id);
    const pair = generateKeyPair();
    const presharedKey = present?.isPreshared === true ? generatePresharedKey(random) : null;
    const about = { interface: this.facts.name, seal, now: now() };
    const keys = { publicKey: pair.publicKey, presharedKey, formerId: random(12).toString('hex') };
    const { before, after } = await store.transaction(async (tx) => {
      const changed = await rekeyPeer(tx, about, id, keys);
      await this.#record(tx, 'peer_rekeyed', changed.after, by, { before: changed.before.publicKey });
      return changed;
    });
    const live = await tell([before.publicKey, after.publicKey]);
    return { peer: after, privateKey: pair.privateKey, presharedKey, live };
  }

  /** Deletes a peer; its address is free when this returns, and so are those of spokes that it has invited. Throws `peer_not_found`. */
  async remove(id: string, by: Actor): Promise<ToldPeer> {
    const { now, store, tell } = this.#parts;
    const peer = await store.transaction(async (tx) => {
      const deleted = await deletePeer(tx, this.facts.name, id, now());
      await this.#record(tx, 'peer_removed', deleted, by, {});
      if (deleted.kind === 'spoke') await endInvitationsOf(tx, id, by, now());
      return deleted;
    });
    return { ...peer, live: await tell([peer.publicKey]) };
  }

  /** Switches a peer off, or on again. Throws `peer_not_found`. */
  async switch(id: string, isOn: boolean, by: Actor): Promise<ToldPeer> {
    const peer = await this.#parts.store.transaction(async (tx) => {
      const switched = await switchPeer(tx, this.facts.name, id, isOn);
      await this.#record(tx, isOn ? 'peer_enabled' : 'peer_disabled', switched, by, {});
      return switched;
    });
    return { ...peer, live: await this.#parts.tell([peer.publicKey]) };
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
    more: { readonly kind?: string; readonly addresses?: readonly string[]; readonly before?: string },
  ): Promise<void> {
    await appendAudit(tx, {
      time: this.#parts.now(),
      event,
      ...(source === null ? {} : { source }),
      detail: { by, interface: this.facts.name, peer: id, name, public_key: publicKey, ...more },
    });
  }
}

/**
 * Another process may have given the interface another network, while there were no peers: addresses of the old one lead nowhere. Throws
 * `interface_changed` (503).
 */
export async function assertSameNetworks(
  tx: Kysely<HubDatabase>,
  { name, networks }: Pick<InterfaceFacts, 'name' | 'networks'>,
): Promise<void> {
  const [row] = await networksNow(tx, name);
  if (row?.networks === JSON.stringify(networks)) return;
  throw new LatchkeyError('interface_changed', 'the interface has other networks by now', {
    status: 503,
    hint: 'try again',
    retryAfter: 1,
  });
}

const networksNow = statement<HubDatabase, [string], { networks: string }>((db, slot) =>
  db.selectFrom('interface').select('networks').where('name', '=', slot<string>(0)),
);
