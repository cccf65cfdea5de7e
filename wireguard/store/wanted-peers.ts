import { type Kysely, sql } from 'kysely';
import { inTurns } from '../../platform/in-turns.ts';
import { statement } from '../../platform/statement.ts';
import type { WantedPeer } from '../drivers/driver.ts';
import type { WireGuardKey } from '../keys.ts';
import type { HubDatabase, PeerTable } from './schema.ts';
import { openText, type Seal } from './seal.ts';

const COLUMNS = ['id', 'public_key', 'preshared_key_sealed', 'addresses', 'extra_networks', 'endpoint'] as const;
type Row = Pick<PeerTable, (typeof COLUMNS)[number]>;

/**
 * Everything the interface is to have, by public key; endpoints are where each peer was seen last. All of it is of one moment; the
 * preshared keys of many peers are opened a few at a time.
 */
export async function wantedPeers(
  db: Kysely<HubDatabase>,
  name: string,
  seal: Seal,
): Promise<Map<WireGuardKey, WantedPeer>> {
  return inTurns(opened(await living(db, name), seal));
}

/** The same for a few: what is not in the answer does not belong on the interface. */
export async function wantedPeersOf(
  db: Kysely<HubDatabase>,
  name: string,
  keys: readonly WireGuardKey[],
  seal: Seal,
): Promise<Map<WireGuardKey, WantedPeer>> {
  const found = new Map<WireGuardKey, WantedPeer>();
  for (const key of keys) {
    const [row] = await livingOf(db, name, key);
    if (row !== undefined) found.set(key, wantedPeer(row, seal));
  }
  return found;
}

function* opened(rows: readonly Row[], seal: Seal): Generator<undefined, Map<WireGuardKey, WantedPeer>> {
  const wanted = new Map<WireGuardKey, WantedPeer>();
  for (const row of rows) {
    wanted.set(row.public_key, wantedPeer(row, seal));
    yield;
  }
  return wanted;
}

function wantedPeer(row: Row, seal: Seal): WantedPeer {
  return {
    publicKey: row.public_key,
    presharedKey:
      row.preshared_key_sealed === null ? null : openText(seal, 'preshared-key', row.id, row.preshared_key_sealed),
    allowedIPs: [...(JSON.parse(row.addresses) as string[]), ...(JSON.parse(row.extra_networks) as string[])],
    endpoint: row.endpoint,
    keepalive: 0, // the hub answers; who is behind a NAT keeps the way open
  };
}

const living = statement<HubDatabase, [string], Row>((db, slot) =>
  db
    .selectFrom('peer')
    .select(COLUMNS)
    .where('interface', '=', slot<string>(0))
    .where('status', '<>', sql.lit('deleted'))
    .where('status', '<>', sql.lit('disabled')),
);

const livingOf = statement<HubDatabase, [string, string], Row>((db, slot) =>
  db
    .selectFrom('peer')
    .select(COLUMNS)
    .where('interface', '=', slot<string>(0))
    .where('public_key', '=', slot<string>(1))
    .where('status', '<>', sql.lit('deleted')) // as it is written in the index
    .where('status', '<>', sql.lit('disabled')),
);
