import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readConfig } from '../../wireguard/config/read-config.ts';
import { generateKeyPair, publicKeyOf } from '../../wireguard/keys.ts';
import { readQrPng } from '../harness/qr-reader.ts';
import { testInterface } from './hub-store.ts';
import { type HubReply, type RunningHub, startRunningHub } from './running-hub.ts';

let hub: RunningHub;

beforeAll(async () => {
  hub = await startRunningHub({
    tokens: [
      { name: 'reader', scopes: ['peers:read', 'metrics:read'] },
      { name: 'writer', scopes: ['peers:read', 'peers:write'] },
      { name: 'backend', scopes: ['devices'] },
    ],
    more: [
      testInterface({
        name: 'wg1',
        networks: ['10.0.2.0/24'],
        addresses: ['10.0.2.1/24'],
        listenPort: 51821,
      }),
      testInterface({
        name: 'wg2',
        networks: ['10.0.3.0/24'],
        addresses: ['10.0.3.1/24'],
        listenPort: 51822,
        level: 'low',
        obfuscation: { Jc: 4, Jmin: 40, Jmax: 70 },
      }),
    ],
  });
});
afterAll(() => hub.stop());
beforeEach(() => {
  hub.clock.skew += 3_600_000; // no limit of one test is another's
});

const get = (path: string, token = 'writer') => hub.request('GET', path, { token });
const post = (path: string, body?: unknown, token = 'writer') =>
  hub.request('POST', path, { token, ...(body === undefined ? {} : { body }) });
const drop = (id: string, token = 'writer') => hub.request('DELETE', `/api/peers/${id}`, { token });
const made = async (body: object = {}): Promise<HubReply['body']> => {
  const answer = await post('/api/peers', { name: 'phone', ...body });
  expect(answer.status).toBe(201);
  return answer.body;
};
/** All that a refusal must leave as it was. */
const everything = async () =>
  JSON.stringify(
    await hub.data.store.read(async (db) => [
      await db.selectFrom('peer').selectAll().execute(),
      await db.selectFrom('free_range').selectAll().execute(),
      await db.selectFrom('interface').selectAll().execute(),
      await db.selectFrom('audit').select('seq').execute(),
    ]),
  );
/** Public keys of those that belong on the interface. */
const wanted = async (name = 'wg0') => {
  const answer = await hub.data.store.read((db) =>
    db
      .selectFrom('peer')
      .select('public_key')
      .where('interface', '=', name)
      .where('status', 'not in', ['disabled', 'deleted'])
      .execute(),
  );
  return answer.map((row) => row.public_key);
};

describe('who may', () => {
  test.each([
    ['GET', '/api/peers'],
    ['POST', '/api/peers'],
    ['GET', '/api/peers/0'],
    ['DELETE', '/api/peers/0'],
    ['POST', '/api/peers/0/enable'],
    ['POST', '/api/peers/0/disable'],
  ])('%s %s: nobody without credentials, and no token for devices', async (method, path) => {
    expect(
      (await hub.request(method, path, method === 'POST' && path === '/api/peers' ? { body: {} } : {})).status,
    ).toBe(401);
    const body = path === '/api/peers' && method === 'POST' ? { body: { name: 'x' } } : {};
    const refused = await hub.request(method, path, { token: 'backend', ...body });
    expect(refused).toMatchObject({ status: 403, body: { code: 'SCOPE_MISSING' } });
  });

  test('change a peer: not who may only read, and nothing changes', async () => {
    const { peer } = await made();
    const before = await everything();
    for (const answer of [
      await post('/api/peers', { name: 'x' }, 'reader'),
      await post(`/api/peers/${peer.id}/disable`, undefined, 'reader'),
      await drop(peer.id, 'reader'),
    ]) {
      expect(answer).toMatchObject({ status: 403, body: { code: 'SCOPE_MISSING' } });
    }
    expect(await everything()).toBe(before);
    expect((await get(`/api/peers/${peer.id}`, 'reader')).body.peer).toEqual(peer);
  });
});

