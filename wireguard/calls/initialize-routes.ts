import * as z from 'zod';
import { appendAudit } from '../../platform/audit-chain.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import type { AppRequest, AppResponse, Route } from '../../platform/http-app.ts';
import { parseInput } from '../../platform/schema.ts';
import { allowed, type Caller } from '../access/caller.ts';
import { parseNetwork } from '../address/prefix.ts';
import { insertInterface } from '../store/hub-interface.ts';
import { newInterface } from '../store/new-interface.ts';
import type { Desk } from './desk.ts';
import { configJson } from './hub-routes.ts';

const FIRST = 'wg0';
const USUAL_PORT = 51_820;
const USUAL_KEEPALIVE = 25;

/** Makes the first interface of a hub that has none (`wghub init --bare`). */
export function initializeRoutes(desk: Desk): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/api/hub/initialize',
      bodyLimit: 4096,
      handler: allowed(desk.access, 'hub:write', (request, caller) => initialize(desk, request, caller)),
    },
  ];
}

const texts = z.array(z.string().max(64)).max(16);
const schema = z.strictObject({
  networkCIDR: z.string().max(64),
  networkCIDR6: z.string().max(64).optional(),
  listenPort: z.int().min(1).max(65_535).default(USUAL_PORT),
  endpoint: z.string().max(300),
  /** A list, or addresses with commas between them. */
  dns: z.union([texts, z.string().max(600).transform(listOf).pipe(texts)]).default([]),
});

function listOf(text: string): string[] {
  return text.split(',').flatMap((one) => (one.trim() === '' ? [] : [one.trim()]));
}

async function initialize(desk: Desk, { body }: AppRequest, { actor }: Caller): Promise<AppResponse> {
  const { networkCIDR, networkCIDR6, listenPort, endpoint, dns } = parseInput(schema, body);
  assertFamily(networkCIDR, 'networkCIDR', 4);
  if (networkCIDR6 !== undefined) assertFamily(networkCIDR6, 'networkCIDR6', 6);
  const made = newInterface(
    {
      name: FIRST,
      networks: [networkCIDR, ...(networkCIDR6 === undefined ? [] : [networkCIDR6])],
      addresses: [],
      listenPort,
      endpoint: withPort(endpoint, listenPort),
      dns,
      mtu: null,
      keepalive: USUAL_KEEPALIVE,
      fwMark: 0,
      level: 'off',
    },
    [],
    desk.random,
  );
  const now = desk.clock.now();
  await desk.store.transaction(async (tx) => {
    if ((await tx.selectFrom('interface').select('name').limit(1).executeTakeFirst()) !== undefined) {
      throw new LatchkeyError('hub_already_initialized', 'the hub has an interface already', {
        status: 409,
        hint: 'PUT /api/hub/config changes it; on the hub, wghub interface add makes another one',
      });
    }
    await insertInterface(tx, made, desk.vault, now);
    await appendAudit(tx, {
      time: now,
      event: 'interface_made',
      ...(actor.source === null ? {} : { source: actor.source }),
      detail: { by: actor.name, interface: made.name, networks: made.networks, endpoint: made.endpoint },
    });
  });
  const live = await desk.takeUp(made.name);
  return { status: 201, body: { success: true, hubConfig: { ...configJson(made), live } } };
}

function assertFamily(text: string, field: string, family: 4 | 6): void {
  if (parseNetwork(text, field).family === family) return;
  throw new LatchkeyError('invalid_network', `"${field}" must be a network of IPv${family}`, { status: 400, field });
}

/** Where peers reach the hub, with the port it listens on unless another one is named. */
function withPort(endpoint: string, port: number): string {
  return /^[^:]*$|^\[[^\]]*\]$/.test(endpoint) ? `${endpoint}:${port}` : endpoint;
}
