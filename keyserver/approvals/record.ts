import type { Kysely, Selectable } from 'kysely';
import { appendAudit } from '../../platform/audit-chain.ts';
import { raiseAlert } from '../alerts/raise.ts';
import type { Finding } from '../judgement.ts';
import type { ApprovalTable, Database } from '../schema.ts';
import type { ApprovalFacts } from './facts.ts';

/** How long a person has to answer, ms. Without an answer it is a denial. */
export const answerTime = 900_000;

/** How long a yes waits to be used, ms. */
export const yesLife = 900_000;

/** How long an answer may be changed, and how long a no holds, ms. */
export const lastWord = 86_400_000;

/** An approval as everything but the database sees it. */
export interface Approval {
  readonly id: string;
  readonly client: { readonly id: string; readonly name: string };
  /** As of the moment it was read: what ran out has lapsed, whatever the database says. */
  readonly state: ApprovalTable['state'];
  readonly gates: readonly Finding[];
  readonly source: string;
  readonly bootId: string | null;
  readonly fingerprint: string | null;
  readonly facts: ApprovalFacts;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** When it lapses, for one that waits for an answer or for its use. */
  readonly expiresAt: number;
  readonly decidedAt: number | null;
  readonly decidedBy: string | null;
  readonly usedAt: number | null;
}

type ApprovalRow = Selectable<ApprovalTable> & { readonly name: string };

/** Approvals with their clients' names. */
export function approvalRows(tx: Kysely<Database>) {
  return tx
    .selectFrom('approval')
    .innerJoin('client', 'client.id', 'approval.client_id')
    .selectAll('approval')
    .select('client.name');
}

export function approvalFromRow(row: ApprovalRow, now: number): Approval {
  const isOver = (row.state === 'pending' || row.state === 'approved') && now >= row.expires_at;
  return {
    id: row.id,
    client: { id: row.client_id, name: row.name },
    state: isOver ? 'lapsed' : row.state,
    gates: JSON.parse(row.gates) as Finding[],
    source: row.source,
    bootId: row.boot_id,
    fingerprint: row.fingerprint,
    facts: JSON.parse(row.facts) as ApprovalFacts,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    decidedAt: row.decided_at,
    decidedBy: row.decided_by,
    usedAt: row.used_at,
  };
}

/** The gates of an approval in one line. */
export function gateNames(approval: Pick<Approval, 'gates'>): string {
  return approval.gates.map(({ gate }) => gate).join(', ');
}

/** Announces what ran out unanswered; it is over whether or not this is called. Answers how many there were. */
export async function recordLapses(tx: Kysely<Database>, now: number): Promise<number> {
  const rows = await approvalRows(tx).where('approval.state', '=', 'pending').where('expires_at', '<=', now).execute();
  for (const row of rows) {
    const { id, client, gates, source } = approvalFromRow(row, now);
    await tx.updateTable('approval').set({ state: 'lapsed' }).where('id', '=', id).execute();
    const gate = gateNames({ gates });
    const detail = { approval: id, gate };
    await appendAudit(tx, { time: now, event: 'approval_lapsed', client: client.id, source, detail });
    await raiseAlert(tx, { event: 'approval_lapsed', client, approval: id, gate }, now);
  }
  return rows.length;
}
