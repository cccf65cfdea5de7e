import { type Kysely, sql } from 'kysely';
import { PEER_STATUSES, type PeerStatus } from '../peers/peer-status.ts';
import type { HubDatabase } from './schema.ts';

/** How many living peers an interface has, by status. */
export type PeerCounts = Readonly<Record<LivingStatus, number>>;
export type LivingStatus = Exclude<PeerStatus, 'deleted'>;

export const LIVING_STATUSES: readonly LivingStatus[] = PEER_STATUSES.filter((status) => status !== 'deleted');

/** Every interface with its counts, by one look through an index. An interface without peers has zeros. */
export async function countPeers(db: Kysely<HubDatabase>): Promise<ReadonlyMap<string, PeerCounts>> {
  const interfaces = await db.selectFrom('interface').select('name').orderBy('name').execute();
  const rows = await db
    .selectFrom('peer')
    .select(({ fn }) => ['interface', 'status', fn.countAll().as('count')])
    .where('status', '<>', sql.lit('deleted'))
    .groupBy(['interface', 'status'])
    .execute();
  return new Map(
    interfaces.map(({ name }) => {
      const own = rows.filter((row) => row.interface === name);
      const counts = LIVING_STATUSES.map((status) => [
        status,
        Number(own.find((row) => row.status === status)?.count ?? 0),
      ]);
      return [name, Object.fromEntries(counts) as Record<LivingStatus, number>];
    }),
  );
}

/** All of them together. */
export function livingPeers(counts: ReadonlyMap<string, PeerCounts>, name: string): number {
  return Object.values(counts.get(name) ?? {}).reduce((sum, count) => sum + count, 0);
}

/** True when an interface has a peer that is not deleted. */
export async function hasPeers(db: Kysely<HubDatabase>, name: string): Promise<boolean> {
  const row = await db
    .selectFrom('peer')
    .select('id')
    .where('interface', '=', name)
    .where('status', '<>', sql.lit('deleted'))
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** True when an address of an interface is kept for a spoke that has not come yet. */
export async function hasKeptPlaces(db: Kysely<HubDatabase>, name: string): Promise<boolean> {
  const row = await db
    .selectFrom('install_token')
    .select('id')
    .where('ended_at', 'is', sql.lit(null))
    .where('interface', '=', name)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** How many addresses each interface has left, by its ranges of free ones. */
export async function countFreeAddresses(db: Kysely<HubDatabase>): Promise<ReadonlyMap<string, number>> {
  const rows = await db
    .selectFrom('free_range')
    .select(['interface', sql<number | string>`sum(last - first + 1)`.as('free')])
    .groupBy('interface')
    .execute();
  return new Map(rows.map((row) => [row.interface, Number(row.free)]));
}