describe('POST /api/peers', () => {
  const { publicKey } = generateKeyPair();
  const low = Buffer.alloc(32).toString('base64');
  test.each<[string, object, string, string]>([
    ['no name', { name: undefined }, 'INVALID_REQUEST', 'name'],
    ['an empty name', { name: '' }, 'INVALID_REQUEST', 'name'],
    ['a name of 65', { name: 'x'.repeat(65) }, 'INVALID_REQUEST', 'name'],
    ['a name with a control character', { name: 'a\u009bm' }, 'INVALID_REQUEST', 'name'],
    ['a kind of its own', { kind: 'toaster' }, 'INVALID_REQUEST', 'kind'],
    ['a field of its own', { privateKey: 'x' }, 'INVALID_REQUEST', 'privateKey'],
    ['no key', { publicKey: 'abc' }, 'INVALID_KEY', 'publicKey'],
    ['a point of low order', { publicKey: low }, 'INVALID_KEY', 'publicKey'],
    ['an address outside', { address: '10.9.9.9' }, 'INVALID_ADDRESS', 'address'],
    ['the hub’s address', { address: '10.0.1.1' }, 'INVALID_ADDRESS', 'address'],
    ['the network’s address', { address: '10.0.1.0' }, 'INVALID_ADDRESS', 'address'],
    ['the broadcast address', { address: '10.0.1.255' }, 'INVALID_ADDRESS', 'address'],
    ['everything', { networks: ['0.0.0.0/0'] }, 'INVALID_REQUEST', 'networks'],
    ['the network of another interface', { networks: ['10.0.2.0/28'] }, 'NETWORK_OVERLAP', 'networks'],
    ['a keepalive of no number of seconds', { keepalive: 2.5 }, 'INVALID_REQUEST', 'keepalive'],
    ['a keepalive beyond a day', { keepalive: 65_536 }, 'INVALID_REQUEST', 'keepalive'],
    ['a time that is over', { expires: '2020-01-01T00:00:00Z' }, 'INVALID_REQUEST', 'expires'],
    ['notes beyond their size', { metadata: { note: 'x'.repeat(4096) } }, 'INVALID_REQUEST', 'metadata'],
    ['a program that nobody knows', { client: 'openvpn' }, 'INVALID_REQUEST', 'client'],
    ['an interface that nobody knows', { interface: 'wg9' }, 'INTERFACE_UNKNOWN', 'interface'],
    ['a code for a key that is not here', { publicKey, qr: true }, 'INVALID_REQUEST', 'qr'],
  ])('refuses %s, naming the field, and changes nothing', async (_, wrong, code, field) => {
    const before = await everything();
    const answer = await post('/api/peers', { name: 'phone', ...wrong });
    expect(answer.body).toMatchObject({ code, field, error: expect.any(String) });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    expect(await everything()).toBe(before);
  });

  test('refuses the hub’s own key, a key and an address that are taken, and changes nothing', async () => {
    const { peer } = await made({ publicKey: generateKeyPair().publicKey });
    const config = await hub.data.store.read((db) =>
      db.selectFrom('interface').select('public_key').executeTakeFirst(),
    );
    const before = await everything();
    const refused = async (body: object) => (await post('/api/peers', { name: 'x', ...body })).body;
    expect(await refused({ publicKey: config?.public_key })).toMatchObject({ code: 'INVALID_KEY', field: 'publicKey' });
    expect(await refused({ publicKey: peer.publicKey })).toMatchObject({
      code: 'PUBLIC_KEY_EXISTS',
      field: 'publicKey',
    });
    const address = peer.addresses[0].replace('/32', '');
    expect(await refused({ address })).toMatchObject({ code: 'IP_TAKEN', field: 'address', status: 409 });
    expect(await everything()).toBe(before);
  });

  test('refuses a network behind two peers with the name of the other, also when that is switched off', async () => {
    const { peer } = await made({ name: 'office', networks: ['192.168.40.0/22'], kind: 'spoke' });
    for (const _ of ['on', 'off']) {
      const before = await everything();
      const refused = await post('/api/peers', { name: 'x', networks: ['192.168.41.0/24'], interface: 'wg1' });
      expect(refused).toMatchObject({ status: 409, body: { code: 'NETWORK_OVERLAP', field: 'networks' } });
      expect(refused.body.error).toContain('192.168.40.0/22 of the peer office');
      expect(await everything()).toBe(before);
      await post(`/api/peers/${peer.id}/disable`);
    }
    await drop(peer.id);
    expect((await post('/api/peers', { name: 'x', networks: ['192.168.41.0/24'] })).status).toBe(201);
  });

  test('refuses a program that does not know the obfuscation before anything is made', async () => {
    const before = await everything();
    const refused = await post('/api/peers', { name: 'phone', interface: 'wg2', client: 'wireguard' });
    expect(refused).toMatchObject({ status: 409, body: { code: 'CLIENT_UNFIT' } });
    expect(await everything()).toBe(before);
    const { config } = await made({ interface: 'wg2' });
    expect(readConfig(config).interface.obfuscation).toMatchObject({ Jc: 4 });
  });

  test('makes a peer of the fields that were asked for, and hands its configuration out once', async () => {
    const expires = new Date(hub.clock.now() + 86_400_000).toISOString();
    const body = {
      ...{ name: 'Anns Telefon ☎', owner: 'ann', kind: 'device', platform: 'android', address: '10.0.1.77' },
      ...{ networks: ['192.168.7.0/24', 'fd07::/64'], presharedKey: true, keepalive: 15, expires },
      ...{ route: 'all', qr: true, metadata: { shelf: [3, 'b'] } },
    };
    const answer = await post('/api/peers', body);
    expect(answer.status).toBe(201);
    expect(answer.headers.location).toBe(`/api/peers/${answer.body.peer.id}`);
    const { peer, config, live: isLive, qrCode } = answer.body;
    expect(peer).toMatchObject({
      ...{ name: 'Anns Telefon ☎', owner: 'ann', kind: 'device', platform: 'android', interface: 'wg0' },
      ...{ addresses: ['10.0.1.77/32', 'fd42:4242:1::4d/128'], networks: ['192.168.7.0/24', 'fd07::/64'] },
      ...{ preshared: true, keepalive: 15, expiresAt: expires, status: 'pending', metadata: { shelf: [3, 'b'] } },
    });
    expect(isLive).toBe(true);
    const read = readConfig(config);
    const { privateKey, addresses } = read.interface;
    expect(publicKeyOf(privateKey ?? '')).toBe(peer.publicKey);
    expect(addresses).toEqual(peer.addresses);
    expect(read.peers[0]).toMatchObject({
      allowedIPs: ['0.0.0.0/0', '::/0'],
      endpoint: 'hub.example:51820',
      keepalive: 15,
    });
    expect(readQrPng(qrCode)).toBe(config);
    for (const later of [await get(`/api/peers/${peer.id}`), await get('/api/peers?limit=500')]) {
      expect(later.text).not.toContain(privateKey);
      expect(later.text).not.toContain(read.peers[0]?.presharedKey);
    }
    expect(hub.log()).not.toContain(privateKey);
    expect(JSON.stringify(await hub.audit())).not.toContain(privateKey);
  });

  test('with a key of the peer’s own makes none, and is written down with who asked', async () => {
    const { peer, config } = await made({ publicKey, kind: 'gateway' });
    expect(peer.publicKey).toBe(publicKey);
    expect(config).not.toContain('PrivateKey');
    expect((await hub.audit()).at(-1)).toMatchObject({
      event: 'peer_created',
      source: '127.0.0.1',
      detail: { by: 'token:writer', peer: peer.id, kind: 'gateway', interface: 'wg0' },
    });
  });
});

