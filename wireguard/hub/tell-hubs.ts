import { CompiledQuery } from 'kysely';
import type { RandomBytes } from '../../platform/clock.ts';
import { doorbellFile, type HubData } from '../data/hub-data.ts';
import { listInterfaceFacts } from '../store/interface-facts.ts';
import { isAtDoor, type Ring, type RingAnswer, ringDoorbell } from './doorbell.ts';
import { FellowHubs } from './fellow-hubs.ts';
import { type Ask, InterfaceClaims, type Keeper } from './interface-claims.ts';

type HubPlace = Pick<HubData, 'directory' | 'config' | 'postgres'>;

/**
 * After a command's commit: tells the hub of this data directory or, where that does not run and the state is in PostgreSQL, the one
 * that keeps the interface, wherever it is.
 */
export async function tellHubs(data: HubPlace, ring: Ring, random: RandomBytes): Promise<RingAnswer> {
  const taken = await ringDoorbell(doorbellFile(data.directory), ring);
  if (taken !== 'none' || data.postgres === null || (await isAtDoor(doorbellFile(data.directory)))) return taken;
  const fellows = await FellowHubs.open({
    ...{ address: data.postgres, hub: data.config.name, random },
    answer: async () => null,
    onUp: () => undefined,
    onTrouble: () => undefined,
  }).catch(() => null);
  try {
    return (await fellows?.tell(ring)) ?? 'later';
  } finally {
    await fellows?.close();
  }
}

/** Interfaces of the database that hubs keep now, with who that is; none in SQLite, whose one hub is at its door. */
export async function keptInterfaces({
  store,
  postgres,
}: Pick<HubData, 'store' | 'postgres'>): Promise<readonly (Keeper & { readonly interface: string })[]> {
  if (postgres === null) return [];
  return store.read(async (db) => {
    const ask: Ask = async <Row>(text: string, values: readonly unknown[] = []) =>
      (await db.executeQuery<Row>(CompiledQuery.raw(text, [...values]))).rows;
    const claims = new InterfaceClaims(ask, '');
    const kept: (Keeper & { readonly interface: string })[] = [];
    for (const { name } of await listInterfaceFacts(db)) {
      const keeper = await claims.keeperOf(name);
      if (keeper !== null) kept.push({ interface: name, ...keeper });
    }
    return kept;
  });
}
