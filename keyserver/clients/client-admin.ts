import type { Kysely, Selectable } from 'kysely';
import { appendAudit } from '../../platform/audit-chain.ts';
import type { RandomBytes } from '../../platform/clock.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { raiseAlert } from '../alerts/raise.ts';
import { withdrawApprovals } from '../approvals/approvals.ts';
import { revokeCertificatesOf } from '../certificates/records.ts';
import { type OverrideChange, withOverrides } from '../policy/policy.ts';
import type { ClientTable, Database } from '../schema.ts';
import { type Client, clientDefaults, newClientId } from './client.ts';
import { createEnrolmentCode, withdrawCodes } from './enrolment.ts';
import { createGrant, withdrawGrants } from './grant.ts';
import { withoutRotation } from './rotation.ts';

/** What the owner decides when a client is added. */
export interface NewClient {
  readonly name: string;
  /** CIDRs, at least one. */
  readonly networks: readonly string[];
  readonly basic: boolean;
  /** Whether an escrow grant is made with the code. */
  readonly escrow: boolean;
}

/** What the owner is told once and what is nowhere else afterwards. */
export interface Invitation {
  readonly clientId: string;
  readonly code: string;
  /** Empty without escrow. */
  readonly grant: string;
}

/** What may be changed of a client later on. */
export interface PolicyChange {
  readonly ratePerHour?: number;
  readonly burst?: number;
  readonly lockout?: boolean;
  readonly ttl?: number;
  readonly staleIfError?: number;
  readonly forkPolicy?: ClientTable['fork_policy'];
  readonly networks?: readonly string[];
  readonly basic?: boolean;
  readonly gates?: OverrideChange;
  readonly certificate?: Client['certificate']['policy'];
}

/** A client by its name or its id; throws `client_unknown`. */
export async function findClient(tx: Kysely<Database>, name: string): Promise<Selectable<ClientTable>> {
  const row = await tx
    .selectFrom('client')
    .selectAll()
    .where((eb) => eb.or([eb('name', '=', name), eb('id', '=', name)]))
    .executeTakeFirst();
  if (row !== undefined) return row;
  throw new LatchkeyError('client_unknown', 'there is no client of that name', { hint: 'see keyserver client list' });
}

/** Adds a client that waits for its code. Throws `client_exists`. */
export async function addClient(
  tx: Kysely<Database>,
  wanted: NewClient,
  now: number,
  random: RandomBytes,
): Promise<Invitation> {
  const taken = await tx.selectFrom('client').select('id').where('name', '=', wanted.name).executeTakeFirst();
  if (taken !== undefined) {
    throw new LatchkeyError('client_exists', `there is a client named ${wanted.name} already`, {
      hint: 'choose another name, or give it a new code with keyserver client reset',
    });
  }
  const id = newClientId(random);
  await tx
    .insertInto('client')
    .values({
      id,
      name: wanted.name,
      state: 'new',
      token_hash: null,
      totp_sealed: null,
      basic: wanted.basic ? 1 : 0,
      networks: JSON.stringify(wanted.networks),
      rate_per_hour: clientDefaults.ratePerHour,
      burst: clientDefaults.burst,
      lockout: clientDefaults.lockout ? 1 : 0,
      ttl: clientDefaults.ttl,
      stale_if_error: clientDefaults.staleIfError,
      fork_policy: clientDefaults.forkPolicy,
      killed_at: null,
      created_at: now,
      enrolled_at: null,
    })
    .execute();
  await tx
    .insertInto('pulse')
    .values({
      client_id: id,
      last_time: 0,
      totp_step: 0,
      boot_id: null,
      fingerprint: null,
      heard_at: null,
      released_at: null,
    })
    .execute();
  const invitation = await invite(tx, id, wanted.escrow, now, random);
  await appendAudit(tx, {
    time: now,
    event: 'client_added',
    client: id,
    detail: { name: wanted.name, networks: wanted.networks, basic: wanted.basic, escrow: wanted.escrow },
  });
  return invitation;
}

/**
 * Ends whatever credentials a client has and gives it a new code; its keys stay. The way out of a fork. Throws
 * `client_revoked`: a revoked one stays so.
 */
