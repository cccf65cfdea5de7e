import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemRandom } from '../../platform/clock.ts';
import type { AppRequest, AppResponse } from '../../platform/http-app.ts';
import type { Store } from '../../platform/store.ts';
import type { Desk } from '../../wireguard/calls/desk.ts';
import { deviceRoutes } from '../../wireguard/calls/device-routes.ts';
import { HubMetrics } from '../../wireguard/calls/metrics.ts';
import { MemoryDriver } from '../../wireguard/drivers/memory.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { Hub } from '../../wireguard/hub/hub.ts';
import type { HubWatch, LookResult } from '../../wireguard/hub/hub-watch.ts';
import { insertInterface } from '../../wireguard/store/hub-interface.ts';
import type { HubDatabase } from '../../wireguard/store/schema.ts';
import { sqlitePlace, testInterface, testSeal } from './hub-store.ts';

// The calls of a backend beside an interface that can be heard and taken away.
const NOW = 1_700_000_000_000;
const facts = testInterface();
let driver: MemoryDriver;
let hub: Hub;
/** Stands in for the watch, which looks when its time has come. */
let watch: { readonly hub: Hub; last: LookResult };
let desk: Desk;
let close: () => Promise<void>;

beforeEach(async () => {
  const seal = testSeal();
  let store: Store<HubDatabase>;
  ({ store, close } = await sqlitePlace().open());
  await store.transaction((tx) => insertInterface(tx, facts, seal, NOW));
  driver = new MemoryDriver();
  const parts = { store, seal, now: () => NOW, random: systemRandom, onTrouble: () => undefined };
  hub = new Hub(facts, driver, () => Promise.resolve(), { ...parts, policy: 'strict' });
  watch = { hub, last: { at: NOW, live: null } };
  await hub.reconciler.rebuild();
  await look();
  const access = { callerOf: () => Promise.resolve({ actor: COMMAND, scopes: new Set(['devices']) }) };
  const standIn = {
    access,
    config: { name: 'hub' },
    metrics: new HubMetrics(),
    store,
    hubs: new Map([['wg0', watch as unknown as HubWatch]]),
  };
  desk = standIn as unknown as Desk;
});
afterEach(() => close());

async function look(): Promise<void> {
  const live = await driver.read().catch(() => null);
  watch.last = { at: NOW, live };
}

/** Calls the handler of a route as the HTTP side would. */
function call(path: string, body?: unknown): Promise<AppResponse> {
  const route = deviceRoutes(desk).find((one) => one.path === path);
  if (route === undefined) throw new TypeError('no such route');
  return route.handler({ body, query: {} } as unknown as AppRequest);
}
const create = async (): Promise<Record<string, string>> =>
  (await call('/api/create-peer', { user_id: 'anna', device_name: 'phone' })).body as Record<string, string>;
const listed = async () => ((await call('/api/list-peers')).body as { peers: unknown[] }).peers;

test('a device is on the interface before its backend hears of it', async () => {
  const { public_key: publicKey = '', live } = await create();
  expect(live).toBe(true);
  expect((await driver.read()).peers.has(publicKey)).toBe(true);
});

test('the list has what the last look showed, and nothing that came since', async () => {
  const { public_key: publicKey = '' } = await create();
  const unseen = { endpoint: null, allowed_ips: [], last_handshake: null, transfer_rx: 0, transfer_tx: 0 };
  expect(await listed()).toMatchObject([unseen]);
  await look();
  const known = { allowed_ips: ['10.0.1.2/32', 'fd42:4242:1::2/128'] };
  expect(await listed()).toMatchObject([{ ...unseen, ...known }]);
  driver.heard(publicKey, { endpoint: '192.0.2.7:4242', lastHandshake: NOW - 1_500, rx: 1000, tx: 2 ** 40 });
  expect(await listed()).toMatchObject([{ ...unseen, ...known }]);
  await look();
  expect(await listed()).toEqual([
    {
      public_key: publicKey,
      user_id: 'anna',
      device_name: 'phone',
      status: 'pending',
      endpoint: '192.0.2.7:4242',
      ...known,
      last_handshake: '2023-11-14T22:13:18.500Z',
      transfer_rx: 1000,
      transfer_tx: 2 ** 40,
    },
  ]);
});

test('while the interface is down the list is refused and the server degraded; devices are made all the same', async () => {
  driver.destroy();
  await look();
  await expect(call('/api/list-peers')).rejects.toMatchObject({ code: 'interface_down', status: 503 });
  expect((await call('/api/server-info')).body).toMatchObject({ status: 'degraded', free_addresses: 253 });
  const { public_key: publicKey = '', live } = await create();
  expect(live).toBe(false);
  expect((await call('/api/server-info')).body).toMatchObject({ free_addresses: 252 });
  driver.create();
  await hub.reconciler.compare();
  expect((await driver.read()).peers.has(publicKey)).toBe(true);
});

test('a device that is removed leaves the interface before its backend hears of it', async () => {
  const { public_key: publicKey = '' } = await create();
  await call('/api/remove-peer', { public_key: publicKey });
  expect((await driver.read()).peers.size).toBe(0);
  expect(await listed()).toEqual([]);
});

test('devices that were made are counted', async () => {
  await create();
  expect(await desk.metrics.text()).toContain('wireguard_peers_created_total{kind="device"} 1');
});
