import { parseInteger } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import type { PageMark } from '../store/peers.ts';

/** How a list is asked for: `limit` and `after` of a query. */
export interface PageWish {
  readonly limit: number;
  readonly after: PageMark | null;
}

/** More are a page of their own. */
export const MOST_PER_PAGE = 1000;

/** What the query asks for. Throws `invalid_request`, naming the parameter. */
export function readPageWish(query: Readonly<Record<string, string | undefined>>, usual: number): PageWish {
  const { limit, after } = query;
  return {
    limit: limit === undefined ? usual : parseInteger(limit, 'limit', { min: 1, max: MOST_PER_PAGE }),
    after: after === undefined ? null : readMark(after),
  };
}

/** What `after` is to be for the page behind this peer. */
export function markText({ createdAt, id }: PageMark): string {
  return `${createdAt}-${id}`;
}

function readMark(text: string): PageMark {
  const [, createdAt, id] = /^(\d{1,15})-([\w-]{1,64})$/.exec(text) ?? [];
  if (createdAt !== undefined && id !== undefined) return { createdAt: Number(createdAt), id };
  throw new LatchkeyError('invalid_request', '"after" must be the "next" of a page before', {
    status: 400,
    field: 'after',
  });
}

/** A page, and the mark for the next one: `peers` were asked for with one more than the limit. */
export function pageOf<T extends PageMark>(
  peers: readonly T[],
  limit: number,
): { readonly page: readonly T[]; readonly next: string | null } {
  const page = peers.slice(0, limit);
  const last = page.at(-1);
  return { page, next: peers.length > limit && last !== undefined ? markText(last) : null };
}
