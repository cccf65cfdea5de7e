import type { Kysely } from 'kysely';
import type { RandomBytes } from '../../platform/clock.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { overlap, parseNetwork } from '../address/prefix.ts';
import { openPool } from './address-book.ts';
import { poolOf } from './hub-interface.ts';
import { chosenInterface, type InterfaceFacts, listInterfaceFacts } from './interface-facts.ts';
import { newInterface } from './new-interface.ts';
import { hasKeptPlaces, hasPeers } from './peer-counts.ts';
import { peersWithNetworks } from './peers.ts';
import type { HubDatabase } from './schema.ts';

/** What of an interface may be another thing while it is in use; a field that is not there stays. */
export interface InterfaceChange {
  readonly endpoint?: string | undefined;
  readonly dns?: readonly string[] | undefined;
  readonly keepalive?: number | undefined;
  /** `null`: as the obfuscation leaves room for. */
  readonly mtu?: number | null | undefined;
  /** Only while it has no peers; the hub gets the first address of each. */
  readonly networks?: readonly string[] | undefined;
}

export type ChangeableField = keyof InterfaceChange;
const FIELDS: readonly ChangeableField[] = ['endpoint', 'dns', 'keepalive', 'mtu', 'networks'];

/** Which fields became another thing, with both. */
export type FactChanges = Partial<Record<ChangeableField, { readonly before: Fact; readonly after: Fact }>>;
type Fact = string | number | null | readonly string[];

/**
 * Pure: the facts after a change, checked like those of a new interface. Throws what `newInterface` throws, naming the field.
 * A list of networks that is the present one is no change.
 */
export function changedFacts(
  facts: InterfaceFacts,
  change: InterfaceChange,
  others: readonly InterfaceFacts[],
  random: RandomBytes,
): InterfaceFacts {
  const { endpoint, dns, keepalive, mtu, networks } = change;
  const isMoved = networks !== undefined && JSON.stringify(networks) !== JSON.stringify(facts.networks);
  const order = {
    ...facts,
    endpoint: endpoint ?? facts.endpoint,
    dns: dns ?? facts.dns,
    keepalive: keepalive ?? facts.keepalive,
    mtu: mtu === undefined ? facts.mtu : mtu,
    networks: networks ?? facts.networks,
    addresses: isMoved ? [] : facts.addresses,
  };
  const { privateKey: _, obfuscation: __, publicKey: ___, ...checked } = newInterface(order, others, random);
  return { ...checked, publicKey: facts.publicKey };
}

/** What differs, field by field. */
export function factChanges(before: InterfaceFacts, after: InterfaceFacts): FactChanges {
  const changes: FactChanges = {};
  for (const field of FIELDS) {
    if (JSON.stringify(before[field]) === JSON.stringify(after[field])) continue;
    changes[field] = { before: before[field], after: after[field] };
  }
  return changes;
}

/**
 * Changes the facts of an interface. Throws `interface_unknown` (404), what `changedFacts` throws, `peers_exist` and `tokens_exist` (409) for
 * another network while there are peers or addresses are kept for some, and `network_overlap` (409) for one that is behind a peer of another interface.
 */
export async function changeInterface(
  tx: Kysely<HubDatabase>,
  name: string,
  change: InterfaceChange,
  random: RandomBytes,
): Promise<{ readonly facts: InterfaceFacts; readonly changes: FactChanges }> {
  const all = await listInterfaceFacts(tx);
  const before = chosenInterface(all, name);
  const others = all.filter((one) => one.name !== name);
  const facts = changedFacts(before, change, others, random);
  const changes = factChanges(before, facts);
  if (changes.networks !== undefined) await assertMovable(tx, facts);
  if (Object.keys(changes).length === 0) return { facts, changes };
  await tx
    .updateTable('interface')
    .set({
      endpoint: facts.endpoint,
      dns: JSON.stringify(facts.dns),
      keepalive: facts.keepalive,
      mtu: facts.mtu,
      networks: JSON.stringify(facts.networks),
      addresses: JSON.stringify(facts.addresses),
    })
    .where('name', '=', name)
    .execute();
  if (changes.networks !== undefined) {
    await tx.deleteFrom('free_range').where('interface', '=', name).execute();
    await openPool(tx, name, poolOf(facts));
  }
  return { facts, changes };
}

async function assertMovable(tx: Kysely<HubDatabase>, { name, networks }: InterfaceFacts): Promise<void> {
  if (await hasPeers(tx, name)) {
    throw new LatchkeyError('peers_exist', `"networks" cannot be changed while ${name} has peers`, {
      status: 409,
      exit: 3,
      field: 'networks',
      hint: 'make another interface with that network, and move the peers there',
    });
  }
  if (await hasKeptPlaces(tx, name)) {
    throw new LatchkeyError(
      'tokens_exist',
      `"networks" cannot be changed while addresses of ${name} are kept for spokes`,
      {
        status: 409,
        exit: 3,
        field: 'networks',
        hint: 'revoke its install tokens, or wait until their spokes came',
      },
    );
  }
  const own = networks.map((network) => parseNetwork(network, 'networks'));
  for (const peer of await peersWithNetworks(tx)) {
    const theirs = peer.extraNetworks.find((text) => own.some((one) => overlap(one, parseNetwork(text, 'networks'))));
    if (theirs === undefined) continue;
    throw new LatchkeyError('network_overlap', `"networks" overlaps with ${theirs} of the peer ${peer.name}`, {
      status: 409,
      exit: 2,
      field: 'networks',
    });
  }
}
