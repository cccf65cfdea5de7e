import type { Kysely } from 'kysely';
import { appendAudit } from '../../platform/audit-chain.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { raiseAlert } from '../alerts/raise.ts';
import type { Database } from '../schema.ts';
import { type Approval, approvalFromRow, approvalRows, gateNames, lastWord, yesLife } from './record.ts';

export type { Approval } from './record.ts';

/** Who answers, and how. */
export interface Decider {
  readonly means: 'command' | 'page';
  /** Whose session it was; `null` on the command line. */
  readonly who: string | null;
}

/** Approvals, the newest first: those that wait for an answer, or `all` that are on record. */
export async function listApprovals(tx: Kysely<Database>, now: number, all = false): Promise<Approval[]> {
  const rows = approvalRows(tx).orderBy('approval.created_at', 'desc').orderBy('approval.id').limit(500);
  if (all) return (await rows.execute()).map((row) => approvalFromRow(row, now));
  const pending = await rows.where('approval.state', '=', 'pending').where('approval.expires_at', '>', now).execute();
  return pending.map((row) => approvalFromRow(row, now));
}

/** One approval. Throws `approval_unknown`. */
export async function findApproval(tx: Kysely<Database>, id: string, now: number): Promise<Approval> {
  const row = await approvalRows(tx).where('approval.id', '=', id).executeTakeFirst();
  if (row !== undefined) return approvalFromRow(row, now);
  throw new LatchkeyError('approval_unknown', 'there is no such approval', {
    status: 404,
    hint: 'see keyserver approval list --all',
  });
}

/**
 * A person's answer. A yes is good for one release by the same client from the same address, boot and machine, within
 * 15 minutes. Until it is used the last word counts, for a day: who came too late may still say yes, and who erred
 * may take it back. Throws `approval_unknown`, and `approval_settled` when there is nothing left to decide.
 */
export async function decideApproval(
  tx: Kysely<Database>,
  id: string,
  decision: 'approve' | 'deny',
  by: Decider,
  now: number,
): Promise<Approval> {
  const approval = await findApproval(tx, id, now);
  if (approval.state === 'used' || approval.state === 'withdrawn') throw settled(`it was ${approval.state} already`);
  if (now >= approval.createdAt + lastWord) throw settled('it is older than a day');
  const state = decision === 'approve' ? 'approved' : 'denied';
  if (approval.state === state) return approval;
  const decidedBy = by.who === null ? by.means : `${by.means} ${by.who}`;
  const expires = now + (decision === 'approve' ? yesLife : lastWord);
  await tx
    .updateTable('approval')
    .set({ state, decided_at: now, decided_by: decidedBy, expires_at: expires })
    .where('id', '=', id)
    .execute();
  const { client, source } = approval;
  const gate = gateNames(approval);
  const event = decision === 'approve' ? 'approval_given' : 'approval_denied';
  const detail = { approval: id, gate, by: decidedBy, was: approval.state };
  await appendAudit(tx, { time: now, event, client: client.id, source, detail });
  await raiseAlert(tx, { event: 'approval_decided', client, approval: id, gate, decision: state, by: by.means }, now);
  return findApproval(tx, id, now);
}

/** Ends what is still open of a client whose credentials end. */
export async function withdrawApprovals(tx: Kysely<Database>, client: string): Promise<void> {
  await tx
    .updateTable('approval')
    .set({ state: 'withdrawn' })
    .where('client_id', '=', client)
    .where('state', 'in', ['pending', 'approved', 'denied', 'lapsed'])
    .execute();
}

function settled(why: string): LatchkeyError {
  return new LatchkeyError('approval_settled', `this approval cannot be decided any more: ${why}`, {
    status: 409,
    exit: 3,
    hint: 'when the client asks again there will be a new one: see keyserver approval list',
  });
}
