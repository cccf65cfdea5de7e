import type { Kysely } from 'kysely';
import * as z from 'zod';
import { decodeBase64Url, encodeBase64Url } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { listPeers, type PageMark, type Peer, type PeerFilter } from '../store/peers.ts';
import type { HubDatabase } from '../store/schema.ts';

/** More are a page of their own. */
export const MOST_PER_PAGE = 500;

/** Where a page of several interfaces begins: after this peer of this interface. */
export interface InterfaceMark extends PageMark {
  readonly interface: string;
}

export interface PeerPage {
  readonly peers: readonly Peer[];
  /** Where the next page begins; `null` after the last one. */
  readonly next: InterfaceMark | null;
}

/**
 * Living peers of these interfaces, one interface after the other, each in the order of creation. Whoever is there from the
 * first page to the last is listed once, whatever is added and removed meanwhile.
 */
export async function readPeerPage(
  db: Kysely<HubDatabase>,
  interfaces: readonly string[],
  filter: PeerFilter,
  after: InterfaceMark | null,
  limit: number,
): Promise<PeerPage> {
  const peers: Peer[] = [];
  for (const name of [...interfaces].sort()) {
    if (after !== null && name < after.interface) continue;
    const mark = name === after?.interface ? after : null;
    // one more than the page has room for tells whether there is a next one
    peers.push(...(await listPeers(db, name, filter, mark, limit + 1 - peers.length)));
  }
  const page = peers.slice(0, limit);
  const last = page.at(-1);
  return { peers: page, next: peers.length > limit && last !== undefined ? last : null };
}

/** Every such peer, read page by page. */
export async function* allPeers(
  read: <T>(work: (db: Kysely<HubDatabase>) => Promise<T>) => Promise<T>,
  interfaces: readonly string[],
  filter: PeerFilter,
): AsyncGenerator<readonly Peer[]> {
  let mark: InterfaceMark | null = null;
  do {
    const from: InterfaceMark | null = mark;
    const { peers, next }: PeerPage = await read((db) => readPeerPage(db, interfaces, filter, from, MOST_PER_PAGE));
    yield peers;
    mark = next;
  } while (mark !== null);
}

const markSchema = z.tuple([z.string().max(15), z.int().min(0), z.string().max(64)]);

/** What stands in an answer as `next`, and comes back as `after`; what is in it is nobody's business. */
export function markText({ interface: name, createdAt, id }: InterfaceMark): string {
  return encodeBase64Url(Buffer.from(JSON.stringify([name, createdAt, id])));
}

/** The other way. Throws `invalid_request` (400) for what no page had. */
export function parseMark(text: string, field: string): InterfaceMark {
  const bytes = text.length > 256 ? null : decodeBase64Url(text);
  try {
    const [name, createdAt, id] = markSchema.parse(JSON.parse(bytes?.toString('utf8') ?? ''));
    return { interface: name, createdAt, id };
  } catch {
    const words = `"${field}" must be the "next" of a page before`;
    throw new LatchkeyError('invalid_request', words, { status: 400, exit: 2, field });
  }
}