export async function resetClient(
  tx: Kysely<Database>,
  client: Selectable<ClientTable>,
  escrow: boolean,
  now: number,
  random: RandomBytes,
): Promise<Invitation> {
  if (client.state === 'revoked') {
    throw new LatchkeyError('client_revoked', 'a revoked client cannot be enrolled again', {
      exit: 3,
      hint: 'add a new client, and move its keys with keyserver key export and key import',
    });
  }
  await tx
    .updateTable('client')
    .set({
      ...withoutRotation,
      state: 'new',
      token_hash: null,
      totp_sealed: null,
      enrolled_at: null,
      certificate_since: null,
    })
    .where('id', '=', client.id)
    .execute();
  await revokeCertificatesOf(tx, client.id, 'client reset', now);
  await withdrawGrants(tx, client.id);
  await withdrawApprovals(tx, client.id);
  const invitation = await invite(tx, client.id, escrow, now, random);
  await appendAudit(tx, { time: now, event: 'client_reset', client: client.id, detail: { was: client.state, escrow } });
  await raiseAlert(tx, { event: 'client_reset', client, was: client.state }, now);
  return invitation;
}

/**
 * A new grant for a client that is enrolled, in place of those it has; its credentials stay. Throws `client_not_enrolled`,
 * whose grant comes with its code.
 */
export async function grantAgain(
  tx: Kysely<Database>,
  client: Selectable<ClientTable>,
  now: number,
  random: RandomBytes,
): Promise<string> {
  if (client.state !== 'enrolled') {
    throw new LatchkeyError('client_not_enrolled', `${client.name} is ${client.state}, not enrolled`, {
      exit: 3,
      hint: 'keyserver client reset gives a new code, and a grant with it',
    });
  }
  await withdrawGrants(tx, client.id);
  const grant = await createGrant(tx, client.id, now, random);
  await appendAudit(tx, { time: now, event: 'grant_made', client: client.id });
  return grant;
}

/** Ends a client for good: its token stays known, so that its heartbeats are answered with `purge`. */
export async function revokeClient(tx: Kysely<Database>, client: Selectable<ClientTable>, now: number): Promise<void> {
  if (client.state === 'revoked') return;
  await tx.updateTable('client').set({ state: 'revoked' }).where('id', '=', client.id).execute();
  await revokeCertificatesOf(tx, client.id, 'client revoked', now);
  await withdrawCodes(tx, client.id, now);
  await withdrawGrants(tx, client.id);
  await withdrawApprovals(tx, client.id);
  await appendAudit(tx, { time: now, event: 'client_revoked', client: client.id, detail: { was: client.state } });
}

/** Changes what is named in `change` and nothing else. */
export async function changePolicy(
  tx: Kysely<Database>,
  client: Selectable<ClientTable>,
  change: PolicyChange,
  now: number,
): Promise<void> {
  const row = {
    ...(change.ratePerHour !== undefined && { rate_per_hour: change.ratePerHour }),
    ...(change.burst !== undefined && { burst: change.burst }),
    ...(change.lockout !== undefined && { lockout: change.lockout ? 1 : 0 }),
    ...(change.ttl !== undefined && { ttl: change.ttl }),
    ...(change.staleIfError !== undefined && { stale_if_error: change.staleIfError }),
    ...(change.forkPolicy !== undefined && { fork_policy: change.forkPolicy }),
    ...(change.networks !== undefined && { networks: JSON.stringify(change.networks) }),
    ...(change.basic !== undefined && { basic: change.basic ? 1 : 0 }),
    ...(change.gates !== undefined && { gate_policy: withOverrides(client.gate_policy, change.gates) }),
    ...(change.certificate !== undefined && { certificate_policy: change.certificate }),
  };
  if (Object.keys(row).length === 0) return;
  await tx.updateTable('client').set(row).where('id', '=', client.id).execute();
  await appendAudit(tx, { time: now, event: 'client_policy_changed', client: client.id, detail: row });
}

async function invite(
  tx: Kysely<Database>,
  clientId: string,
  escrow: boolean,
  now: number,
  random: RandomBytes,
): Promise<Invitation> {
  const code = await createEnrolmentCode(tx, clientId, now, random);
  return { clientId, code, grant: escrow ? await createGrant(tx, clientId, now, random) : '' };
}
