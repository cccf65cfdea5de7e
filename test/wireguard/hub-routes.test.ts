import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { systemRandom } from '../../platform/clock.ts';
import type { AppRequest } from '../../platform/http-app.ts';
import { createLog } from '../../platform/log.ts';
import type { Access } from '../../wireguard/access/caller.ts';
import type { Desk } from '../../wireguard/calls/desk.ts';
import { interfaceRoutes } from '../../wireguard/calls/hub-routes.ts';
import { readConfig } from '../../wireguard/config/read-config.ts';
import { MemoryDriver } from '../../wireguard/drivers/memory.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { Hub } from '../../wireguard/hub/hub.ts';
import { HubWatch } from '../../wireguard/hub/hub-watch.ts';
import { testInterface } from './hub-store.ts';
import { type RunningHub, startRunningHub } from './running-hub.ts';

let hub: RunningHub;
const wg1 = testInterface({ name: 'wg1', networks: ['10.0.2.0/24'], addresses: ['10.0.2.1/24'], listenPort: 51821 });
const wg2 = testInterface({ name: 'wg2', networks: ['10.0.3.0/24'], addresses: ['10.0.3.1/24'], listenPort: 51822 });

beforeAll(async () => {
  hub = await startRunningHub({
    tokens: [
      { name: 'reader', scopes: ['hub:read'] },
      { name: 'admin', scopes: ['hub:read', 'hub:write', 'peers:write'] },
      { name: 'backend', scopes: ['devices'] },
    ],
    more: [wg1, wg2],
  });
});
afterAll(() => hub.stop());
beforeEach(() => {
  hub.clock.skew += 3_600_000; // no limit of one test is another's
});

const get = (path: string, token = 'reader') => hub.request('GET', path, { token });
const put = (body: unknown, name = 'wg0', token = 'admin') =>
  hub.request('PUT', `/api/hub/config?interface=${name}`, { token, body });
const add = async (body: object) => (await hub.request('POST', '/api/peers', { token: 'admin', body })).body;
const everything = async () =>
  JSON.stringify(
    await hub.data.store.read(async (db) => [
      await db.selectFrom('peer').selectAll().execute(),
      await db.selectFrom('free_range').selectAll().execute(),
      await db.selectFrom('interface').selectAll().execute(),
      await db.selectFrom('audit').select('seq').execute(),
    ]),
  );

test.each([
  ['GET', '/api/hub/status'],
  ['GET', '/api/hub/config'],
  ['PUT', '/api/hub/config'],
])('%s %s is for nobody without credentials, and for no token for devices', async (method, path) => {
  const body = method === 'PUT' ? { body: { keepalive: 5 } } : {};
  expect((await hub.request(method, path, body)).status).toBe(401);
  expect(await hub.request(method, path, { token: 'backend', ...body })).toMatchObject({ status: 403 });
  expect(await hub.request(method, `${path}?interface=wg9`, { token: 'admin', ...body })).toMatchObject({
    status: 404,
    body: { code: 'INTERFACE_UNKNOWN' },
  });
});

test('who may only read changes nothing', async () => {
  const before = await everything();
  expect(await put({ keepalive: 5 }, 'wg0', 'reader')).toMatchObject({ status: 403, body: { code: 'SCOPE_MISSING' } });
  expect(await everything()).toBe(before);
});

