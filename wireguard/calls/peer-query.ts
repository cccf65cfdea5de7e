import { parseInteger } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import type { AppRequest } from '../../platform/http-app.ts';
import { type InterfaceMark, MOST_PER_PAGE, parseMark } from '../hub/peer-pages.ts';
import { type Desk, hubOf } from './desk.ts';

const USUAL_PER_PAGE = 100;

/** Which page of which interfaces a query asks for. */
export interface PeerPageWish {
  readonly interfaces: readonly string[];
  readonly after: InterfaceMark | null;
  readonly limit: number;
}

/** `interface`, `after` and `limit` of a query. Throws `invalid_request` (400) and `interface_unknown` (404), naming the parameter. */
export function peerPageWish(desk: Pick<Desk, 'hubs'>, query: AppRequest['query']): PeerPageWish {
  const { interface: name, after, limit } = query;
  return {
    interfaces: name === undefined ? [...desk.hubs.keys()] : [hubOf(desk, name).hub.facts.name],
    after: after === undefined ? null : parseMark(after, 'after'),
    limit: limit === undefined ? USUAL_PER_PAGE : parseInteger(limit, 'limit', { min: 1, max: MOST_PER_PAGE }),
  };
}

/** The one of these values that a text is. Throws `invalid_request` (400), naming the field. */
export function oneOf<T extends string>(values: readonly T[], text: string, field: string): T {
  const found = values.find((value) => value === text);
  if (found !== undefined) return found;
  throw new LatchkeyError('invalid_request', `"${field}" must be one of ${values.join(', ')}`, { status: 400, field });
}
