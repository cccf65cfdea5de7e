import type { Kysely } from 'kysely';
import { LatchkeyError } from '../../platform/errors.ts';
import { findById, findByKey, findByName, type Peer } from '../store/peers.ts';
import type { HubDatabase, PeerKind } from '../store/schema.ts';

/** Peers of one name that an error tells of. */
const MOST_NAMED = 10;

/**
 * The one living peer that somebody means by its id, its public key or its name, on these interfaces. Throws `peer_not_found` (404),
 * and `peer_ambiguous` (409, exit 2) with those it may be: a name that is another's id names both. With a kind only those count that are of it.
 */
export async function findPeer(
  db: Kysely<HubDatabase>,
  interfaces: readonly string[],
  text: string,
  kind?: PeerKind,
): Promise<Peer> {
  const found = new Map<string, Peer>();
  for (const name of interfaces) {
    const exact = [await findById(db, name, text), await findByKey(db, name, text)];
    for (const peer of [...exact, ...(await findByName(db, name, text, MOST_NAMED, kind))]) {
      if (peer !== null && (kind === undefined || peer.kind === kind)) found.set(peer.id, peer);
    }
  }
  const [only, ...more] = found.values();
  if (only === undefined) {
    const what = kind ?? 'peer';
    throw new LatchkeyError(`${what}_not_found`, `there is no such ${what}`, {
      status: 404,
      exit: 1,
      hint: `wghub ${what} list shows those that there are`,
    });
  }
  if (more.length === 0) return only;
  throw new LatchkeyError('peer_ambiguous', 'more than one peer is meant by that', {
    status: 409,
    exit: 2,
    hint: `name one by its id: ${[only, ...more].slice(0, MOST_NAMED).map(oneOf).join(', ')}`,
  });
}

function oneOf({ id, interface: name, addresses: [first = ''], status }: Peer): string {
  return `${id} (${name}, ${first.replace(/\/\d+$/, '')}, ${status})`;
}
