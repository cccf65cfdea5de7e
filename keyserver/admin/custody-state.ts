import type { Kysely } from 'kysely';
import { auditHead } from '../../platform/audit-chain.ts';
import type { AlertTexts } from '../alerts/alert-kind.ts';
import { showAlert } from '../alerts/notice.ts';
import { gatePolicyOf } from '../policy/policy.ts';
import { type Absence, absenceFrom, type Gap } from '../presence/absence.ts';
import type { ClientTable, Database } from '../schema.ts';
import { heardDays, presenceOf, unwatchedSlots } from './heard.ts';
import { reach, type Timeline } from './timeline.ts';
import type { TimelineFacts } from './timeline-picture.ts';

/** A client at a glance. Times are milliseconds since 1970. */
export interface ClientState {
  readonly id: string;
  readonly name: string;
  readonly state: ClientTable['state'];
  readonly killedAt: number | null;
  readonly releasedAt: number | null;
  readonly heardAt: number | null;
  readonly source: string | null;
  /** An absence that nobody has cleared. */
  readonly absence: Absence | null;
  /** The preset, and `+` when something differs from it; `null` when it cannot be read. */
  readonly policy: string | null;
  /** How long it may be silent before that counts as an absence, ms. */
  readonly patience: number;
}

/** The key server at a glance. */
export interface CustodyState {
  readonly killedSince: number | null;
  readonly killReason: string | null;
  readonly audit: { readonly seq: number; readonly hash: string };
  readonly signature: { readonly seq: number; readonly time: number } | null;
  /** When the certificates end. */
  readonly serverCertificateEnd: number | null;
  readonly authorityEnd: number | null;
  readonly backupAt: number | null;
  readonly clients: readonly ClientState[];
  readonly alerts: readonly AlertLine[];
}

/** An alert that was raised. */
export interface AlertLine {
  readonly at: number;
  /** How often it came again in its quiet time. */
  readonly repeats: number;
  readonly texts: AlertTexts;
}

const alertsShown = 10;

export async function readCustody(tx: Kysely<Database>, now: number): Promise<CustodyState> {
  const kill = await tx.selectFrom('switch').select(['since', 'reason']).where('name', '=', 'kill').executeTakeFirst();
  const signature = await tx
    .selectFrom('audit_signature')
    .select(['seq', 'time'])
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst();
  const backup = await tx
    .selectFrom('backup')
    .select((eb) => eb.fn.max('made_at').as('at'))
    .executeTakeFirst();
  return {
    killedSince: kill?.since ?? null,
    killReason: kill?.reason ?? null,
    audit: await auditHead(tx),
    signature: signature ?? null,
    serverCertificateEnd: await certificateEnd(tx, 'server', now),
    authorityEnd: await certificateEnd(tx, 'ca', now),
    backupAt: backup?.at ?? null,
    clients: await readClients(tx),
    alerts: await readAlerts(tx),
  };
}

/** The end of the newest certificate of a sort that was not taken back. */
async function certificateEnd(tx: Kysely<Database>, purpose: 'server' | 'ca', now: number): Promise<number | null> {
  const row = await tx
    .selectFrom('certificate')
    .select((eb) => eb.fn.max('not_after').as('end'))
    .where('purpose', '=', purpose)
    .where((eb) => eb.or([eb('revoked_at', 'is', null), eb('revoked_at', '>', now)]))
    .executeTakeFirst();
  return row?.end ?? null;
}

async function readClients(tx: Kysely<Database>): Promise<readonly ClientState[]> {
  const rows = await tx
    .selectFrom('client')
    .innerJoin('pulse', 'pulse.client_id', 'client.id')
    .select(['client.id', 'client.name', 'client.state', 'client.killed_at', 'client.gate_policy'])
    .select(['pulse.released_at', 'pulse.heard_at', 'pulse.source', 'pulse.absence'])
    .orderBy('client.name')
    .execute();
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    state: row.state,
    killedAt: row.killed_at,
    releasedAt: row.released_at,
    heardAt: row.heard_at,
    source: row.source,
    absence: absenceFrom(row.absence),
    ...policyOf(row.gate_policy),
  }));
}

/** A page must be there even when one client's rules are damaged: that client gets nothing, and this is where it shows. */
function policyOf(text: string): { policy: string | null; patience: number } {
  try {
    const { preset, absence } = gatePolicyOf(text);
    const differs = Object.keys(JSON.parse(text) as object).some((name) => name !== 'preset');
    return { policy: differs ? `${preset}, changed` : preset, patience: absence };
  } catch {
    return { policy: null, patience: 0 };
  }
}

async function readAlerts(tx: Kysely<Database>): Promise<readonly AlertLine[]> {
  const rows = await tx
    .selectFrom('outbox_message')
    .select(['raised_at', 'repeats', 'body'])
    .orderBy('seq', 'desc')
    .limit(alertsShown)
    .execute();
  return rows.map((row) => ({ at: row.raised_at, repeats: row.repeats, texts: showAlert(row) }));
}

/** What the pictures of some clients are drawn from. */
export async function readTimelines(
  tx: Kysely<Database>,
  timeline: Timeline,
  clients: readonly string[],
  now: number,
): Promise<(client: string) => TimelineFacts> {
  if (clients.length === 0) return () => ({ counts: new Map(), holds: [], presence: [] });
  const span: Gap = { since: now - reach, until: now };
  const heard = await heardDays(tx, clients, span.since);
  const ownGaps = await tx.selectFrom('own_gap').selectAll().where('until', '>', span.since).execute();
  const unwatched = unwatchedSlots(ownGaps, span);
  const approvals = await tx
    .selectFrom('approval')
    .select(['client_id', 'created_at'])
    .where('client_id', 'in', [...clients])
    .where('created_at', '>=', span.since)
    .execute();
  return (client) => ({
    counts: timeline.countsOf(client),
    holds: approvals.filter((row) => row.client_id === client).map((row) => row.created_at),
    presence: presenceOf(heard.get(client) ?? new Map(), unwatched, span),
  });
}