describe('one peer', () => {
  test.each(['nobody', '%00', 'a'.repeat(300)])('that is %j is 404 for every call, and changes nothing', async (id) => {
    const before = await everything();
    for (const answer of [
      await get(`/api/peers/${id}`),
      await post(`/api/peers/${id}/enable`),
      await post(`/api/peers/${id}/disable`),
      await drop(id),
    ]) {
      expect(answer).toMatchObject({ status: 404, body: { code: 'PEER_NOT_FOUND' } });
    }
    expect(await everything()).toBe(before);
  });

  test('is taken off, put back and removed, each time before the answer', async () => {
    const { peer } = await made({ interface: 'wg1' });
    const key = peer.publicKey;
    expect(await post(`/api/peers/${peer.id}/disable`)).toMatchObject({
      status: 200,
      body: { live: true, peer: { id: peer.id, status: 'disabled' } },
    });
    expect(await wanted('wg1')).not.toContain(key);
    expect((await post(`/api/peers/${peer.id}/enable`)).body.peer.status).toBe('pending');
    expect(await wanted('wg1')).toContain(key);
    expect((await drop(peer.id)).body).toMatchObject({ live: true, peer: { status: 'deleted' } });
    expect((await get(`/api/peers/${peer.id}`)).status).toBe(404);
    expect((await drop(peer.id)).status).toBe(404);
    expect((await hub.audit()).slice(-3).map((record) => record.event)).toEqual([
      'peer_disabled',
      'peer_enabled',
      'peer_removed',
    ]);
  });

  test('is not changed by a call with a body', async () => {
    const { peer } = await made();
    expect((await post(`/api/peers/${peer.id}/disable`, { for: 'a day' })).status).toBe(400);
    expect((await get(`/api/peers/${peer.id}`)).body.peer.status).toBe('pending');
  });
});

