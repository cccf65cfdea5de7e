import type { Kysely, Selectable } from 'kysely';
import { clientFromRow } from '../clients/client.ts';
import type { GatePolicy } from '../policy/policy.ts';
import { type Absence, absenceFrom } from '../presence/absence.ts';
import type { ClientTable, Database } from '../schema.ts';

/** A client as `client list` and `client show` print it: no digest, no sealed secret. */
export interface ClientReport {
  readonly id: string;
  readonly name: string;
  readonly state: ClientTable['state'];
  readonly killed: boolean;
  readonly from: readonly string[];
  readonly basic: boolean;
  readonly keys: readonly string[];
  readonly certificate: {
    readonly policy: 'auto' | 'required' | 'off';
    readonly since: number | null;
    /** When the one that lasts longest ends, `null` without one. */
    readonly until: number | null;
  };
  readonly policy: {
    readonly ratePerHour: number;
    readonly burst: number;
    readonly lockout: boolean;
    readonly ttl: number;
    readonly staleIfError: number;
    readonly onFork: ClientTable['fork_policy'];
  };
  readonly gates: GatePolicy;
  /** New secrets on their way: since when, and whether the client was told them. */
  readonly rotation: { readonly since: number; readonly toldAt: number | null } | null;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly enrolledAt: number | null;
  readonly releasedAt: number | null;
  readonly heardAt: number | null;
  /** The last heartbeat. */
  readonly presentAt: number | null;
  /** An absence that nobody has cleared yet. */
  readonly absence: Absence | null;
}

export async function describeClient(tx: Kysely<Database>, row: Selectable<ClientTable>): Promise<ClientReport> {
  const keys = await tx
    .selectFrom('stored_key')
    .select('key_id')
    .where('client_id', '=', row.id)
    .orderBy('key_id')
    .execute();
  const pulse = await tx
    .selectFrom('pulse')
    .select(['heard_at', 'released_at', 'present_at', 'absence'])
    .where('client_id', '=', row.id)
    .executeTakeFirst();
  const last = await tx
    .selectFrom('certificate')
    .select((eb) => eb.fn.max('not_after').as('at'))
    .where('client_id', '=', row.id)
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  const client = clientFromRow(row);
  return {
    id: client.id,
    name: client.name,
    state: client.state,
    killed: client.killed,
    from: client.networks,
    basic: client.basic,
    keys: keys.map((key) => key.key_id),
    certificate: { ...client.certificate, until: last?.at ?? null },
    policy: {
      ratePerHour: client.rate.perHour,
      burst: client.rate.burst,
      lockout: client.rate.lockout,
      ...client.policy,
      onFork: client.forkPolicy,
    },
    gates: client.gates,
    rotation: row.next_sealed === null ? null : { since: row.next_since ?? 0, toldAt: row.next_told_at },
    createdAt: row.created_at,
    enrolledAt: row.enrolled_at,
    releasedAt: pulse?.released_at ?? null,
    heardAt: pulse?.heard_at ?? null,
    presentAt: pulse?.present_at ?? null,
    absence: absenceFrom(pulse?.absence ?? null),
  };
}

/** All clients by name. */
export async function listClients(tx: Kysely<Database>): Promise<ClientReport[]> {
  const rows = await tx.selectFrom('client').selectAll().orderBy('name').execute();
  const reports: ClientReport[] = [];
  for (const row of rows) reports.push(await describeClient(tx, row));
  return reports;
}