describe('PUT /api/hub/config', () => {
  test.each<[string, object, string]>([
    ['an endpoint without a port', { endpoint: 'hub.example' }, 'endpoint'],
    ['a name server that is a name', { dns: ['dns.example'] }, 'dns'],
    ['a keepalive below zero', { keepalive: -1 }, 'keepalive'],
    ['a keepalive of halves', { keepalive: 1.5 }, 'keepalive'],
    ['an MTU that IPv6 cannot use', { mtu: 1279 }, 'mtu'],
    ['a network with host bits', { networks: ['10.5.0.1/24'] }, 'networks'],
    ['two networks of a family', { networks: ['10.5.0.0/24', '10.6.0.0/24'] }, 'networks'],
    ['no network', { networks: [] }, 'networks'],
    ['the network of another interface', { networks: ['10.0.2.0/25'] }, 'networks'],
    ['a private key', { privateKey: 'x' }, 'privateKey'],
    ['a port', { listenPort: 1 }, 'listenPort'],
  ])('refuses %s, naming the field, and changes nothing', async (_, wrong, field) => {
    const before = await everything();
    const answer = await put(wrong);
    expect(answer.body).toMatchObject({ field, code: expect.stringMatching(/^[A-Z_]+$/) });
    expect([400, 409]).toContain(answer.status);
    expect(await everything()).toBe(before);
    expect((await get('/api/hub/config')).body).toMatchObject({ endpoint: 'hub.example:51820', keepalive: 25 });
  });

  test('is taken up by the running hub at once: the next peer is told the new facts', async () => {
    const change = { endpoint: '[2001:db8::7]:443', dns: ['10.0.1.1', 'fd42:4242:1::1'], keepalive: 0, mtu: 1380 };
    const answer = await put(change, 'wg1');
    expect(answer).toMatchObject({ status: 200, body: { ...change, interface: 'wg1', live: true } });
    expect((await get('/api/hub/config?interface=wg1')).body).toMatchObject(change);
    const { config } = await add({ name: 'phone', interface: 'wg1' });
    expect(readConfig(config)).toMatchObject({
      interface: { dns: change.dns, mtu: 1380 },
      peers: [{ endpoint: change.endpoint, keepalive: 0 }],
    });
    expect((await hub.audit()).find((record) => record.event === 'hub_config_changed')).toMatchObject({
      source: '127.0.0.1',
      detail: {
        by: 'token:admin',
        interface: 'wg1',
        changes: { mtu: { before: null, after: 1380 }, keepalive: { before: 25, after: 0 } },
      },
    });
  });

  test('that changes nothing is answered, and leaves no record', async () => {
    const before = await everything();
    const { endpoint, networks } = (await get('/api/hub/config')).body;
    expect(await put({ endpoint, networks })).toMatchObject({ status: 200, body: { endpoint, live: true } });
    expect(await put({})).toMatchObject({ status: 200 });
    expect(await everything()).toBe(before);
  });

  test('refuses another network while there is a peer, one that is switched off too, and changes nothing', async () => {
    const { peer } = await add({ name: 'phone' });
    const tried = async () => put({ networks: ['10.50.0.0/24'], keepalive: 7 });
    const before = await everything();
    expect(await tried()).toMatchObject({ status: 409, body: { code: 'PEERS_EXIST', field: 'networks' } });
    expect(await everything()).toBe(before);
    await hub.request('POST', `/api/peers/${peer.id}/disable`, { token: 'admin' });
    expect((await tried()).status).toBe(409);
    await hub.request('DELETE', `/api/peers/${peer.id}`, { token: 'admin' });
    const moved = await tried();
    expect(moved).toMatchObject({ status: 200, body: { networks: ['10.50.0.0/24'], addresses: ['10.50.0.1/24'] } });
    const next = await add({ name: 'phone' });
    expect(next.peer.addresses).toEqual(['10.50.0.2/32']);
    const free = await hub.data.store.read((db) =>
      db.selectFrom('free_range').select(['first', 'last']).where('interface', '=', 'wg0').execute(),
    );
    expect(free.map(({ first, last }) => [Number(first), Number(last)])).toEqual([[3, 254]]);
  });

  test('refuses a network that is behind a peer of another interface, naming the peer', async () => {
    await add({ name: 'office', interface: 'wg1', networks: ['192.168.8.0/22'] });
    const before = await everything();
    const refused = await put({ networks: ['192.168.9.0/24'] }, 'wg2');
    expect(refused).toMatchObject({ status: 409, body: { code: 'NETWORK_OVERLAP', field: 'networks' } });
    expect(refused.body.error).toContain('192.168.8.0/22 of the peer office');
    expect(await everything()).toBe(before);
  });

  test('refuses an address of the old network to whoever did not hear of the new one', async () => {
    // another process changes it, and does not ring
    const old = (await get('/api/hub/config?interface=wg2')).body;
    await hub.data.store.transaction((tx) =>
      tx
        .updateTable('interface')
        .set({ networks: '["10.60.0.0/24"]', addresses: '["10.60.0.1/24"]' })
        .where('name', '=', 'wg2')
        .execute(),
    );
    const before = await everything();
    const refused = await hub.request('POST', '/api/peers', { token: 'admin', body: { name: 'x', interface: 'wg2' } });
    expect(refused).toMatchObject({ status: 503, body: { code: 'INTERFACE_CHANGED' } });
    expect(await everything()).toBe(before);
    await put({ keepalive: old.keepalive + 1 }, 'wg2');
    expect((await add({ name: 'x', interface: 'wg2' })).peer.addresses).toEqual(['10.60.0.2/32']);
  });
});

test('no answer has a key but the public ones', async () => {
  const { config, peer } = await add({ name: 'phone', interface: 'wg1', presharedKey: true });
  const read = readConfig(config);
  const secrets = [wg1.privateKey, read.interface.privateKey, read.peers[0]?.presharedKey];
  for (const path of ['status', 'config']) {
    const answer = await get(`/api/hub/${path}?interface=wg1`);
    expect(answer.text).toContain(wg1.publicKey);
    for (const secret of secrets) expect(answer.text).not.toContain(secret);
    expect(answer.text).not.toMatch(/private|preshared/i);
  }
  expect(peer.preshared).toBe(true);
});

test('GET /api/hub/status tells what the last look showed', async () => {
  const answer = await get('/api/hub/status?interface=wg1');
  expect(answer).toMatchObject({
    status: 200,
    body: { interface: 'wg1', publicKey: wg1.publicKey, listenPort: 51821, addresses: ['10.0.2.1/24'] },
  });
  expect(answer.body.peerCount).toBe(answer.body.peers.length);
  expect(Date.parse(answer.body.lookedAt)).toBeLessThanOrEqual(hub.clock.now());
});

test('GET /api/hub/status is 503 while the interface cannot be asked', async () => {
  const driver = new MemoryDriver();
  const parts = { store: hub.data.store, seal: hub.vault, now: () => hub.clock.now(), random: systemRandom };
  const down = new Hub(wg1, driver, () => Promise.resolve(), {
    ...parts,
    policy: 'strict',
    onTrouble: () => undefined,
  });
  const log = createLog({ level: 'error', destination: new PassThrough() });
  const watch = new HubWatch(down, { ...parts, log, onComparison: () => undefined });
  let asked = 0;
  const access: Access = {
    callerOf: async () => {
      asked++;
      return { actor: COMMAND, scopes: new Set(['hub:read']) };
    },
  };
  const [status] = interfaceRoutes({ access, hubs: new Map([['wg1', watch]]) } as unknown as Desk);
  const ask = () => status?.handler({ query: {} } as unknown as AppRequest);
  driver.destroy();
  await watch.look();
  await expect(ask()).rejects.toMatchObject({ code: 'interface_down', status: 503 });
  driver.create();
  await watch.look();
  expect(await ask()).toMatchObject({ status: 200, body: { interface: 'wg1', peerCount: 0 } });
  expect(asked).toBe(2);
});
