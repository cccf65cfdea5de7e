import type { Kysely } from 'kysely';
import { appendAudit, type CanonicalValue } from '../../platform/audit-chain.ts';
import type { RandomBytes } from '../../platform/clock.ts';
import { raiseAlert } from '../alerts/raise.ts';
import type { Verdict } from '../gate.ts';
import type { Finding } from '../judgement.ts';
import type { Database } from '../schema.ts';
import type { ApprovalFacts } from './facts.ts';
import {
  type Approval,
  answerTime,
  approvalFromRow,
  approvalRows,
  gateNames,
  lastWord,
  recordLapses,
} from './record.ts';

/** A request that gates hold until a person says yes. */
export interface HeldRequest {
  readonly client: { readonly id: string; readonly name: string };
  readonly holds: readonly Finding[];
  readonly facts: ApprovalFacts;
  /** Where a person answers in a browser. */
  readonly page: (approval: string) => string;
}

/** What came of asking: a person said yes to these gates, or what the caller is answered. */
export type Ruling =
  | { readonly approval: string; readonly gates: readonly string[] }
  | { readonly refusal: Verdict & { readonly gate: string } };

/** Seconds until a client that waits shall ask again: it learns of the answer then. */
const whileWaiting = 30;
const afterLapse = 120;
const afterDenial = 900;

/** A lapsed request is not asked about again before this, ms: at night the owner is called once, not every quarter of an hour. */
export const quietAfterLapse = 3_600_000;

/** So many open questions about one client at once; whoever makes up facts shall not bury the honest one. */
const openLimit = 5;

/**
 * Looks for a person's answer to this very request (client, address, boot, fingerprint), and asks for one when nobody was
 * asked yet. Asking again changes nothing while an answer is awaited; a gate that came to hold since is added to it.
 */
export async function askPerson(
  tx: Kysely<Database>,
  request: HeldRequest,
  now: number,
  random: RandomBytes,
): Promise<Ruling> {
  const { client, holds, facts } = request;
  await recordLapses(tx, now);
  const rows = await approvalRows(tx)
    .where('client_id', '=', client.id)
    .where('approval.created_at', '>', now - lastWord)
    .orderBy('approval.created_at', 'desc')
    .orderBy('approval.id')
    .execute();
  const asked = rows.map((row) => approvalFromRow(row, now));
  const same = asked.find((approval) => isOf(approval, facts));
  const answer = same === undefined ? null : answerOf(same, holds, now);
  if (answer !== null) {
    if (same?.state === 'pending') await addGates(tx, same, holds);
    return answer;
  }
  const gate = holds[0]?.gate ?? 'approval';
  const open = asked.filter(({ state }) => state === 'pending');
  if (open.length >= openLimit) {
    const next = Math.min(...open.map(({ expiresAt }) => expiresAt));
    const retryAfter = Math.max(1, Math.ceil((next - now) / 1000));
    return { refusal: { verdict: 'deny', code: 'rate_limited', reason: 'approvals', retryAfter, gate } };
  }
  const id = `ap-${random(8).toString('hex')}`;
  await fileQuestion(tx, id, request, now);
  return { refusal: waiting(id, holds) };
}

/**
 * Uses up the yes that let a call pass; false when it was used, taken back or ran out in the meantime, or is for another
 * address. Call it in the transaction that releases.
 */
export async function useApproval(tx: Kysely<Database>, id: string, source: string, now: number): Promise<boolean> {
  const used = await tx
    .updateTable('approval')
    .set({ state: 'used', used_at: now })
    .where('id', '=', id)
    .where('source', '=', source)
    .where('state', '=', 'approved')
    .where('expires_at', '>', now)
    .executeTakeFirst();
  return used.numUpdatedRows === 1n;
}

function isOf({ source, bootId, fingerprint }: Approval, { now }: ApprovalFacts): boolean {
  return source === now.source && bootId === now.bootId && fingerprint === now.fingerprint;
}

/** What the newest approval of these facts means for them; `null`: a person has to be asked anew. */
function answerOf(approval: Approval, holds: readonly Finding[], now: number): Ruling | null {
  const { id, state, gates, expiresAt, decidedAt } = approval;
  const gate = holds[0]?.gate ?? 'approval';
  const denied = { verdict: 'deny', code: 'approval_denied', approval: id, gate } as const;
  if (state === 'pending') return { refusal: waiting(id, holds) };
  if (state === 'denied') return { refusal: { ...denied, reason: 'denied', retryAfter: afterDenial } };
  if (state === 'approved') {
    const names = gates.map((held) => held.gate);
    return holds.every((held) => names.includes(held.gate)) ? { approval: id, gates: names } : null;
  }
  const isUnanswered = state === 'lapsed' && decidedAt === null && now < expiresAt + quietAfterLapse;
  return isUnanswered ? { refusal: { ...denied, reason: 'lapsed', retryAfter: afterLapse } } : null;
}

function waiting(approval: string, holds: readonly Finding[]): Verdict & { gate: string } {
  const { gate = 'approval', reason = '' } = holds[0] ?? {};
  return { verdict: 'hold', code: 'approval_pending', reason, approval, retryAfter: whileWaiting, gate };
}

async function addGates(tx: Kysely<Database>, approval: Approval, holds: readonly Finding[]): Promise<void> {
  const known = approval.gates.map(({ gate }) => gate);
  const more = holds.filter(({ gate }) => !known.includes(gate));
  if (more.length === 0) return;
  const gates = JSON.stringify([...approval.gates, ...more]);
  await tx.updateTable('approval').set({ gates }).where('id', '=', approval.id).execute();
}

async function fileQuestion(
  tx: Kysely<Database>,
  id: string,
  { client, holds, facts, page }: HeldRequest,
  now: number,
): Promise<void> {
  const { source, bootId, fingerprint } = facts.now;
  const lapsesAt = now + answerTime;
  await tx
    .insertInto('approval')
    .values({
      id,
      client_id: client.id,
      state: 'pending',
      gates: JSON.stringify(holds),
      source,
      boot_id: bootId,
      fingerprint,
      facts: JSON.stringify(facts),
      created_at: now,
      expires_at: lapsesAt,
    })
    .execute();
  const gate = gateNames({ gates: holds });
  const reason = holds.map((held) => held.reason).join(', ');
  await appendAudit(tx, {
    time: now,
    event: 'approval_asked',
    client: client.id,
    source,
    reason,
    detail: { approval: id, gate, ...(facts as unknown as { readonly [name: string]: CanonicalValue }) },
  });
  const alert = { event: 'hold', client, gate, approval: id, source, reason, page: page(id), lapsesAt } as const;
  await raiseAlert(tx, alert, now);
}
