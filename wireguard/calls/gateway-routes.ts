import * as z from 'zod';
import { isLatchkeyError } from '../../platform/errors.ts';
import type { AppResponse, Route } from '../../platform/http-app.ts';
import { parseInput } from '../../platform/schema.ts';
import { writeConfig } from '../config/write-config.ts';
import { forGateways, type GatewayCall } from '../gateways/gateway-call.ts';
import { GatewayDoor } from '../gateways/gateway-door.ts';
import { ipUsage } from '../gateways/ip-usage.ts';
import { MachineGauge } from '../gateways/machine.ts';
import { asPublicKey, invalidPublicKey, ownPeer, ownPeers, publicKeyFrom } from '../gateways/own-peers.ts';
import type { HubWatch } from '../hub/hub-watch.ts';
import { isoTime } from '../hub/peer-json.ts';
import { ORDER_FIELDS, type OrderFields } from '../hub/peer-order.ts';
import type { MadePeer } from '../hub/peer-register.ts';
import type { ClientProgram } from '../obfuscation/clients.ts';
import { clientConfig, programFor } from '../peers/client-config.ts';
import { pageOf, readPageWish } from '../peers/page-mark.ts';
import type { HubInterface } from '../store/hub-interface.ts';
import type { Peer } from '../store/peers.ts';
import { type Desk, ownHubOf } from './desk.ts';

/** Keys, an address and some networks; a sealed payload is a third longer. */
const ORDER_BYTES = 32 * 1024;
const SWITCH_BYTES = 4 * 1024;
const USUAL_PAGE = 100;

const orderSchema = z.strictObject({
  publicKey: z.string().max(64).optional(),
  name: z.string().max(256).optional(),
  address: z.string().max(64).optional(),
  /** Networks behind the peer, beside its own addresses. */
  allowedIPs: z.array(z.string().max(64)).max(64).optional(),
  presharedKey: z.boolean().optional(),
  keepalive: z.int().min(0).max(65_535).optional(),
  expiresAt: z.iso.datetime('must be a time such as 2027-01-31T12:00:00Z').optional(),
  /** The program that is to take the configuration; plain WireGuard unless told, where the interface is. */
  client: z.string().max(64).optional(),
});
const switchSchema = z.strictObject({ enabled: z.boolean() });

const FIELDS: OrderFields = { ...ORDER_FIELDS, extraNetworks: 'allowedIPs', expiresAt: 'expiresAt' };

/** Peers of gateways, which sign their requests. */
export function gatewayRoutes(desk: Desk): readonly Route[] {
  const { clock, config, log, random, store } = desk;
  const door = new GatewayDoor(desk);
  const gauge = new MachineGauge();
  const signed = (handler: (call: GatewayCall, watch: HubWatch) => Promise<AppResponse>): Route['handler'] =>
    forGateways({ door, random, log }, (call) => handler(call, ownHubOf(desk, call.gateway.interface)));
  const timestamp = (): string => new Date(clock.now()).toISOString();
  const create = signed((call, watch) => createPeer(desk, call, watch));
  const pageOfPeers = async ({ gateway, query }: GatewayCall, { hub }: HubWatch) => {
    const { limit, after } = readPageWish(query, USUAL_PAGE);
    return pageOf(await ownPeers(hub.peers, gateway, after, limit + 1), limit);
  };
  return [
    { method: 'POST', path: '/api/v1/configurations/', bodyLimit: ORDER_BYTES, handler: create },
    { method: 'POST', path: '/api/v1/configurations', bodyLimit: ORDER_BYTES, handler: create },
    {
      method: 'PUT',
      path: '/api/v1/configurations/:pubkey/status',
      bodyLimit: SWITCH_BYTES,
      handler: signed(async ({ gateway, actor, body, params }, { hub }) => {
        const { enabled } = parseInput(switchSchema, body);
        const { id } = await ownPeer(hub.peers, gateway, publicKeyFrom(params.pubkey ?? ''));
        return { status: 200, body: { success: true, peer: peerView(await hub.peers.switch(id, enabled, actor)) } };
      }),
    },
    {
      method: 'DELETE',
      path: '/api/v1/configurations/:pubkey',
      bodyLimit: 0,
      handler: signed(async ({ gateway, actor, params }, { hub }) => {
        const { id, publicKey } = await ownPeer(hub.peers, gateway, publicKeyFrom(params.pubkey ?? ''));
        await hub.peers.remove(id, actor);
        return { status: 200, body: { success: true, publicKey } };
      }),
    },
    {
      method: 'GET',
      path: '/api/v1/ip-usage',
      bodyLimit: 0,
      handler: signed(async (_, { hub }) => {
        const usage = await store.read((db) => ipUsage(db, hub.facts.name, hub.peers.pool));
        return { status: 200, body: { interface: hub.facts.name, ...usage } };
      }),
    },
    {
      method: 'GET',
      path: '/api/v1/server/status',
      bodyLimit: 0,
      query: ['limit', 'after'],
      handler: signed(async (call, watch) => {
        const { page, next } = await pageOfPeers(call, watch);
        const { facts, driver } = watch.hub;
        const { at, live } = watch.last;
        const about = { ...hubView(facts, null), driver: driver.name, up: live !== null, lookedAt: isoTime(at) };
        const body = { server: config.name, timestamp: timestamp(), interface: about, peers: page.map(peerView), next };
        return { status: 200, body };
      }),
    },
    {
      method: 'GET',
      path: '/api/v1/server/metrics',
      bodyLimit: 0,
      query: ['limit', 'after'],
      handler: signed(async (call, watch) => {
        const { page, next } = await pageOfPeers(call, watch);
        const peers = page.map(({ publicKey, status, lastHandshake, rx, tx }) => {
          return { publicKey, status, lastHandshake: isoTime(lastHandshake), rx, tx };
        });
        const body = {
          server: config.name,
          timestamp: timestamp(),
          ...gauge.report(),
          interface: trafficOf(watch),
          peers,
          next,
        };
        return { status: 200, body };
      }),
    },
  ];
}

