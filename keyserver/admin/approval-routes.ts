import * as z from 'zod';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import type { AppResponse, Route } from '../../platform/http-app.ts';
import { type Approval, decideApproval, findApproval, listApprovals } from '../approvals/approvals.ts';
import { approvalContent, approvalsContent, decidedContent, seenMark } from './approvals-page.ts';
import { askAgain, proof, type Site, sitePage } from './site.ts';
import { formRoute, pageRoute, type Visit } from './visits.ts';

const decisionForm = z.strictObject({
  decision: z.enum(['approve', 'deny']),
  /** See `seenMark`. */
  seen: z.string().regex(/^[0-9a-f]{16}$/, 'must be 16 hex digits'),
  ...proof,
});

/** Settled requests that are shown below those that wait. */
const latelyShown = 10;

/** Requests that wait for a yes. */
export function approvalRoutes(site: Site): readonly Route[] {
  return [
    pageRoute(site, '/admin/approvals', (visit) => approvalsPage(site, visit)),
    pageRoute(site, '/admin/approvals/:id', async (visit) =>
      approvalPage(site, visit, await approvalOf(site, visit), 200, null),
    ),
    formRoute(site, '/admin/approvals/:id', decisionForm, (visit, form) => decide(site, visit, form)),
  ];
}

async function approvalsPage(site: Site, visit: Visit): Promise<AppResponse> {
  const all = await site.custody.store.read((tx) => listApprovals(tx, visit.now, true));
  const pending = all.filter(({ state }) => state === 'pending');
  const settled = all.filter(({ state }) => state !== 'pending').slice(0, latelyShown);
  const content = approvalsContent(pending, settled, visit.now);
  return sitePage(site, visit, { title: 'Approvals', here: 'approvals', narrow: true }, content);
}

function approvalPage(
  site: Site,
  visit: Visit,
  approval: Approval,
  status: number,
  problem: string | null,
): Promise<AppResponse> {
  const title = `${approval.client.name} asks for its keys`;
  const content = approvalContent({ approval, visitor: visit, problem, now: visit.now });
  return sitePage(site, visit, { title, here: 'approvals', narrow: true, status }, content);
}

async function approvalOf(site: Site, { params, now }: Visit): Promise<Approval> {
  try {
    return await site.custody.store.read((tx) => findApproval(tx, params.id ?? '', now));
  } catch (error) {
    if (!isLatchkeyError(error, 'approval_unknown')) throw error;
    throw new LatchkeyError('not_found', 'there is no such approval', { status: 404 });
  }
}

async function decide(site: Site, visit: Visit, form: z.infer<typeof decisionForm>): Promise<AppResponse> {
  const approval = await approvalOf(site, visit);
  const problem = await askAgain(site, visit, form, form.decision);
  if (problem !== null) return approvalPage(site, visit, approval, problem.status, problem.words);
  const { custody } = site;
  const now = custody.clock.now();
  const by = { means: 'page', who: visit.admin } as const;
  try {
    const decided = await custody.store.transaction(async (tx) => {
      const isChanged = seenMark(await findApproval(tx, approval.id, now)) !== form.seen;
      if (isChanged && form.decision === 'approve') throw changedMeanwhile();
      return decideApproval(tx, approval.id, form.decision, by, now);
    });
    const pending = await custody.store.read((tx) => listApprovals(tx, now));
    const title = `${approval.client.name}: ${form.decision === 'approve' ? 'approved' : 'denied'}`;
    return sitePage(site, visit, { title, here: 'approvals', narrow: true }, decidedContent(decided, pending.length));
  } catch (error) {
    const words = conflicts[isLatchkeyError(error) ? error.code : ''];
    if (words === undefined) throw error;
    return approvalPage(site, visit, await approvalOf(site, visit), 409, words);
  }
}

const conflicts: Readonly<Record<string, string>> = {
  approval_settled: 'This request cannot be decided any more. Nothing was done.',
  approval_changed: 'Something was added to this request after you opened it. Nothing was done: look at it again.',
};

function changedMeanwhile(): LatchkeyError {
  return new LatchkeyError('approval_changed', 'the approval is not as it was shown', { status: 409 });
}
