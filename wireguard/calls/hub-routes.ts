import * as z from 'zod';
import { appendAudit } from '../../platform/audit-chain.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import type { AppRequest, AppResponse, Route } from '../../platform/http-app.ts';
import { parseInput } from '../../platform/schema.ts';
import { allowed, type Caller } from '../access/caller.ts';
import type { LivePeer } from '../drivers/driver.ts';
import { isoTime } from '../hub/peer-json.ts';
import { changeInterface } from '../store/interface-change.ts';
import type { InterfaceFacts } from '../store/interface-facts.ts';
import { type Desk, hubOf, ownHubOf } from './desk.ts';

/** What runs, and what the hub tells its peers. No key but the public ones is in any answer. */
export function interfaceRoutes(desk: Desk): readonly Route[] {
  const { access } = desk;
  const query = ['interface'];
  return [
    {
      method: 'GET',
      path: '/api/hub/status',
      bodyLimit: 0,
      query,
      handler: allowed(access, 'hub:read', (request) => status(desk, request)),
    },
    {
      method: 'GET',
      path: '/api/hub/config',
      bodyLimit: 0,
      query,
      handler: allowed(access, 'hub:read', async (request) => {
        return { status: 200, body: configJson(hubOf(desk, request.query.interface).hub.facts) };
      }),
    },
    {
      method: 'PUT',
      path: '/api/hub/config',
      bodyLimit: 8192,
      query,
      handler: allowed(access, 'hub:write', (request, caller) => change(desk, request, caller)),
    },
  ];
}

/** What the last look showed: the interface itself is not asked, however often somebody calls. */
async function status(desk: Desk, { query }: AppRequest): Promise<AppResponse> {
  const { hub, last } = ownHubOf(desk, query.interface);
  const { facts } = hub;
  if (last.live === null) {
    throw new LatchkeyError('interface_down', `${facts.name} could not be asked`, {
      status: 503,
      hint: 'it is tried again each minute; on the hub, wghub doctor says what is wrong',
    });
  }
  const { listenPort, peers } = last.live;
  return {
    status: 200,
    body: {
      interface: facts.name,
      publicKey: facts.publicKey,
      listenPort,
      addresses: facts.addresses,
      lookedAt: isoTime(last.at),
      peerCount: peers.size,
      peers: [...peers.values()].map(liveJson),
    },
  };
}

function liveJson({ publicKey, endpoint, allowedIPs, lastHandshake, rx, tx }: LivePeer): object {
  return { publicKey, endpoint, allowedIPs, lastHandshake: isoTime(lastHandshake), rx, tx };
}

/** An interface as its peers and programs may know it. */
export function configJson(facts: InterfaceFacts): object {
  const { name, networks, addresses, listenPort, endpoint, dns, keepalive, mtu, level, publicKey } = facts;
  return { interface: name, networks, addresses, listenPort, endpoint, dns, keepalive, mtu, level, publicKey };
}

const changeSchema = z.strictObject({
  endpoint: z.string().max(300).optional(),
  dns: z.array(z.string().max(64)).max(16).optional(),
  keepalive: z.number().optional(),
  mtu: z.number().nullable().optional(),
  networks: z.array(z.string().max(64)).min(1).max(2).optional(),
});

/** Devices that have their configuration by now keep what is in it: a change is for those that come after, and for the interface. */
async function change(desk: Desk, { body, query }: AppRequest, { actor }: Caller): Promise<AppResponse> {
  const wanted = parseInput(changeSchema, body);
  const { hub } = hubOf(desk, query.interface);
  const { name } = hub.facts;
  const { facts, changes } = await desk.store.transaction(async (tx) => {
    const done = await changeInterface(tx, name, wanted, desk.random);
    if (Object.keys(done.changes).length === 0) return done;
    await appendAudit(tx, {
      time: desk.clock.now(),
      event: 'hub_config_changed',
      ...(actor.source === null ? {} : { source: actor.source }),
      detail: { by: actor.name, interface: name, changes: done.changes },
    });
    return done;
  });
  const live = Object.keys(changes).length === 0 || (await hub.refresh());
  return { status: 200, body: { ...configJson(facts), live } };
}
