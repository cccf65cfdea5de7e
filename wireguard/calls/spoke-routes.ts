import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import type { AppRequest, AppResponse, Route } from '../../platform/http-app.ts';
import { allowed, type Caller } from '../access/caller.ts';
import type { LivePeer } from '../drivers/driver.ts';
import { isoTime } from '../hub/peer-json.ts';
import { markText } from '../hub/peer-pages.ts';
import type { ServedInterface } from '../hub/served-interfaces.ts';
import { type Spoke, spokeJson } from '../spokes/spoke-json.ts';
import { asSpokes, countSpokes, readSpokePage } from '../spokes/spoke-list.ts';
import { LIVING_STATUSES } from '../store/peer-counts.ts';
import { PLATFORMS } from '../store/schema.ts';
import type { Desk } from './desk.ts';
import { oneOf, peerPageWish } from './peer-query.ts';

/** Spokes that have joined: who they are, how they are, and their end. */
export function spokeRoutes(desk: Desk): readonly Route[] {
  const { access } = desk;
  return [
    {
      method: 'GET',
      path: '/api/spoke/list',
      bodyLimit: 0,
      query: ['status', 'os', 'interface', 'limit', 'after'],
      handler: allowed(access, 'peers:read', (request) => list(desk, request)),
    },
    {
      method: 'GET',
      path: '/api/spoke/:id/status',
      bodyLimit: 0,
      handler: allowed(access, 'peers:read', (request) => status(desk, request)),
    },
    {
      method: 'DELETE',
      path: '/api/spoke/:id',
      bodyLimit: 0,
      handler: allowed(access, 'peers:write', (request, caller) => remove(desk, request, caller)),
    },
  ];
}

/** A page, and how many there are of each status: of that interface and that family of systems, whichever status is asked for. */
async function list(desk: Desk, { query }: AppRequest): Promise<AppResponse> {
  const { status: wanted, os } = query;
  const { interfaces, after, limit } = peerPageWish(desk, query);
  const filter = {
    ...(wanted === undefined ? {} : { status: oneOf(LIVING_STATUSES, wanted, 'status') }),
    ...(os === undefined ? {} : { osFamily: oneOf(PLATFORMS, os, 'os') }),
  };
  const { page, counts } = await desk.store.read(async (db) => ({
    page: await readSpokePage(db, interfaces, filter, after, limit),
    counts: await countSpokes(db, interfaces, filter),
  }));
  const { spokes, next } = page;
  return {
    status: 200,
    body: { success: true, spokes: spokes.map(spokeJson), counts, next: next === null ? null : markText(next) },
  };
}

/** The spoke, and what the last look at the interface showed of it: the interface itself is not asked. */
async function status(desk: Desk, { params }: AppRequest): Promise<AppResponse> {
  const { spoke, watch } = await spokeOf(desk, params.id ?? '');
  // what it shows is for the hub to say that keeps it
  const { live, at } = watch.isElsewhere ? { live: null, at: null } : watch.last;
  const wireguard = live?.peers.get(spoke.peer.publicKey);
  return {
    status: 200,
    body: {
      success: true,
      spoke: spokeJson(spoke),
      interfaceUp: watch.isElsewhere ? null : live !== null,
      lookedAt: isoTime(at),
      wireguard: wireguard === undefined ? null : liveJson(wireguard),
    },
  };
}

function liveJson({ endpoint, allowedIPs, lastHandshake, rx, tx }: LivePeer): object {
  return { endpoint, allowedIPs, lastHandshake: isoTime(lastHandshake), rx, tx };
}

async function remove(desk: Desk, { params }: AppRequest, { actor }: Caller): Promise<AppResponse> {
  const { spoke, watch } = await spokeOf(desk, params.id ?? '');
  const { live, ...peer } = await watch.hub.peers.remove(spoke.peer.id, actor).catch((error: unknown) => {
    throw isLatchkeyError(error, 'peer_not_found') ? notFound() : error; // somebody else was first
  });
  return { status: 200, body: { success: true, spoke: spokeJson({ ...spoke, peer }), live } };
}

/** The living spoke with that id, on whichever interface. A peer of another kind is none. */
async function spokeOf(desk: Desk, id: string): Promise<{ readonly spoke: Spoke; readonly watch: ServedInterface }> {
  for (const watch of desk.hubs.values()) {
    const peer = await watch.hub.peers.get(id);
    if (peer?.kind !== 'spoke') continue;
    const [spoke] = await desk.store.read((db) => asSpokes(db, [peer]));
    if (spoke !== undefined) return { spoke, watch };
  }
  throw notFound();
}

function notFound(): LatchkeyError {
  return new LatchkeyError('spoke_not_found', 'there is no such spoke', { status: 404 });
}
