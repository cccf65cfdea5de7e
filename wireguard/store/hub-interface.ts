import type { Kysely } from 'kysely';
import { LatchkeyError } from '../../platform/errors.ts';
import { makePool, type Pool } from '../address/pool.ts';
import { parseNetwork, parsePrefix } from '../address/prefix.ts';
import type { WireGuardKey } from '../keys.ts';
import type { Obfuscation } from '../obfuscation/parameters.ts';
import { openPool } from './address-book.ts';
import { factsOf, type InterfaceFacts } from './interface-facts.ts';
import { countPeers, livingPeers } from './peer-counts.ts';
import type { HubDatabase, InterfaceTable } from './schema.ts';
import { openText, type Seal, sealText } from './seal.ts';

/** One interface that the hub owns, its secrets opened. */
export interface HubInterface extends InterfaceFacts {
  readonly obfuscation: Obfuscation;
  readonly privateKey: WireGuardKey;
}

/** The addresses of its peers. Throws what `makePool` and the prefixes throw. */
export function poolOf({ networks, addresses }: Pick<HubInterface, 'networks' | 'addresses'>): Pool {
  return makePool(
    networks.map((text) => parseNetwork(text, 'networks')),
    addresses.map((text) => parsePrefix(text, 'addresses')),
  );
}

/** Stores a new interface with its whole pool free. Throws `interface_exists` (409). */
export async function insertInterface(
  tx: Kysely<HubDatabase>,
  given: HubInterface,
  seal: Seal,
  now: number,
): Promise<void> {
  const pool = poolOf(given);
  const there = await tx.selectFrom('interface').select('name').where('name', '=', given.name).executeTakeFirst();
  if (there !== undefined) {
    throw new LatchkeyError('interface_exists', `there is an interface ${given.name} already`, {
      status: 409,
      field: 'interface',
    });
  }
  const row: InterfaceTable = {
    name: given.name,
    networks: JSON.stringify(given.networks),
    addresses: JSON.stringify(given.addresses),
    listen_port: given.listenPort,
    endpoint: given.endpoint,
    dns: JSON.stringify(given.dns),
    mtu: given.mtu,
    keepalive: given.keepalive,
    fw_mark: given.fwMark,
    level: given.level,
    obfuscation_sealed: sealText(seal, 'obfuscation', given.name, JSON.stringify(given.obfuscation)),
    public_key: given.publicKey,
    private_key_sealed: sealText(seal, 'interface-key', given.name, given.privateKey),
    created_at: now,
  };
  await tx.insertInto('interface').values(row).execute();
  await openPool(tx, given.name, pool);
}

/**
 * Takes an interface out of the store with everything that was its own; living peers only `withPeers`. Answers how many of
 * those there were. Throws `interface_unknown` (404), `interface_in_use` and `interface_last` (409, exit 3).
 */
export async function deleteInterface(tx: Kysely<HubDatabase>, name: string, withPeers: boolean): Promise<number> {
  const names = (await tx.selectFrom('interface').select('name').execute()).map((row) => row.name);
  if (!names.includes(name)) {
    throw new LatchkeyError('interface_unknown', `there is no interface ${name}`, { status: 404, field: 'interface' });
  }
  if (names.length === 1) {
    throw refused('interface_last', `${name} is the only interface of this hub`, 'make another one first');
  }
  const bound = await tx.selectFrom('gateway').select('name').where('interface', '=', name).execute();
  if (bound.length > 0) {
    const gateways = bound.map((row) => row.name).join(', ');
    throw refused('interface_in_use', `${name} is the interface of gateways`, `remove them first: ${gateways}`);
  }
  const peers = livingPeers(await countPeers(tx), name);
  if (peers > 0 && !withPeers) {
    throw refused(
      'interface_in_use',
      `${name} has ${peers} ${peers === 1 ? 'peer' : 'peers'}`,
      'remove them, or give --with-peers',
    );
  }
  const ofPeers = tx.selectFrom('peer').select('id').where('interface', '=', name);
  await tx.deleteFrom('proxmox_node').where('spoke_id', 'in', ofPeers).execute();
  await tx.deleteFrom('install_token').where('interface', '=', name).execute();
  await tx.deleteFrom('peer').where('interface', '=', name).execute();
  await tx.deleteFrom('free_range').where('interface', '=', name).execute();
  await tx.deleteFrom('interface').where('name', '=', name).execute();
  return peers;
}

function refused(code: string, message: string, hint: string): LatchkeyError {
  return new LatchkeyError(code, message, { status: 409, exit: 3, field: 'interface', hint });
}

/** Every interface of the hub, by name. */
export async function listInterfaces(db: Kysely<HubDatabase>, seal: Seal): Promise<HubInterface[]> {
  const rows = await db.selectFrom('interface').selectAll().orderBy('name').execute();
  return rows.map((row) => ({
    ...factsOf(row),
    obfuscation: JSON.parse(openText(seal, 'obfuscation', row.name, row.obfuscation_sealed)) as Obfuscation,
    privateKey: openText(seal, 'interface-key', row.name, row.private_key_sealed),
  }));
}
