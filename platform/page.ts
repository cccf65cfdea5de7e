import type { Html } from './html.ts';
import { type AppResponse, protectionBy } from './http-app.ts';

/**
 * What browsers are told about a page: it brings its own style sheet and images, sends forms to its own server and does
 * nothing else; no program runs in it, and it stands in no frame. `same-origin`, where an API says `no-referrer`: with the
 * latter, browsers send `Origin: null` with forms (Fetch Standard, section 3.2).
 */
export const pageProtection = protectionBy({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      styleSrc: ["'self'"],
      imgSrc: ["'self'", 'data:'],
      formAction: ["'self'"],
      frameAncestors: ["'none'"],
      baseUri: ["'none'"],
    },
  },
  referrerPolicy: { policy: 'same-origin' },
  xFrameOptions: { action: 'deny' },
});

/** A whole page as an answer. */
export function pageResponse(status: number, page: Html, headers: Readonly<Record<string, string>> = {}): AppResponse {
  return {
    status,
    body: `<!doctype html>\n${page.text}\n`,
    headers: { 'Content-Type': 'text/html; charset=utf-8', ...headers },
    protection: pageProtection,
  };
}

/** Sends the browser on with a GET (RFC 9110, section 15.4.4), after a form was taken. */
export function seeOther(path: string, headers: Readonly<Record<string, string>> = {}): AppResponse {
  return { status: 303, headers: { Location: path, ...headers }, protection: pageProtection };
}

/** Text that its own address names by a digest: it may be kept for ever. */
export function unchangingFile(type: string, body: string): AppResponse {
  const headers = { 'Content-Type': type, 'Cache-Control': 'private, max-age=31536000, immutable' };
  return { status: 200, body, headers, protection: pageProtection };
}
