import type { Kysely } from 'kysely';
import { LatchkeyError } from '../../platform/errors.ts';
import type { WireGuardKey } from '../keys.ts';
import type { Level } from '../obfuscation/levels.ts';
import type { HubDatabase, InterfaceTable } from './schema.ts';

/** What of an interface is no secret, so that nothing has to be unsealed for it. */
export interface InterfaceFacts {
  readonly name: string;
  /** One network, or one of IPv4 and one of IPv6. */
  readonly networks: readonly string[];
  /** The hub's own, with their networks' lengths. */
  readonly addresses: readonly string[];
  readonly listenPort: number;
  /** `host:port` that peers are told. */
  readonly endpoint: string;
  readonly dns: readonly string[];
  /** `null`: as the obfuscation leaves room for. */
  readonly mtu: number | null;
  readonly keepalive: number;
  readonly fwMark: number;
  readonly level: Level;
  readonly publicKey: WireGuardKey;
}

/** Every interface of the hub, by name. */
export async function listInterfaceFacts(db: Kysely<HubDatabase>): Promise<InterfaceFacts[]> {
  const rows = await db
    .selectFrom('interface')
    .select(['name', 'networks', 'addresses', 'listen_port', 'endpoint', 'dns', 'mtu'])
    .select(['keepalive', 'fw_mark', 'level', 'public_key'])
    .orderBy('name')
    .execute();
  return rows.map(factsOf);
}

/** What a row tells without its secrets. */
export function factsOf(
  row: Omit<InterfaceTable, 'obfuscation_sealed' | 'private_key_sealed' | 'created_at'>,
): InterfaceFacts {
  return {
    name: row.name,
    networks: JSON.parse(row.networks) as string[],
    addresses: JSON.parse(row.addresses) as string[],
    listenPort: Number(row.listen_port),
    endpoint: row.endpoint,
    dns: JSON.parse(row.dns) as string[],
    mtu: row.mtu === null ? null : Number(row.mtu),
    keepalive: Number(row.keepalive),
    fwMark: Number(row.fw_mark),
    level: row.level as Level,
    publicKey: row.public_key,
  };
}

/** The interface of that name; without a name the only one, or the first by name. Throws `interface_unknown` (404, exit 2). */
export function chosenInterface<T extends { readonly name: string }>(interfaces: readonly T[], name?: string): T {
  const found = name === undefined ? interfaces[0] : interfaces.find((one) => one.name === name);
  if (found !== undefined) return found;
  const isBare = interfaces.length === 0;
  const words = isBare ? 'the hub has no interface yet' : 'there is no such interface';
  throw new LatchkeyError('interface_unknown', words, {
    status: 404,
    exit: 2,
    field: 'interface',
    hint: isBare
      ? 'wghub interface add makes one, or POST /api/hub/initialize'
      : `there is ${interfaces.map((one) => one.name).join(', ')}`,
  });
}
