import type { Kysely } from 'kysely';
import type { WireGuardKey } from '../keys.ts';
import type { HubDatabase } from './schema.ts';

/** Fewer than either database takes in one statement. */
const AT_ONCE = 500;

/** Which of these keys belong to peers that were switched off or removed, and to no peer that is on. */
export async function retiredPeers(
  db: Kysely<HubDatabase>,
  name: string,
  keys: readonly WireGuardKey[],
): Promise<Set<WireGuardKey>> {
  const retired = new Set<WireGuardKey>();
  const living = new Set<WireGuardKey>();
  for (let at = 0; at < keys.length; at += AT_ONCE) {
    const rows = await db
      .selectFrom('peer')
      .select(['public_key', 'status'])
      .where('interface', '=', name)
      .where('public_key', 'in', keys.slice(at, at + AT_ONCE))
      .execute();
    for (const row of rows) {
      (row.status === 'disabled' || row.status === 'deleted' ? retired : living).add(row.public_key);
    }
  }
  for (const key of living) retired.delete(key);
  return retired;
}
