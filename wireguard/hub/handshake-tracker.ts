import { type Kysely, sql } from 'kysely';
import type { Store } from '../../platform/store.ts';
import type { LiveInterface } from '../drivers/driver.ts';
import { type PeerStatus, statusAfter } from '../peers/peer-status.ts';
import { trafficAfter } from '../peers/traffic.ts';
import type { HubDatabase } from '../store/schema.ts';

/** How a look at the interface ended. */
export interface Look {
  readonly changed: number;
  readonly became: readonly { readonly id: string; readonly before: PeerStatus; readonly after: PeerStatus }[];
}

/**
 * Writes down what the interface tells of its peers: last handshake, where they are, what they moved, and whether they are active. Off
 * the path of every request; only rows that changed are written.
 */
export async function trackHandshakes(
  store: Store<HubDatabase>,
  name: string,
  live: LiveInterface,
  now: number,
): Promise<Look> {
  return store.transaction(async (tx) => {
    const rows = await tx
      .selectFrom('peer')
      .select(['id', 'public_key', 'status', 'endpoint', 'last_handshake', 'rx', 'tx', 'seen_rx', 'seen_tx'])
      .where('interface', '=', name)
      .where('status', '<>', 'deleted')
      .execute();
    const became: { id: string; before: PeerStatus; after: PeerStatus }[] = [];
    let changed = 0;
    for (const row of rows) {
      const peer = live.peers.get(row.public_key);
      const before = row.last_handshake === null ? null : Number(row.last_handshake);
      // an interface that was made again has forgotten; the store has not
      const lastHandshake = Math.max(before ?? 0, peer?.lastHandshake ?? 0) || null;
      const status = statusAfter(row.status, lastHandshake, now);
      const known = {
        rx: Number(row.rx),
        tx: Number(row.tx),
        seenRx: Number(row.seen_rx),
        seenTx: Number(row.seen_tx),
      };
      const traffic = peer === undefined ? known : trafficAfter(known, peer);
      const endpoint = peer?.endpoint ?? row.endpoint;
      if (status !== row.status) became.push({ id: row.id, before: row.status, after: status });
      const same =
        status === row.status &&
        lastHandshake === before &&
        endpoint === row.endpoint &&
        traffic.seenRx === known.seenRx &&
        traffic.seenTx === known.seenTx;
      if (same) continue;
      changed++;
      await update(tx, row.id, {
        status,
        endpoint,
        last_handshake: lastHandshake,
        rx: traffic.rx,
        tx: traffic.tx,
        seen_rx: traffic.seenRx,
        seen_tx: traffic.seenTx,
      });
    }
    return { changed, became };
  });
}

function update(tx: Kysely<HubDatabase>, id: string, values: Record<string, string | number | null>): Promise<unknown> {
  return tx.updateTable('peer').set(values).where('id', '=', id).where('status', '<>', sql.lit('deleted')).execute();
}
