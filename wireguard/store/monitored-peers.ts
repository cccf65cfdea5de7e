import { setImmediate as turn } from 'node:timers/promises';
import { type Kysely, sql } from 'kysely';
import { statement } from '../../platform/statement.ts';
import type { Store } from '../../platform/store.ts';
import type { PeerStatus } from '../peers/peer-status.ts';
import type { LivingStatus, PeerCounts } from './peer-counts.ts';
import type { HubDatabase, PeerKind } from './schema.ts';

/** A peer of which there are figures of its own. */
export interface MonitoredPeer {
  readonly interface: string;
  readonly id: string;
  readonly name: string;
  readonly kind: PeerKind;
  /** Milliseconds since 1970; `null` for never. */
  readonly lastHandshake: number | null;
  readonly rx: number;
  readonly tx: number;
}

export interface MonitoredPeers {
  readonly peers: readonly MonitoredPeer[];
  /** Spokes of each interface, by status. */
  readonly spokes: ReadonlyMap<string, PeerCounts>;
}

interface Row {
  readonly id: string;
  readonly name: string;
  readonly status: PeerStatus;
  readonly created_at: number | string;
  readonly last_handshake: number | string | null;
  readonly rx: number | string;
  readonly tx: number | string;
}

/** Rows that are read in one piece, in which nobody else is served. */
const PAGE = 250;

/** Whose figures are wanted first: a spoke is a machine that somebody counts on. */
const ORDER: readonly PeerKind[] = ['spoke', 'gateway', 'device'];

/**
 * The peers with figures of their own, `most` at the most: spokes, then peers of gateways, then devices, of each kind the oldest of all
 * interfaces first, so that they are the same ones each time. Those that are switched off are left out. Every spoke is counted.
 */
export async function readMonitoredPeers(
  store: Pick<Store<HubDatabase>, 'read'>,
  interfaces: readonly string[],
  most: number,
): Promise<MonitoredPeers> {
  const spokes = new Map<string, PeerCounts>();
  const peers: MonitoredPeer[] = [];
  for (const kind of ORDER) {
    const found: { readonly peer: MonitoredPeer; readonly createdAt: number }[] = [];
    for (const name of interfaces) {
      const counts: Record<LivingStatus, number> = { pending: 0, active: 0, inactive: 0, disabled: 0 };
      const room = most - peers.length;
      let taken = 0;
      for await (const rows of pagesOf(store, name, kind)) {
        for (const row of rows) {
          counts[row.status as LivingStatus] += 1;
          if (row.status === 'disabled' || taken >= room) continue;
          taken += 1;
          found.push({ peer: monitored(name, kind, row), createdAt: Number(row.created_at) });
        }
        if (kind !== 'spoke' && taken >= room) break;
      }
      if (kind === 'spoke') spokes.set(name, counts);
    }
    found.sort((a, b) => a.createdAt - b.createdAt || (a.peer.id < b.peer.id ? -1 : 1));
    peers.push(...found.slice(0, most - peers.length).map(({ peer }) => peer));
    if (peers.length >= most) break;
  }
  return { peers, spokes };
}

/** Living peers of a kind in the order of their creation; between two pages others are served. */
async function* pagesOf(
  store: Pick<Store<HubDatabase>, 'read'>,
  name: string,
  kind: PeerKind,
): AsyncGenerator<readonly Row[]> {
  let [createdAt, id] = [-1, ''];
  for (;;) {
    const rows = await store.read(async (db) => page(db, name, kind, createdAt, id));
    const last = rows.at(-1);
    if (last === undefined) return;
    yield rows;
    if (rows.length < PAGE) return;
    [createdAt, id] = [Number(last.created_at), last.id];
    await turn();
  }
}

const page = statement<HubDatabase, [string, PeerKind, number, string], Row>((db: Kysely<HubDatabase>, slot) =>
  db
    .selectFrom('peer')
    .select(['id', 'name', 'status', 'created_at', 'last_handshake', 'rx', 'tx'])
    .where('interface', '=', slot<string>(0))
    .where('kind', '=', slot<PeerKind>(1))
    .where('status', '<>', sql.lit('deleted')) // as it is written in the index
    .where(({ eb, refTuple, tuple }) => eb(refTuple('created_at', 'id'), '>', tuple(slot<number>(2), slot<string>(3))))
    .orderBy('created_at')
    .orderBy('id')
    .limit(sql.lit(PAGE)),
);

function monitored(name: string, kind: PeerKind, row: Row): MonitoredPeer {
  return {
    interface: name,
    id: row.id,
    name: row.name,
    kind,
    lastHandshake: row.last_handshake === null ? null : Number(row.last_handshake),
    rx: Number(row.rx),
    tx: Number(row.tx),
  };
}
