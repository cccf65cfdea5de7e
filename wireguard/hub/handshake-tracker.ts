import { setTimeout as sleep } from 'node:timers/promises';
import { type Kysely, sql } from 'kysely';
import { inTurns } from '../../platform/in-turns.ts';
import { statement } from '../../platform/statement.ts';
import type { Store } from '../../platform/store.ts';
import type { LiveInterface, LivePeer } from '../drivers/driver.ts';
import type { WireGuardKey } from '../keys.ts';
import { isLiving, type PeerStatus, statusAfter } from '../peers/peer-status.ts';
import { trafficAfter } from '../peers/traffic.ts';
import type { HubDatabase } from '../store/schema.ts';

/** How a look at the interface ended. */
export interface Look {
  readonly changed: number;
  readonly became: readonly { readonly id: string; readonly before: PeerStatus; readonly after: PeerStatus }[];
  /** Keys that should be on the interface and are not, or are there and should not be. */
  readonly missing: readonly WireGuardKey[];
  readonly unwanted: readonly WireGuardKey[];
}

/** Rows that are written in one transaction, for whose end requests have to wait. */
const WRITTEN_AT_ONCE = 100;

interface Seen {
  readonly rx: number;
  readonly tx: number;
}

interface Row {
  readonly id: string;
  readonly public_key: string;
  readonly status: PeerStatus;
  readonly endpoint: string | null;
  readonly last_handshake: number | string | null;
  readonly seen_rx: number | string;
  readonly seen_tx: number | string;
}

interface News {
  readonly row: Row;
  readonly status: PeerStatus;
  readonly endpoint: string | null;
  readonly lastHandshake: number | null;
  /** What was moved since the last look. */
  readonly rx: number;
  readonly tx: number;
  readonly seen: Seen;
}

/**
 * Writes down what an interface tells of its peers: last handshake, where they are, what they moved, and whether they are active. Off
 * the path of every request; only rows that changed are written. Several hubs may do so on one database: each adds what went through
 * its own interface, and where a peer is says the one that heard it last.
 */
export class HandshakeTracker {
  readonly #store: Store<HubDatabase>;
  readonly #name: string;
  /** What this interface showed when it was looked at last; the store may have it of another machine's. */
  #seen = new Map<WireGuardKey, Seen>();

  constructor(store: Store<HubDatabase>, name: string) {
    this.#store = store;
    this.#name = name;
  }

  async take(live: LiveInterface, now: number): Promise<Look> {
    const rows = await this.#store.read(async (db) => rowsOf(db, this.#name));
    const { news, seen } = await inTurns(newsIn(rows, live, this.#seen, now));
    for (let at = 0, rest = 0; at < news.length; at += WRITTEN_AT_ONCE) {
      if (at > 0) await sleep(rest);
      const begun = performance.now();
      const some = news.slice(at, at + WRITTEN_AT_ONCE);
      await this.#store.transaction(async (tx) => {
        for (const one of some) await write(tx, one);
      });
      for (const { row, seen: latest } of some) this.#seen.set(row.public_key, latest); // what was added is not added again
      rest = performance.now() - begun; // half of the time is everybody else's
    }
    this.#seen = seen;
    const wanted = new Set(rows.filter(({ status }) => isLiving(status)).map((row) => row.public_key));
    return {
      changed: news.length,
      became: news
        .filter(({ row, status }) => status !== row.status)
        .map(({ row, status }) => ({ id: row.id, before: row.status, after: status })),
      missing: [...wanted].filter((key) => !live.peers.has(key)),
      unwanted: [...live.peers.keys()].filter((key) => !wanted.has(key)),
    };
  }
}

function* newsIn(
  rows: readonly Row[],
  live: LiveInterface,
  before: ReadonlyMap<WireGuardKey, Seen>,
  now: number,
): Generator<undefined, { readonly news: readonly News[]; readonly seen: Map<WireGuardKey, Seen> }> {
  const seen = new Map<WireGuardKey, Seen>();
  const news: News[] = [];
  for (const row of rows) {
    const peer = live.peers.get(row.public_key);
    const one = newsOf(row, peer, before.get(row.public_key), now);
    if (peer !== undefined) seen.set(row.public_key, one.seen);
    if (isNews(one)) news.push(one);
    yield;
  }
  return { news, seen };
}

function newsOf(row: Row, peer: LivePeer | undefined, before: Seen | undefined, now: number): News {
  const stored = row.last_handshake === null ? null : Number(row.last_handshake);
  // an interface that was made again has forgotten; the store has not
  const lastHandshake = Math.max(stored ?? 0, peer?.lastHandshake ?? 0) || null;
  const known = { rx: 0, tx: 0, seenRx: before?.rx ?? Number(row.seen_rx), seenTx: before?.tx ?? Number(row.seen_tx) };
  const traffic = peer === undefined ? known : trafficAfter(known, peer);
  const isHeardHere = peer?.lastHandshake != null && peer.lastHandshake >= (stored ?? 0);
  return {
    row,
    status: statusAfter(row.status, lastHandshake, now),
    endpoint: isHeardHere ? (peer.endpoint ?? row.endpoint) : row.endpoint,
    lastHandshake,
    rx: traffic.rx,
    tx: traffic.tx,
    seen: { rx: traffic.seenRx, tx: traffic.seenTx },
  };
}

function isNews({ row, status, endpoint, lastHandshake, rx, tx }: News): boolean {
  const stored = row.last_handshake === null ? null : Number(row.last_handshake);
  return status !== row.status || endpoint !== row.endpoint || lastHandshake !== stored || rx > 0 || tx > 0;
}

/** A peer that was switched off, removed or given another key meanwhile stays so: it is not the one that was read. */
async function write(tx: Kysely<HubDatabase>, { row, status, endpoint, lastHandshake, rx, tx: sent, seen }: News) {
  await update(tx, row.id, row.status, row.public_key, status, endpoint, lastHandshake, rx, sent, seen.rx, seen.tx);
}

const rowsOf = statement<HubDatabase, [string], Row>((db, slot) =>
  db
    .selectFrom('peer')
    .select(['id', 'public_key', 'status', 'endpoint', 'last_handshake', 'seen_rx', 'seen_tx'])
    .where('interface', '=', slot<string>(0))
    .where('status', '<>', sql.lit('deleted')),
);

const update = statement<
  HubDatabase,
  [string, PeerStatus, string, PeerStatus, string | null, number | null, number, number, number, number]
>((db, slot) =>
  db
    .updateTable('peer')
    .set({
      status: slot<PeerStatus>(3),
      endpoint: slot<string | null>(4),
      last_handshake: slot<number | null>(5),
      rx: sql<number>`rx + ${slot<number>(6)}`,
      tx: sql<number>`tx + ${slot<number>(7)}`,
      seen_rx: slot<number>(8),
      seen_tx: slot<number>(9),
    })
    .where('id', '=', slot<string>(0))
    .where('status', '=', slot<PeerStatus>(1))
    .where('public_key', '=', slot<string>(2)),
);
