import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DenialLog } from '../../platform/denials.ts';
import type { Store } from '../../platform/store.ts';
import { GatewayDoor, type SignedRequest } from '../../wireguard/gateways/gateway-door.ts';
import { addGateway } from '../../wireguard/gateways/gateway-store.ts';
import { signatureOf } from '../../wireguard/gateways/signature.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import type { ServedInterface } from '../../wireguard/hub/served-interfaces.ts';
import { insertInterface } from '../../wireguard/store/hub-interface.ts';
import type { HubDatabase } from '../../wireguard/store/schema.ts';
import { sqlitePlace, testInterface, testSeal } from './hub-store.ts';
import { newNonce } from './signed-request.ts';

const NOW = 1_790_000_000_000;
const SECOND = NOW / 1000;
const seal = testSeal();
const secret = randomBytes(32);
let store: Store<HubDatabase>;
let close: () => Promise<void>;

beforeEach(async () => {
  ({ store, close } = await sqlitePlace().open());
  const order = { name: 'berlin', interface: 'wg0', payloads: 'plain' } as const;
  await store.transaction(async (tx) => {
    await insertInterface(tx, testInterface(), seal, NOW);
    await addGateway(tx, order, secret, { seal, now: NOW, by: COMMAND });
  });
});
afterEach(() => close());

/** The door of one hub, and which interfaces that keeps. */
function doorOf(hubs: Map<string, ServedInterface>): GatewayDoor {
  const clock = { now: () => NOW };
  const limited = (source: string) => source;
  return new GatewayDoor({ store, vault: seal, clock, random: randomBytes, denials: new DenialLog(), limited, hubs });
}

const kept = (): ServedInterface => ({ isElsewhere: false }) as ServedInterface;
const elsewhere = (): ServedInterface => ({ isElsewhere: true }) as ServedInterface;

function request(second: number, key: Uint8Array = secret): SignedRequest {
  const parts = { method: 'GET', path: '/api/v1/ip-usage', timestamp: String(second), nonce: newNonce() };
  const signature = signatureOf(key, { ...parts, body: Buffer.alloc(0) });
  const headers = {
    'x-gateway': 'berlin',
    'x-timestamp': parts.timestamp,
    'x-nonce': parts.nonce,
    'x-signature': signature,
  };
  return { method: parts.method, target: parts.path, headers, bytes: Buffer.alloc(0), source: '192.0.2.7' };
}

const newest = async () =>
  (await store.read((db) => db.selectFrom('gateway').select('newest').executeTakeFirstOrThrow())).newest;

test('a gateway whose interface another hub keeps is sent there, and nothing of its request is used up', async () => {
  const [here, there] = [doorOf(new Map([['wg0', elsewhere()]])), doorOf(new Map([['wg0', kept()]]))];
  const asked = request(SECOND);
  await expect(here.verify(asked)).rejects.toMatchObject({ code: 'interface_elsewhere', status: 421 });
  expect(await newest()).toBe(0);
  await expect(there.verify(asked)).resolves.toMatchObject({ gateway: { name: 'berlin' } });
  await expect(there.verify(asked)).rejects.toMatchObject({ code: 'unauthorized' });
});

test('who cannot sign learns nothing of where interfaces are kept', async () => {
  const here = doorOf(new Map([['wg0', elsewhere()]]));
  await expect(here.verify(request(SECOND, randomBytes(32)))).rejects.toMatchObject({ code: 'unauthorized' });
});

test('what another hub took while it kept the interface is refused by the one that keeps it again', async () => {
  const hubs = new Map([['wg0', kept()]]);
  const here = doorOf(hubs);
  await here.verify(request(SECOND - 20));
  hubs.set('wg0', elsewhere());
  const taken = request(SECOND - 10);
  await doorOf(new Map([['wg0', kept()]])).verify(taken);
  hubs.set('wg0', kept());
  await expect(here.verify(taken)).rejects.toMatchObject({ code: 'unauthorized' });
  await expect(here.verify(request(SECOND - 5))).resolves.toMatchObject({ gateway: { name: 'berlin' } });
});
