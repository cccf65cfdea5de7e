import { html } from '../../platform/html.ts';
import type { AppResponse } from '../../platform/http-app.ts';
import { framed, problemNotice, proofFields, type Style } from './layout.ts';

/** Where a log-in may lead: pages of this server and nothing else. */
const nextPath =
  /^\/admin\/(custody(\/(24h|7d|30d))?|clients\/[a-z0-9._-]{1,63}|approvals(\/ap-[0-9a-f]{16})?|(kill|revive)(\/[a-z0-9._-]{1,63})?)$/;

/** `path` when a log-in may lead there, else the first page. */
export function safeNext(path: string): string {
  return nextPath.test(path) ? path : '/admin/custody';
}

export interface LoginForm {
  readonly next: string;
  readonly problem: string | null;
  readonly name: string;
}

/** The form by which an administrator logs in. */
export function loginPage({ style }: { readonly style: Style }, status: number, form: LoginForm): AppResponse {
  const content = html`${problemNotice(form.problem)}
<form class="card stack" method="post" action="/admin/login">
<input type="hidden" name="next" value="${safeNext(form.next)}">
<div><label for="login-name">Name</label><input type="text" id="login-name" name="name" value="${form.name}" autocomplete="username" autocapitalize="none" spellcheck="false" required maxlength="63"></div>
${proofFields('login')}
<button class="big">Log in</button>
</form>`;
  return framed(status, { style, title: 'Log in', visitor: null, narrow: true }, content);
}

/** What somebody at a door that did not open is told. */
export function doorWords(
  answer: { readonly verdict: 'refused' | 'sealed' } | { readonly verdict: 'wait'; readonly seconds: number },
): {
  readonly status: number;
  readonly words: string;
} {
  if (answer.verdict === 'wait') {
    const words = `Too many tries. Wait ${answer.seconds} s before the next; each further mistake makes it longer.`;
    return { status: 429, words };
  }
  if (answer.verdict === 'sealed') return { status: 503, words: 'The vault is sealed, so codes cannot be checked.' };
  return { status: 403, words: 'Name, password and code do not fit together, or the code was used before.' };
}
