import * as z from 'zod';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import { html } from '../../platform/html.ts';
import type { AppRequest, AppResponse, Route } from '../../platform/http-app.ts';
import { parseInput } from '../../platform/schema.ts';
import { cookieFrom, isCsrf, type SessionBook } from '../../platform/session-book.ts';
import type { Custody } from '../custody.ts';
import { findAdmin } from './accounts.ts';
import { framed, type Style } from './layout.ts';
import { loginPage } from './login-page.ts';
import type { OwnOrigin } from './own-origin.ts';

/** `__Host-`: only this host can have set it, for the whole host and over TLS (RFC 6265bis, section 4.1.3). */
export const sessionCookie = '__Host-latchkey';

const minute = 60_000;

/** Fifteen minutes idle, eight hours at most. */
export const sessionLimits = { idle: 15 * minute, whole: 480 * minute, count: 100 };

/** What a session remembers of its administrator. */
export interface AdminSession {
  readonly name: string;
  /** A session is good from the address it began at; in a tunnel an address is a machine. */
  readonly source: string;
  /** `changed_at` of the account when it began. */
  readonly changedAt: number;
}

/** A request of somebody who is logged in. */
export interface Visit {
  readonly admin: string;
  readonly csrf: string;
  readonly source: string;
  readonly now: number;
  readonly params: Readonly<Record<string, string>>;
}

export interface VisitDeps {
  readonly custody: Custody;
  readonly origin: OwnOrigin;
  readonly sessions: SessionBook<AdminSession>;
  readonly style: Style;
}

/** More than any form here is. */
const formLimit = 8 * 1024;

const csrfField = z.string().max(64);

/** Reads the session cookie of a request; `null` when nobody is logged in. */
export async function sessionOf(deps: VisitDeps, request: AppRequest, now: number) {
  const token = cookieFrom(request.headers.cookie, sessionCookie);
  const session = token === null ? null : deps.sessions.find(token, now);
  if (token === null || session === null) return null;
  const { name, source, changedAt } = session.value;
  if (source !== request.source) return null;
  const account = await deps.custody.store.read((tx) => findAdmin(tx, name));
  if (account === null || account.changed_at !== changedAt) {
    deps.sessions.end(token);
    return null;
  }
  return { token, ...session };
}

/** A page for those who are logged in; everybody else gets the log-in form and then this page. */
export function pageRoute(deps: VisitDeps, path: string, handler: (visit: Visit) => Promise<AppResponse>): Route {
  return {
    method: 'GET',
    path,
    bodyLimit: 0,
    handler: (request) =>
      answered(deps, request, async () => {
        const now = deps.custody.clock.now();
        const session = await sessionOf(deps, request, now);
        if (session === null)
          return loginPage(deps, 200, { next: filled(path, request.params), problem: null, name: '' });
        const { source, params } = request;
        return handler({ admin: session.value.name, csrf: session.csrf, source, now, params });
      }),
  };
}

/**
 * What a form does. Before `handler` is asked: a page of this server sent it, somebody is logged in, and the form was made
 * for this very session.
 */
export function formRoute<F>(
  deps: VisitDeps,
  path: string,
  fields: z.ZodType<F>,
  handler: (visit: Visit, form: F, token: string) => Promise<AppResponse>,
): Route {
  return openFormRoute(deps, path, async (request) => {
    const now = deps.custody.clock.now();
    const session = await sessionOf(deps, request, now);
    if (session === null) {
      const problem = 'Your session is over. Nothing was done; log in and try again.';
      return loginPage(deps, 403, { next: filled(path, request.params), problem, name: '' });
    }
    const { csrf, ...rest } = request.body as { csrf?: string };
    if (!isCsrf(session, parseInput(csrfField, csrf))) throw foreignForm();
    const { source, params } = request;
    const visit = { admin: session.value.name, csrf: session.csrf, source, now, params };
    return handler(visit, parseInput(fields, rest), session.token);
  });
}

/** A form that needs no session: logging in. */
export function openFormRoute(
  deps: VisitDeps,
  path: string,
  handler: (request: AppRequest) => Promise<AppResponse>,
): Route {
  return {
    method: 'POST',
    path,
    bodyLimit: formLimit,
    bodyType: 'form',
    handler: (request) =>
      answered(deps, request, async () => {
        if (!deps.origin.isOwnForm(request.headers)) throw foreignForm();
        return handler(request);
      }),
  };
}

function foreignForm(): LatchkeyError {
  return new LatchkeyError('form_refused', 'the form was not sent by a page of this session', { status: 403 });
}

/** Errors as a page. A host that is not this server's is answered like a path that is not there. */
async function answered(deps: VisitDeps, request: AppRequest, work: () => Promise<AppResponse>): Promise<AppResponse> {
  if (!deps.origin.isOwnHost(request.headers)) {
    throw new LatchkeyError('not_found', 'there is nothing here', { status: 404 });
  }
  try {
    return await work();
  } catch (error) {
    if (!isLatchkeyError(error)) throw error; // told as an internal error, and logged with its cause
    return problemPage(deps, error);
  }
}

const problems: Readonly<Record<string, readonly [title: string, words: string]>> = {
  not_found: ['Not found', 'There is no such page. It may have been about something that is over.'],
  form_refused: [
    'Form refused',
    'The form did not come from a page of this session, so nothing was done. Open the page again and repeat it there.',
  ],
  degraded: [
    'Records cannot be written',
    'What cannot be recorded is not done, so nothing was done. The disk may be full: on the machine, keyserver doctor tells.',
  ],
  store_not_written: ['Records cannot be written', 'What cannot be recorded is not done, so nothing was done.'],
};

function problemPage(deps: VisitDeps, error: LatchkeyError): AppResponse {
  const [title, words] = problems[error.code] ?? ['That did not work', `${error.message}.`];
  const content = html`<p>${words}</p><p><a href="/admin/custody">Back to custody</a></p>`;
  return framed(error.status, { style: deps.style, title, visitor: null, narrow: true }, content);
}

/** The path of a route with its parts filled in. */
function filled(path: string, params: Readonly<Record<string, string>>): string {
  return path.replace(/:([a-z]+)/gi, (_, name: string) => encodeURIComponent(params[name] ?? ''));
}