describe('GET /api/peers', () => {
  test.each([
    ['limit=0', 'limit'],
    ['limit=501', 'limit'],
    ['limit=1e2', 'limit'],
    ['after=x', 'after'],
    [`after=${Buffer.from('["wg0",-1,"a"]').toString('base64url')}`, 'after'],
    [`after=${'A'.repeat(300)}`, 'after'],
    ['status=deleted', 'status'],
    ['kind=toaster', 'kind'],
    ['interface=wg9', 'interface'],
    ['owner=ann', 'query'],
  ])('refuses ?%s, naming it', async (query, field) => {
    const answer = await get(`/api/peers?${query}`);
    expect(answer.body).toMatchObject({ field });
    expect([400, 404]).toContain(answer.status);
  });

  test('lists every interface page by page, and one by its filters', async () => {
    await made({ name: 'one', interface: 'wg1', kind: 'gateway' });
    const off = await made({ name: 'two', interface: 'wg1' });
    await made({ name: 'three', interface: 'wg2' });
    await post(`/api/peers/${off.peer.id}/disable`);
    const whole = (await get('/api/peers?limit=500')).body;
    expect(whole.next).toBeNull();
    const seen: string[] = [];
    for (let query = 'limit=3'; ; ) {
      const { peers, next } = (await get(`/api/peers?${query}`, 'reader')).body;
      seen.push(...peers.map((peer: { id: string }) => peer.id));
      if (next === null) break;
      expect(peers).toHaveLength(3);
      query = `limit=3&after=${next}`;
    }
    expect(seen).toEqual(whole.peers.map((peer: { id: string }) => peer.id));
    expect(new Set(seen).size).toBe(seen.length);
    const names = async (query: string) =>
      (await get(`/api/peers?${query}`)).body.peers.map((peer: { name: string }) => peer.name);
    expect(await names('interface=wg1&kind=gateway')).toEqual(['one']);
    expect(await names('interface=wg1&status=disabled')).toEqual(['two']);
    expect(await names('interface=wg2&status=disabled')).toEqual([]);
  });
});

test('the metrics count peers by interface and status, and none that was removed', async () => {
  const count = async (name: string, status: string) => {
    const { text } = await get('/api/metrics', 'reader');
    return Number(
      new RegExp(`^wireguard_peers\\{interface="${name}",status="${status}"\\} (\\d+)$`, 'm').exec(text)?.[1],
    );
  };
  const before = await count('wg1', 'pending');
  const { peer } = await made({ interface: 'wg1' });
  expect(await count('wg1', 'pending')).toBe(before + 1);
  const off = await count('wg1', 'disabled');
  await post(`/api/peers/${peer.id}/disable`);
  expect([await count('wg1', 'pending'), await count('wg1', 'disabled')]).toEqual([before, off + 1]);
  await drop(peer.id);
  expect([await count('wg1', 'pending'), await count('wg1', 'disabled')]).toEqual([before, off]);
  expect((await get('/api/metrics', 'reader')).text).not.toContain('status="deleted"');
});
