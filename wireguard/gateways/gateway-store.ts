import { type Kysely, sql } from 'kysely';
import * as z from 'zod';
import { appendAudit, type CanonicalValue } from '../../platform/audit-chain.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { statement } from '../../platform/statement.ts';
import type { Actor } from '../hub/actor.ts';
import type { GatewayTable, HubDatabase } from '../store/schema.ts';
import { type Seal, secretName } from '../store/seal.ts';

type Tx = Kysely<HubDatabase>;

/** Bytes of a gateway's secret. */
export const SECRET_BYTES = 32;
/** Whether a gateway's payloads are as they are, sealed or not as it likes, or sealed always. */
export const PAYLOADS = ['plain', 'either', 'sealed'] as const;
export type Payloads = (typeof PAYLOADS)[number];

/** What gateways are called: in a header, and as the owner of their peers. */
export const gatewayName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'must be 1 to 63 of a-z 0-9 . _ - and start with a letter or digit');

/** A gateway as everybody may see it who looks after gateways. */
export interface Gateway {
  readonly name: string;
  /** The interface its peers go to. */
  readonly interface: string;
  readonly payloads: Payloads;
  /** True while a new secret was made and not used yet. */
  readonly isRotating: boolean;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly usedAt: number | null;
}

/** Its row, secrets still sealed. Only for reading column by column. */
export type GatewayRow = Readonly<GatewayTable>;

/** Registers a gateway. Throws `gateway_exists` (409), `interface_unknown` (404). */
export async function addGateway(
  tx: Tx,
  order: Pick<Gateway, 'name' | 'interface' | 'payloads'>,
  secret: Uint8Array,
  { seal, now, by }: { readonly seal: Seal; readonly now: number; readonly by: Actor },
): Promise<void> {
  const { name, interface: onto, payloads } = order;
  if ((await findGateway(tx, name)) !== null) {
    throw new LatchkeyError('gateway_exists', `there is a gateway named ${name} already`, {
      status: 409,
      field: 'name',
      hint: 'gateway rotate makes it a new secret',
    });
  }
  const there = await tx.selectFrom('interface').select('name').where('name', '=', onto).executeTakeFirst();
  if (there === undefined) {
    throw new LatchkeyError('interface_unknown', 'there is no such interface', {
      status: 404,
      exit: 2,
      field: 'interface',
    });
  }
  const row: GatewayTable = {
    name,
    interface: onto,
    secret_sealed: seal.seal(secretName('gateway', name), secret),
    next_sealed: null,
    payloads,
    newest: 0,
    created_at: now,
    used_at: null,
  };
  await tx.insertInto('gateway').values(row).execute();
  await record(tx, 'gateway_added', name, by, now, { interface: onto, payloads });
}

/** Ends a gateway; its peers stay. Throws `gateway_unknown` (404). */
export async function removeGateway(tx: Tx, name: string, by: Actor, now: number): Promise<Gateway> {
  const gateway = gatewayOf(await existing(tx, name));
  await tx.deleteFrom('gateway').where('name', '=', name).execute();
  await record(tx, 'gateway_removed', name, by, now, {});
  return gateway;
}

/**
 * Gives a gateway a new secret. The present one is good until the new one is used, or `isAtOnce` ends with this. One that was made
 * before and not used is good no more. Throws `gateway_unknown` (404).
 */
export async function rotateSecret(
  tx: Tx,
  name: string,
  secret: Uint8Array,
  isAtOnce: boolean,
  { seal, now, by }: { readonly seal: Seal; readonly now: number; readonly by: Actor },
): Promise<void> {
  await existing(tx, name);
  const sealed = seal.seal(secretName('gateway', name), secret);
  // times that were seen are of the secret they came with: nothing was signed with this one yet
  const change = isAtOnce ? { secret_sealed: sealed, next_sealed: null, newest: 0 } : { next_sealed: sealed };
  await tx.updateTable('gateway').set(change).where('name', '=', name).execute();
  await record(tx, 'gateway_rotated', name, by, now, { at_once: isAtOnce });
}

/** From now on nothing is taken that was signed before: a store that was put back has forgotten what it took since. */
export async function refuseOlder(tx: Tx, now: number): Promise<void> {
  const seconds = Math.floor(now / 1000);
  await tx.updateTable('gateway').set({ newest: seconds }).where('newest', '<', seconds).execute();
}

/**
 * Writes down that a request was taken: signed at `timestamp` (seconds) with the secret in `box`. A new secret that is used takes over.
 * False when the secret was ended in the meantime.
 */
export async function noteUse(
  tx: Tx,
  name: string,
  { box, timestamp }: { readonly box: Uint8Array; readonly timestamp: number },
  by: Actor,
  now: number,
): Promise<boolean> {
  const taken = await tx
    .updateTable('gateway')
    .set({ secret_sealed: box, next_sealed: null, newest: timestamp })
    .where('name', '=', name)
    .where('next_sealed', '=', box)
    .executeTakeFirst();
  if (Number(taken.numUpdatedRows) === 1) await record(tx, 'gateway_secret_taken_up', name, by, now, {});
  await tx
    .updateTable('gateway')
    .set({ newest: timestamp })
    .where('name', '=', name)
    .where('secret_sealed', '=', box)
    .where('newest', '<', timestamp)
    .execute();
  const noted = await tx
    .updateTable('gateway')
    .set({ used_at: now })
    .where('name', '=', name)
    .where('secret_sealed', '=', box)
    .executeTakeFirst();
  return Number(noted.numUpdatedRows) === 1;
}

/** All gateways, by name. */
export async function listGateways(db: Tx): Promise<Gateway[]> {
  return (await db.selectFrom('gateway').selectAll().orderBy('name').execute()).map(gatewayOf);
}

/** The gateway of that name; `null` when there is none. */
export async function findGateway(db: Tx, name: string): Promise<GatewayRow | null> {
  const [row] = await byName(db, name);
  return row ?? null;
}

/** The only gateway; `null` when there is none, or more than one. */
export async function soleGateway(db: Tx): Promise<GatewayRow | null> {
  const [row, another] = await firstTwo(db);
  return row !== undefined && another === undefined ? row : null;
}

export function gatewayOf(row: GatewayRow): Gateway {
  return {
    name: row.name,
    interface: row.interface,
    payloads: row.payloads,
    isRotating: row.next_sealed !== null,
    createdAt: Number(row.created_at),
    usedAt: row.used_at === null ? null : Number(row.used_at),
  };
}

async function existing(tx: Tx, name: string): Promise<GatewayRow> {
  const row = await findGateway(tx, name);
  if (row !== null) return row;
  throw new LatchkeyError('gateway_unknown', 'there is no such gateway', { status: 404, exit: 2, field: 'name' });
}

async function record(
  tx: Tx,
  event: string,
  gateway: string,
  by: Actor,
  now: number,
  more: Readonly<Record<string, CanonicalValue>>,
): Promise<void> {
  const source = by.source === null ? {} : { source: by.source };
  await appendAudit(tx, { time: now, event, ...source, detail: { by: by.name, gateway, ...more } });
}

const byName = statement<HubDatabase, [string], GatewayTable>((db, slot) =>
  db.selectFrom('gateway').selectAll().where('name', '=', slot<string>(0)),
);

const firstTwo = statement<HubDatabase, [], GatewayTable>((db) =>
  db.selectFrom('gateway').selectAll().orderBy('name').limit(sql.lit(2)),
);
