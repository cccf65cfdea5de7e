import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import type { AppRequest, AppResponse, Route } from '../../platform/http-app.ts';
import { qrDataUrl } from '../../platform/qr-code.ts';
import { parseInput } from '../../platform/schema.ts';
import { allowed, type Caller, type Scope } from '../access/caller.ts';
import { parseExpiry } from '../hub/expiry.ts';
import { assertHandout, handout, handoutWish } from '../hub/peer-handout.ts';
import { peerJson } from '../hub/peer-json.ts';
import type { PeerOrder } from '../hub/peer-order.ts';
import { markText, readPeerPage } from '../hub/peer-pages.ts';
import type { ToldPeer } from '../hub/peer-register.ts';
import type { ServedHub } from '../hub/served-interfaces.ts';
import { LIVING_STATUSES } from '../store/peer-counts.ts';
import type { Peer } from '../store/peers.ts';
import { PEER_KINDS } from '../store/schema.ts';
import { type Desk, hubOf } from './desk.ts';
import { oneOf, peerPageWish } from './peer-query.ts';

type Handler = (desk: Desk, request: AppRequest, caller: Caller) => Promise<AppResponse>;

/** Metadata is the most of it. */
const BODY_LIMIT = 16_384;

/** Peers, for people and their programs. */
export function peerRoutes(desk: Desk): readonly Route[] {
  const guarded = (scope: Scope, handler: Handler) =>
    allowed(desk.access, scope, (request, caller) => handler(desk, request, caller));
  const query = ['status', 'kind', 'interface', 'limit', 'after'];
  const one = '/api/peers/:id';
  const write = (handler: Handler) => guarded('peers:write', handler);
  return [
    { method: 'GET', path: '/api/peers', bodyLimit: 0, query, handler: guarded('peers:read', list) },
    { method: 'POST', path: '/api/peers', bodyLimit: BODY_LIMIT, handler: write(create) },
    { method: 'GET', path: one, bodyLimit: 0, handler: guarded('peers:read', show) },
    { method: 'DELETE', path: one, bodyLimit: 0, handler: write(remove) },
    { method: 'POST', path: `${one}/enable`, bodyLimit: 0, handler: write(switchTo(true)) },
    { method: 'POST', path: `${one}/disable`, bodyLimit: 0, handler: write(switchTo(false)) },
  ];
}

async function list(desk: Desk, { query }: AppRequest): Promise<AppResponse> {
  const { status, kind } = query;
  const { interfaces, after, limit } = peerPageWish(desk, query);
  const filter = {
    ...(status === undefined ? {} : { status: oneOf(LIVING_STATUSES, status, 'status') }),
    ...(kind === undefined ? {} : { kind: oneOf(PEER_KINDS, kind, 'kind') }),
  };
  const { peers, next } = await desk.store.read((db) => readPeerPage(db, interfaces, filter, after, limit));
  return { status: 200, body: { peers: peers.map(peerJson), next: next === null ? null : markText(next) } };
}

/** The fields of `wghub peer add`, and two for programs; what the texts may be is checked where every door's are. */
const orderSchema = z.strictObject({
  name: z.string(),
  interface: z.string().max(15).optional(),
  owner: z.string().nullable().optional(),
  kind: z.enum(PEER_KINDS).default('device'),
  platform: z.string().nullable().optional(),
  publicKey: z.string().optional(),
  address: z.string().optional(),
  networks: z.array(z.string()).optional(),
  presharedKey: z.boolean().default(false),
  keepalive: z.number().optional(),
  expires: z.string().nullable().optional(),
  client: z.string().optional(),
  route: z.enum(['network', 'all']).optional(),
  qr: z.boolean().default(false),
  metadata: z.record(z.string(), z.unknown()).optional(),
});

/** The answer has the configuration, once, and with it what the hub does not keep. */
async function create(desk: Desk, { body }: AppRequest, { actor }: Caller): Promise<AppResponse> {
  const wanted = parseInput(orderSchema, body);
  if (wanted.qr && wanted.publicKey !== undefined) {
    const words = '"qr" needs a private key, and with "publicKey" only the peer has it';
    throw new LatchkeyError('invalid_request', words, { status: 400, field: 'qr' });
  }
  const { hub } = hubOf(desk, wanted.interface);
  const { facts } = hub; // what is told is of the moment in which it was checked
  const wish = handoutWish(wanted, wanted.qr, facts, 'client');
  assertHandout(facts, wish);
  const made = await hub.peers.create(orderOf(wanted, desk.clock.now()), actor);
  desk.metrics.created(made.peer.kind);
  const config = handout(facts, made, wish);
  return {
    status: 201,
    headers: { Location: `/api/peers/${made.peer.id}` },
    body: {
      peer: peerJson(made.peer),
      live: made.live,
      config,
      ...(wanted.qr ? { qrCode: await qrDataUrl(config) } : {}),
    },
  };
}

function orderOf(wanted: z.infer<typeof orderSchema>, now: number): PeerOrder {
  const { name, owner, kind, platform, publicKey, address, networks, presharedKey, keepalive, expires } = wanted;
  return {
    name,
    kind,
    owner: owner ?? null,
    platform: platform ?? null,
    ...(publicKey === undefined ? {} : { publicKey }),
    presharedKey,
    ...(keepalive === undefined ? {} : { keepalive }),
    wishedAddress: address ?? null,
    extraNetworks: networks ?? [],
    expiresAt: typeof expires === 'string' ? parseExpiry(expires, now, 'expires') : null,
    metadata: wanted.metadata ?? {},
  };
}

async function show(desk: Desk, { params }: AppRequest): Promise<AppResponse> {
  const { peer } = await peerOf(desk, params.id ?? '');
  return { status: 200, body: { peer: peerJson(peer) } };
}

async function remove(desk: Desk, { params }: AppRequest, { actor }: Caller): Promise<AppResponse> {
  const { hub, peer } = await peerOf(desk, params.id ?? '');
  return told(await hub.peers.remove(peer.id, actor));
}

function switchTo(isOn: boolean): Handler {
  return async (desk, { params }, { actor }) => {
    const { hub, peer } = await peerOf(desk, params.id ?? '');
    return told(await hub.peers.switch(peer.id, isOn, actor));
  };
}

function told({ live, ...peer }: ToldPeer): AppResponse {
  return { status: 200, body: { peer: peerJson(peer), live } };
}

/** The living peer with that id, on whichever interface. */
async function peerOf(desk: Desk, id: string): Promise<{ readonly hub: ServedHub; readonly peer: Peer }> {
  for (const { hub } of desk.hubs.values()) {
    const peer = await hub.peers.get(id);
    if (peer !== null) return { hub, peer };
  }
  throw new LatchkeyError('peer_not_found', 'there is no such peer', { status: 404 });
}
