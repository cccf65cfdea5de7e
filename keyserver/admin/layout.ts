import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Html, html } from '../../platform/html.ts';
import type { AppResponse, Route } from '../../platform/http-app.ts';
import { pageResponse, unchangingFile } from '../../platform/page.ts';
import type { HealthStatus } from '../health.ts';

/** The style sheet, under an address that changes with it. */
export interface Style {
  readonly path: string;
  readonly route: Route;
}

export function loadStyle(): Style {
  const css = readFileSync(join(import.meta.dirname, 'style.css'), 'utf8');
  const path = `/admin/style-${createHash('sha256').update(css).digest('hex').slice(0, 16)}.css`;
  const answer = unchangingFile('text/css; charset=utf-8', css);
  return { path, route: { method: 'GET', path, bodyLimit: 0, handler: async () => answer } };
}

/** What stands around the content of a page. */
export interface Frame {
  readonly style: Style;
  readonly title: string;
  /** Who is logged in; `null` on the pages before. */
  readonly visitor: { readonly admin: string; readonly csrf: string } | null;
  readonly here?: 'approvals' | 'custody';
  /** Requests that wait for a yes. */
  readonly pending?: number;
  readonly health?: HealthStatus;
  readonly narrow?: boolean;
}

/** A key on a ring, drawn here so that nothing is fetched. */
const icon =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M5 2a4 4 0 1 0 3.5 6H11v2h2V8h2V6H8.9A4 4 0 0 0 5 2zm0 2.500a1.500 1.500 0 1 1 0 3 1.500 1.500 0 0 1 0-3z' fill='%230b5cad'/%3E%3C/svg%3E";

/** A whole page of the key server. */
export function framed(
  status: number,
  frame: Frame,
  content: Html,
  headers?: Readonly<Record<string, string>>,
): AppResponse {
  const { visitor } = frame;
  const page = html`<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${frame.title} · Latchkey</title>
<link rel="icon" href="${icon}">
<link rel="stylesheet" href="${frame.style.path}">
</head>
<body>
<a class="skip" href="#content">To the content</a>
<header class="top"><div class="bar"><span class="name">Latchkey</span>${visitor !== null && navigation(frame, visitor)}</div></header>
<main id="content" class="${frame.narrow === true ? 'narrow' : 'wide'}">
${banner(frame.health)}
<h1>${frame.title}</h1>
${content}
</main>
</body>
</html>`;
  return pageResponse(status, page, headers);
}

function navigation({ here, pending = 0 }: Frame, visitor: NonNullable<Frame['visitor']>): Html {
  const current = (name: Frame['here']): string => (name === here ? 'page' : 'false');
  return html`<nav aria-label="Pages">
<a href="/admin/approvals" aria-current="${current('approvals')}">Approvals${pending > 0 && html` <span class="badge">${pending}</span>`}</a>
<a href="/admin/custody" aria-current="${current('custody')}">Custody</a>
</nav>
<form method="post" action="/admin/logout"><input type="hidden" name="csrf" value="${visitor.csrf}"><button class="plain">Log out ${visitor.admin}</button></form>`;
}

const banners: Readonly<Record<Exclude<HealthStatus, 'ok'>, readonly [title: string, words: string]>> = {
  killed: ['The kill switch is thrown', 'Nothing is released to anybody until it is taken back.'],
  sealed: ['The vault is sealed', 'Nothing is released until the server is started with its secret.'],
  degraded: [
    'Records cannot be written',
    'Nothing is released while the disk is full, read-only or broken. On the machine: keyserver doctor.',
  ],
};

function banner(health: HealthStatus | undefined): Html | null {
  if (health === undefined || health === 'ok') return null;
  const [title, words] = banners[health];
  return html`<div class="notice bad" role="alert"><strong>${title}</strong><p>${words}</p></div>`;
}

/**
 * The two fields by which an administrator proves to be there. `admin` is who it has to be, for password managers; it has
 * no name and is not sent.
 */
export function proofFields(id: string, admin: string | null = null): Html {
  return html`${admin !== null && html`<input type="text" value="${admin}" autocomplete="username" readonly hidden>`}<div><label for="${id}-password">Password</label><input type="password" id="${id}-password" name="password" autocomplete="current-password" required maxlength="256"></div>
<div><label for="${id}-code">Code</label><input class="code" type="text" id="${id}-code" name="code" inputmode="numeric" autocomplete="one-time-code" pattern="[0-9 ]{6,7}" required maxlength="7" title="6 digits">
<p class="hint">Six digits from your authenticator. Each code is good once: after one was used, wait for the next.</p></div>`;
}

/** What went wrong, above a form. */
export function problemNotice(words: string | null): Html | null {
  return words === null ? null : html`<div class="notice bad" role="alert"><p>${words}</p></div>`;
}
