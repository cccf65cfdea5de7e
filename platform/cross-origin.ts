import type { IncomingHttpHeaders } from 'node:http';

/** How long a browser may remember the answer to a preflight, seconds. */
const preflightAge = 600;

/**
 * What every answer says to browsers (Fetch standard, CORS protocol): pages of the one allowed origin may read it, and no cache may
 * give it to those of another. Cookies are nothing here, so credentials are never allowed, and `*` is never said.
 */
export function readableBy(allowed: string, { origin }: IncomingHttpHeaders): Readonly<Record<string, string>> {
  if (origin !== allowed) return { Vary: 'Origin' };
  return {
    Vary: 'Origin',
    'Access-Control-Allow-Origin': allowed,
    'Access-Control-Expose-Headers': 'Content-Disposition, Retry-After',
  };
}

/** True for the question that a browser asks on behalf of a page of the allowed origin, before it sends what the page wants. */
export function isPreflight(allowed: string | null, method: string | undefined, headers: IncomingHttpHeaders): boolean {
  const isAsked = method === 'OPTIONS' && headers['access-control-request-method'] !== undefined;
  return isAsked && allowed !== null && headers.origin === allowed;
}

/** The answer to it, besides `readableBy`. */
export function preflightHeaders(methods: readonly string[]): Readonly<Record<string, string>> {
  return {
    'Access-Control-Allow-Methods': methods.join(', '),
    'Access-Control-Allow-Headers': 'Authorization, Content-Type',
    'Access-Control-Max-Age': String(preflightAge),
  };
}
