import * as z from 'zod';
import { appendAudit } from '../../platform/audit-chain.ts';
import type { AppRequest, AppResponse, Route } from '../../platform/http-app.ts';
import { seeOther } from '../../platform/page.ts';
import { parseInput } from '../../platform/schema.ts';
import { cookieFrom } from '../../platform/session-book.ts';
import { doorWords, loginPage, safeNext } from './login-page.ts';
import { proof, type Site } from './site.ts';
import { formRoute, openFormRoute, pageRoute, sessionCookie } from './visits.ts';

const loginForm = z.strictObject({ name: z.string().max(64), next: z.string().max(256), ...proof });

const cookieRules = 'Path=/; Secure; HttpOnly; SameSite=Strict';

/** Logging in and out. */
export function loginRoutes(site: Site): readonly Route[] {
  const first = async (): Promise<AppResponse> => seeOther('/admin/custody');
  return [
    pageRoute(site, '/admin', first),
    pageRoute(site, '/admin/', first),
    pageRoute(site, '/admin/login', first),
    openFormRoute(site, '/admin/login', (request) => logIn(site, request)),
    formRoute(site, '/admin/logout', z.strictObject({}), async (_visit, _form, token) => {
      site.sessions.end(token);
      return seeOther('/admin', { 'Set-Cookie': `${sessionCookie}=; Max-Age=0; ${cookieRules}` });
    }),
  ];
}

async function logIn(site: Site, request: AppRequest): Promise<AppResponse> {
  const { name, password, code, next } = parseInput(loginForm, request.body);
  const { clock, store } = site.custody;
  const answer = await site.door.check({ name, password, code }, request.source, 'log in');
  if (answer.verdict !== 'open') {
    const { status, words } = doorWords(answer);
    return loginPage(site, status, { next, problem: words, name });
  }
  const now = clock.now();
  const { source } = request;
  const detail = { admin: answer.account.name };
  await store.transaction((tx) => appendAudit(tx, { time: now, event: 'admin_logged_in', source, detail }));
  // whatever token the browser brought is over: nobody can have put it there to know this session
  site.sessions.end(cookieFrom(request.headers.cookie, sessionCookie) ?? '');
  const token = site.sessions.begin({ name: answer.account.name, source, changedAt: answer.account.changed_at }, now);
  return seeOther(safeNext(next), { 'Set-Cookie': `${sessionCookie}=${token}; ${cookieRules}` });
}
