import type { Kysely } from 'kysely';
import { capacityOf, type Pool } from '../address/pool.ts';
import { formatPrefix } from '../address/prefix.ts';
import { countFreeAddresses } from '../store/peer-counts.ts';
import type { HubDatabase } from '../store/schema.ts';

/** How many addresses of a network are to be had. What is reserved for the hub and for routers is in none of the numbers. */
export interface FamilyUsage {
  readonly network: string;
  readonly total: number;
  /** Of peers, those that are switched off too. */
  readonly used: number;
  readonly free: number;
}

export interface IpUsage {
  readonly ipv4: FamilyUsage | null;
  readonly ipv6: FamilyUsage | null;
}

/**
 * How full a pool is. Peers get an address of each family as a pair, so a network of IPv6 has no more than the one of IPv4 beside it. Costs
 * what its free ranges cost, which is one, unless peers were removed; no peer is looked at.
 */
export async function ipUsage(db: Kysely<HubDatabase>, name: string, pool: Pool): Promise<IpUsage> {
  const free = (await countFreeAddresses(db)).get(name) ?? 0;
  const total = capacityOf(pool);
  const of = (family: 4 | 6): FamilyUsage | null => {
    const network = pool.networks.find((one) => one.family === family);
    return network === undefined ? null : { network: formatPrefix(network), total, used: total - free, free };
  };
  return { ipv4: of(4), ipv6: of(6) };
}
