import * as z from 'zod';
import type { Html } from '../../platform/html.ts';
import type { AppResponse } from '../../platform/http-app.ts';
import { listApprovals } from '../approvals/approvals.ts';
import type { Health } from '../health.ts';
import type { AdminDoor } from './door.ts';
import { type Frame, framed } from './layout.ts';
import { doorWords } from './login-page.ts';
import type { Timeline } from './timeline.ts';
import type { Visit, VisitDeps } from './visits.ts';

/** Everything a page is given. */
export interface Site extends VisitDeps {
  readonly door: AdminDoor;
  readonly health: Health;
  readonly timeline: Timeline;
  /** When this process began to serve, ms. */
  readonly startedAt: number;
}

/** Password and code, as forms carry them. Authenticator apps show a code with a gap in its middle. */
export const proof = {
  password: z.string().min(1, 'must be given').max(1024),
  code: z
    .string()
    .max(16)
    .transform((text) => text.replaceAll(' ', '')),
};

/** A page with what stands on each: who is logged in, how the server is, what waits. */
export async function sitePage(
  site: Site,
  visit: Visit,
  frame: Pick<Frame, 'title' | 'here' | 'narrow'> & { readonly status?: number },
  content: Html,
): Promise<AppResponse> {
  const pending = await site.custody.store.read((tx) => listApprovals(tx, visit.now));
  const health = await site.health.status();
  const { status = 200, ...rest } = frame;
  return framed(status, { style: site.style, visitor: visit, pending: pending.length, health, ...rest }, content);
}

/** Asks the door once more before something grave; `null` when it opened, else what to say. */
export async function askAgain(
  site: Site,
  visit: Visit,
  given: { readonly password: string; readonly code: string },
  purpose: string,
): Promise<{ readonly status: number; readonly words: string } | null> {
  const { password, code } = given;
  const answer = await site.door.check({ name: visit.admin, password, code }, visit.source, purpose);
  if (answer.verdict === 'open') return null;
  const { status, words } = doorWords(answer);
  return {
    status,
    words:
      answer.verdict === 'refused'
        ? 'Password and code do not fit, or the code was used before. Nothing was done.'
        : `${words} Nothing was done.`,
  };
}
