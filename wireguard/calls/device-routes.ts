import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import type { AppRequest, AppResponse, Route } from '../../platform/http-app.ts';
import { parseInput } from '../../platform/schema.ts';
import { allowed, type Caller } from '../access/caller.ts';
import { handout } from '../hub/peer-handout.ts';
import { ORDER_FIELDS } from '../hub/peer-order.ts';
import type { ServedHub } from '../hub/served-interfaces.ts';
import { parsePublicKey } from '../keys.ts';
import { programFor } from '../peers/client-config.ts';
import { type DeviceOrder, readDeviceOrder } from '../peers/device-order.ts';
import { MOST_PER_PAGE, pageOf, readPageWish } from '../peers/page-mark.ts';
import { countFreeAddresses } from '../store/peer-counts.ts';
import type { Peer } from '../store/peers.ts';
import { type Desk, hubOf, ownHubOf } from './desk.ts';
import { type Download, fileAnswer, listedDevice, type MadeDevice, madeAnswer, serverInfo } from './device-answers.ts';

/** What the fields of an order are called here. */
const FIELDS = { ...ORDER_FIELDS, name: 'device_name', owner: 'user_id' };

type Handler = (desk: Desk, request: AppRequest, caller: Caller) => Promise<AppResponse>;

/** Devices whose keys the hub makes, for a backend that stands between it and its users. */
export function deviceRoutes(desk: Desk): readonly Route[] {
  const guarded = (handler: Handler) =>
    allowed(desk.access, 'devices', (request, caller) => handler(desk, request, caller));
  return [
    { method: 'POST', path: '/api/create-peer', bodyLimit: 4096, query: ['download'], handler: guarded(create) },
    { method: 'POST', path: '/api/remove-peer', bodyLimit: 1024, handler: guarded(remove) },
    {
      method: 'GET',
      path: '/api/list-peers',
      bodyLimit: 0,
      query: ['interface', 'limit', 'after'],
      handler: guarded(list),
    },
    { method: 'GET', path: '/api/server-info', bodyLimit: 0, query: ['interface'], handler: guarded(info) },
  ];
}

async function create(desk: Desk, request: AppRequest, caller: Caller): Promise<AppResponse> {
  const download = readDownload(request.query.download);
  const order = readDeviceOrder(request.body);
  const made = await makeDevice(desk, order, caller);
  return download === null ? madeAnswer(made) : fileAnswer(made, download);
}

/** What could refuse the device is asked before it is made: afterwards nobody could be told its key. */
async function makeDevice(desk: Desk, order: DeviceOrder, { actor }: Caller): Promise<MadeDevice> {
  const { hub } = hubOf(desk, order.interface);
  const { facts } = hub;
  const program = programFor(order.client, facts.obfuscation, 'client');
  const made = await hub.peers.create(
    {
      name: order.device_name,
      owner: order.user_id,
      kind: 'device',
      presharedKey: true,
      metadata: { client: program.name },
    },
    actor,
    FIELDS,
  );
  desk.metrics.created('device');
  const { peer, live } = made;
  const config = handout(facts, made, { program, route: 'network', isForQr: false });
  return { peer, program, live, serverName: desk.config.name, config };
}

function readDownload(text: string | undefined): Download | null {
  if (text === undefined) return null;
  if (text === 'txt' || text === 'conf') return text;
  throw new LatchkeyError('invalid_request', '"download" must be txt or conf', { status: 400, field: 'download' });
}

const removal = z.strictObject({ public_key: z.string().max(64) });

async function remove(desk: Desk, { body }: AppRequest, { actor }: Caller): Promise<AppResponse> {
  const publicKey = parsePublicKey(parseInput(removal, body).public_key, 'public_key');
  const { hub, peer } = await deviceOf(desk, publicKey);
  await hub.peers.remove(peer.id, actor);
  return { status: 200, body: { success: true } };
}

/** The device with this key, on whichever interface. Peers of another kind are none of this backend's business: to it they are not there. */
async function deviceOf(desk: Desk, publicKey: string): Promise<{ readonly hub: ServedHub; readonly peer: Peer }> {
  for (const { hub } of desk.hubs.values()) {
    const peer = await hub.peers.find(publicKey);
    if (peer?.kind === 'device') return { hub, peer };
  }
  throw new LatchkeyError('peer_not_found', 'there is no such device', { status: 404, field: 'public_key' });
}

async function list(desk: Desk, { query }: AppRequest): Promise<AppResponse> {
  const { limit, after } = readPageWish(query, MOST_PER_PAGE);
  const { hub, last } = ownHubOf(desk, query.interface);
  const { at, live } = last;
  if (live === null) {
    throw new LatchkeyError('interface_down', `${hub.facts.name} could not be asked`, {
      status: 503,
      hint: 'it is tried again each minute; on the hub, wghub doctor says what is wrong',
    });
  }
  const { page, next } = pageOf(await hub.peers.list({ kind: 'device' }, after, limit + 1), limit);
  const peers = page.map((peer) => listedDevice(peer, live));
  return { status: 200, body: { success: true, peers, next, looked_at: new Date(at).toISOString() } };
}

async function info(desk: Desk, { query }: AppRequest): Promise<AppResponse> {
  const served = hubOf(desk, query.interface);
  const { hub } = served;
  const isUp = served.isElsewhere ? await served.isKept() : served.last.live !== null;
  const free = (await desk.store.read(countFreeAddresses)).get(hub.facts.name) ?? 0;
  const body = serverInfo(hub.facts, { name: desk.config.name, isUp, free });
  return { status: 200, body };
}