async function createPeer(
  { metrics, random }: Desk,
  { gateway, actor, body }: GatewayCall,
  { hub }: HubWatch,
): Promise<AppResponse> {
  const order = parseInput(orderSchema, body);
  const { facts } = hub;
  const program = programFor(order.client, facts.obfuscation, 'client');
  const { name, address, allowedIPs, presharedKey, keepalive, expiresAt } = order;
  const publicKey = order.publicKey === undefined ? undefined : asPublicKey(order.publicKey);
  const wanted = {
    name: name ?? `${gateway.name}-${random(4).toString('hex')}`,
    owner: gateway.name,
    kind: 'gateway',
    wishedAddress: address ?? null,
    extraNetworks: allowedIPs ?? [],
    expiresAt: expiresAt === undefined ? null : Date.parse(expiresAt),
    ...(publicKey === undefined ? {} : { publicKey }),
    ...(presharedKey === undefined ? {} : { presharedKey }),
    ...(keepalive === undefined ? {} : { keepalive }),
  } as const;
  const made = await hub.peers.create(wanted, actor, FIELDS).catch((error: unknown) => {
    throw isLatchkeyError(error, 'invalid_key') ? invalidPublicKey(error) : error;
  });
  metrics.created('gateway');
  return { status: 201, body: madeView(facts, made, program) };
}

/** The answer to whoever made a peer; its secrets are in it, and in no other. */
function madeView(facts: HubInterface, { peer, privateKey, presharedKey, live }: MadePeer, program: ClientProgram) {
  const { addresses, keepalive } = peer;
  const config = clientConfig(facts, { privateKey, presharedKey, addresses, keepalive, route: 'network', program });
  return {
    success: true,
    ...peerView(peer),
    ...(privateKey === null ? {} : { privateKey }),
    ...(presharedKey === null ? {} : { presharedKey }),
    live,
    hub: hubView(facts, config.interface.mtu),
    client: program.name,
    config: writeConfig(config),
  };
}

/** What of an interface its peers are told. */
function hubView(
  { name, publicKey, endpoint, listenPort, networks, addresses, dns, mtu }: HubInterface,
  tunnel: number | null,
) {
  return { name, publicKey, endpoint, listenPort, networks, addresses, dns, mtu: tunnel ?? mtu };
}

function peerView({ name, publicKey, addresses, extraNetworks, kind, status, endpoint, keepalive, ...rest }: Peer) {
  const { createdAt, expiresAt, lastHandshake, rx, tx } = rest;
  return {
    publicKey,
    name,
    kind,
    addresses,
    allowedIPs: extraNetworks,
    enabled: status !== 'disabled' && status !== 'deleted',
    status,
    endpoint,
    keepalive,
    createdAt: isoTime(createdAt),
    expiresAt: isoTime(expiresAt),
    lastHandshake: isoTime(lastHandshake),
    rx,
    tx,
  };
}

/** Bytes of all peers, other doors' too, since the interface was made; `null` while it cannot be asked. */
function trafficOf({ hub, last: { live } }: HubWatch) {
  const { name } = hub.facts;
  if (live === null) return { name, up: false, peers: null, rx: null, tx: null };
  let [rx, tx] = [0, 0];
  for (const peer of live.peers.values()) {
    rx += peer.rx;
    tx += peer.tx;
  }
  return { name, up: true, peers: live.peers.size, rx, tx };
}
