import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemRandom } from '../../platform/clock.ts';
import { readConfig } from '../../wireguard/config/read-config.ts';
import { generateKeyPair, publicKeyOf } from '../../wireguard/keys.ts';
import { drawObfuscation } from '../../wireguard/obfuscation/levels.ts';
import { testInterface } from './hub-store.ts';
import { type RunningHub, startRunningHub } from './running-hub.ts';
import { askSigned, registerGateway, type SignedAsk, type TestGateway } from './signed-request.ts';

const CREATE = '/api/v1/configurations/';
let hub: RunningHub;
let berlin: TestGateway;
let paris: TestGateway;
let tiny: TestGateway;
let veiled: TestGateway;
beforeAll(async () => {
  const small = { networks: ['10.9.0.0/30'], addresses: ['10.9.0.1/30'], listenPort: 51821 };
  const obfuscated = {
    networks: ['10.8.0.0/24'],
    addresses: ['10.8.0.1/24'],
    listenPort: 51822,
    level: 'high' as const,
    obfuscation: drawObfuscation('high', systemRandom),
  };
  hub = await startRunningHub({
    more: [testInterface({ name: 'wg1', ...small }), testInterface({ name: 'awg0', ...obfuscated })],
    tokens: [{ name: 'backend', scopes: ['devices'] }],
  });
  berlin = await registerGateway(hub, 'berlin');
  paris = await registerGateway(hub, 'paris');
  tiny = await registerGateway(hub, 'tiny', { interface: 'wg1' });
  veiled = await registerGateway(hub, 'veiled', { interface: 'awg0' });
});
afterAll(() => hub.stop());

const create = (body: unknown, by = berlin, ask: SignedAsk = {}) =>
  askSigned(hub, by, 'POST', CREATE, { body, ...ask });
const pathOf = (publicKey: string): string => `/api/v1/configurations/${encodeURIComponent(publicKey)}`;
const toggle = (publicKey: string, enabled: unknown, by = berlin) =>
  askSigned(hub, by, 'PUT', `${pathOf(publicKey)}/status`, { body: { enabled } });
const state = (): Promise<string> =>
  hub.data.store.read(async (db) =>
    JSON.stringify([
      await db.selectFrom('peer').selectAll().execute(),
      await db.selectFrom('free_range').selectAll().execute(),
    ]),
  );
/** A key whose base64 has all that is awkward in a path. */
const awkwardKey = (): string => {
  for (;;) {
    const { publicKey } = generateKeyPair();
    if (publicKey.includes('/') && publicKey.includes('+')) return publicKey;
  }
};

describe('a configuration', () => {
  test.each<[string, unknown, number, string, string?]>([
    ['a field that is not known', { nickname: 'x' }, 400, 'INVALID_REQUEST', 'nickname'],
    ['a list', [], 400, 'INVALID_REQUEST', 'body'],
    ['a key that is none', { publicKey: 'abc' }, 400, 'INVALID_PUBLIC_KEY', 'publicKey'],
    ['a point of low order', { publicKey: `${'A'.repeat(43)}=` }, 400, 'INVALID_PUBLIC_KEY', 'publicKey'],
    ['an address outside', { address: '10.0.2.9' }, 400, 'INVALID_ADDRESS', 'address'],
    ['the address of the hub', { address: '10.0.1.1' }, 400, 'INVALID_ADDRESS', 'address'],
    ['a network that is none', { allowedIPs: ['10.5.0.1/24'] }, 400, 'INVALID_ADDRESS', 'allowedIPs'],
    ['all of the Internet', { allowedIPs: ['0.0.0.0/0'] }, 400, 'INVALID_REQUEST', 'allowedIPs'],
    ['the network of the hub', { allowedIPs: ['10.0.1.128/25'] }, 409, 'NETWORK_OVERLAP', 'allowedIPs'],
    ['a time that was', { expiresAt: '2001-01-01T00:00:00Z' }, 400, 'INVALID_REQUEST', 'expiresAt'],
    ['a time that is none', { expiresAt: 'tomorrow' }, 400, 'INVALID_REQUEST', 'expiresAt'],
    ['a keepalive beyond a day', { keepalive: 65_536 }, 400, 'INVALID_REQUEST', 'keepalive'],
    ['a preshared key that is no switch', { presharedKey: 'yes' }, 400, 'INVALID_REQUEST', 'presharedKey'],
    ['a name with a line in it', { name: 'a\nb' }, 400, 'INVALID_REQUEST', 'name'],
    ['a program that nobody knows', { client: 'openvpn' }, 400, 'INVALID_REQUEST', 'client'],
  ])('is refused for %s, and nothing changes', async (_, body, status, code, field) => {
    const before = await state();
    expect(await create(body)).toMatchObject({ status, body: { code, field } });
    expect(await state()).toBe(before);
  });

  test('is refused for the key of the hub, a key or an address that is taken, and a network behind another', async () => {
    const { body } = await create({ address: '10.0.1.40', allowedIPs: ['192.168.40.0/24'] }, paris);
    const [facts] = await hub.data.store.read((db) =>
      db.selectFrom('interface').select(['name', 'public_key']).where('name', '=', 'wg0').execute(),
    );
    const before = await state();
    for (const [order, status, code, field] of [
      [{ publicKey: facts?.public_key }, 400, 'INVALID_PUBLIC_KEY', 'publicKey'],
      [{ publicKey: body.publicKey }, 409, 'PUBLIC_KEY_EXISTS', 'publicKey'],
      [{ address: '10.0.1.40' }, 409, 'IP_TAKEN', 'address'],
      [{ allowedIPs: ['192.168.40.128/25'] }, 409, 'NETWORK_OVERLAP', 'allowedIPs'],
    ] as const) {
      expect(await create(order)).toMatchObject({ status, body: { code, field } });
    }
    expect(await state()).toBe(before);
  });

  test('is refused when the pool is empty, with 503', async () => {
    const made = await create({}, tiny);
    expect(made).toMatchObject({ status: 201, body: { addresses: ['10.9.0.2/32'] } });
    const before = await state();
    expect(await create({}, tiny)).toMatchObject({ status: 503, body: { code: 'POOL_EXHAUSTED', recoveryHint: /./ } });
    expect(await state()).toBe(before);
    const usage = await askSigned(hub, tiny, 'GET', '/api/v1/ip-usage');
    expect(usage.body).toEqual({
      interface: 'wg1',
      ipv4: { network: '10.9.0.0/30', total: 1, used: 1, free: 0 },
      ipv6: null,
    });
  });

  test('that is too large is refused', async () => {
    expect(await create({ name: 'x'.repeat(40_000) })).toMatchObject({ status: 413 });
  });

  test('holds a pair that the hub made, whose private half is nowhere else', async () => {
    const { status, body } = await create({ name: 'laptop', presharedKey: true, keepalive: 15 });
    expect([status, body.success, body.live, body.kind]).toEqual([201, true, true, 'gateway']);
    expect(publicKeyOf(body.privateKey)).toBe(body.publicKey);
    const config = readConfig(body.config);
    expect(config.interface).toMatchObject({ privateKey: body.privateKey, addresses: body.addresses });
    expect(config.peers).toMatchObject([
      { publicKey: body.hub.publicKey, presharedKey: body.presharedKey, endpoint: 'hub.example:51820', keepalive: 15 },
    ]);
    const everywhere = [await state(), hub.log(), JSON.stringify(await hub.audit())];
    const status2 = await askSigned(hub, berlin, 'GET', '/api/v1/server/status?limit=1000');
    for (const text of [...everywhere, status2.text]) {
      expect(text).not.toContain(body.privateKey);
      expect(text).not.toContain(body.presharedKey);
    }
    expect(status2.text).toContain(body.publicKey);
  });

  test('for a key of the gateway’s own has no private key, and all that was asked for', async () => {
    const { publicKey } = generateKeyPair();
    const order = {
      publicKey,
      name: 'Straße 7',
      address: '10.0.1.77',
      allowedIPs: ['192.168.77.0/24', 'fd77::/64'],
      expiresAt: '2099-01-31T12:00:00Z',
    };
    const { status, body } = await create(order);
    expect(status).toBe(201);
    expect(body).toMatchObject({
      publicKey,
      name: 'Straße 7',
      addresses: ['10.0.1.77/32', 'fd42:4242:1::4d/128'],
      allowedIPs: order.allowedIPs,
      expiresAt: '2099-01-31T12:00:00.000Z',
      enabled: true,
      status: 'pending',
    });
    expect(Object.keys(body)).not.toContain('privateKey');
    expect(body.config).not.toContain('PrivateKey');
    const [record] = (await hub.audit()).slice(-1);
    expect(record).toMatchObject({
      event: 'peer_created',
      source: '127.0.0.1',
      detail: { by: 'gateway:berlin', public_key: publicKey },
    });
  });

  test('is made without the slash at the end too', async () => {
    const reply = await askSigned(hub, berlin, 'POST', '/api/v1/configurations', { body: {} });
    expect(reply).toMatchObject({ status: 201, body: { name: expect.stringMatching(/^berlin-[0-9a-f]{8}$/) } });
  });

  test('of an obfuscated interface is AmneziaWG, and refused to a program that does not know it', async () => {
    const before = await state();
    expect(await create({ client: 'wireguard' }, veiled)).toMatchObject({
      status: 409,
      body: { code: 'CLIENT_UNFIT' },
    });
    expect(await state()).toBe(before);
    const { body } = await create({}, veiled);
    expect(body.config).toMatch(/^Jc = \d+$/m);
    expect(body.hub.mtu).toBeLessThan(1420);
    expect((await create({ client: 'wireguard' })).body.config).not.toMatch(/^Jc/m);
  });
});

describe('a peer of a gateway', () => {
  test('is switched off and on and deleted, by its key in either spelling', async () => {
    const publicKey = awkwardKey();
    await create({ publicKey });
    const urlKey = publicKey.replaceAll('+', '-').replaceAll('/', '_');
    for (const spelling of [publicKey, urlKey, urlKey.replace('=', '')]) {
      expect(await toggle(spelling, false)).toMatchObject({
        status: 200,
        body: { peer: { publicKey, enabled: false } },
      });
      expect(await toggle(spelling, true)).toMatchObject({ status: 200, body: { peer: { publicKey, enabled: true } } });
    }
    expect(await askSigned(hub, berlin, 'DELETE', pathOf(urlKey))).toMatchObject({
      status: 200,
      body: { success: true, publicKey },
    });
    expect(await askSigned(hub, berlin, 'DELETE', pathOf(publicKey))).toMatchObject({ status: 404 });
    const by = (await hub.audit()).slice(-7).map(({ event, detail }) => [event, detail.by]);
    expect(by.map(([event]) => event)).toEqual([
      ...['peer_disabled', 'peer_enabled', 'peer_disabled', 'peer_enabled', 'peer_disabled', 'peer_enabled'],
      'peer_removed',
    ]);
    expect(new Set(by.map(([, who]) => who))).toEqual(new Set(['gateway:berlin']));
  });

  test('is not there for another gateway, nor is one that is nobody’s or a device of that owner', async () => {
    const { body: foreign } = await create({ name: 'theirs' }, paris);
    const device = await hub.request('POST', '/api/create-peer', {
      token: 'backend',
      body: { user_id: 'berlin', device_name: 'phone' },
    });
    const elsewhere = await create({ name: 'elsewhere' }, veiled);
    const before = await state();
    const answers = new Set<string>();
    for (const publicKey of [
      foreign.publicKey,
      device.body.public_key,
      elsewhere.body.publicKey,
      generateKeyPair().publicKey,
    ]) {
      expect(publicKey).toHaveLength(44);
      for (const reply of [await toggle(publicKey, false), await askSigned(hub, berlin, 'DELETE', pathOf(publicKey))]) {
        expect(reply).toMatchObject({ status: 404, body: { code: 'PEER_NOT_FOUND' } });
        answers.add(reply.text);
      }
    }
    expect(answers.size).toBe(1);
    expect(await state()).toBe(before);
    const status = await askSigned(hub, berlin, 'GET', '/api/v1/server/status?limit=1000');
    for (const publicKey of [foreign.publicKey, device.body.public_key]) expect(status.text).not.toContain(publicKey);
  });

  test.each<[unknown]>([[undefined], ['true'], [1], [null]])('is not switched by {"enabled": %j}', async (enabled) => {
    const { publicKey } = (await create({})).body;
    const before = await state();
    expect(await toggle(publicKey, enabled)).toMatchObject({ status: 400, body: { field: 'enabled' } });
    expect(await state()).toBe(before);
  });

  test.each(['x', `${'A'.repeat(43)}=`, 'A'.repeat(43), `${'/'.repeat(43)}=`])(
    '"%s" is no key in a path',
    async (key) => {
      expect(await toggle(key, false)).toMatchObject({ status: 400, body: { code: 'INVALID_PUBLIC_KEY' } });
    },
  );
});

describe('what a gateway is told', () => {
  test('is its peers page by page, each once', async () => {
    const lyon = await registerGateway(hub, 'lyon');
    const made = new Set<string>();
    for (let i = 0; i < 7; i++) made.add((await create({}, lyon)).body.publicKey);
    for (const call of ['status', 'metrics']) {
      const seen: string[] = [];
      for (let after = ''; ; ) {
        const path = `/api/v1/server/${call}?limit=3${after === '' ? '' : `&after=${after}`}`;
        const { status, body } = await askSigned(hub, lyon, 'GET', path);
        expect(status).toBe(200);
        seen.push(...body.peers.map(({ publicKey }: { publicKey: string }) => publicKey));
        if (body.next === null) break;
        after = body.next;
      }
      expect(seen).toHaveLength(7);
      expect(new Set(seen)).toEqual(made);
    }
  });

  test.each(['limit=0', 'limit=1001', 'limit=x', 'after=x', 'peer=x'])('is refused with ?%s', async (query) => {
    const reply = await askSigned(hub, berlin, 'GET', `/api/v1/server/status?${query}`);
    expect(reply).toMatchObject({ status: 400, body: { code: 'INVALID_REQUEST' } });
  });

  test('is how the interface is, without any secret of it', async () => {
    const { body, text } = await askSigned(hub, veiled, 'GET', '/api/v1/server/status');
    expect(body.interface).toMatchObject({ name: 'awg0', driver: 'memory', up: true, networks: ['10.8.0.0/24'] });
    expect(body.interface.publicKey).toHaveLength(44);
    expect(text).not.toMatch(/private|preshared|HeaderProtectionKey/i);
  });

  test('is how the machine is, what the interface moved, and what its own peers did', async () => {
    const { body } = await askSigned(hub, paris, 'GET', '/api/v1/server/metrics');
    expect(body.cpu.cores).toBeGreaterThan(0);
    expect(body.cpu.usage).toBeGreaterThanOrEqual(0);
    expect(body.cpu.usage).toBeLessThanOrEqual(1);
    expect(body.memory.used + body.memory.available).toBe(body.memory.total);
    expect(body.load).toHaveLength(3);
    expect(body.interface).toMatchObject({ name: 'wg0', up: true, rx: 0, tx: 0 });
    for (const peer of body.peers) {
      expect(peer).toEqual({ publicKey: expect.any(String), status: 'pending', lastHandshake: null, rx: 0, tx: 0 });
    }
    expect(body.peers.length).toBeGreaterThan(0);
  });

  test('is how many addresses there are, which are those that nobody has', async () => {
    const { body } = await askSigned(hub, berlin, 'GET', '/api/v1/ip-usage');
    const living = await hub.data.store.read((db) =>
      db.selectFrom('peer').select('id').where('interface', '=', 'wg0').where('status', '<>', 'deleted').execute(),
    );
    const usage = { total: 253, used: living.length, free: 253 - living.length };
    expect(body).toEqual({
      interface: 'wg0',
      ipv4: { network: '10.0.1.0/24', ...usage },
      ipv6: { network: 'fd42:4242:1::/64', ...usage },
    });
  });
});

describe('a sealed payload', () => {
  let sealed: TestGateway;
  let plain: TestGateway;
  beforeAll(async () => {
    sealed = await registerGateway(hub, 'sealed', { payloads: 'sealed' });
    plain = await registerGateway(hub, 'plain', { payloads: 'plain' });
  });

  test('is answered sealed, and nothing of either is on the line', async () => {
    for (const gateway of [sealed, berlin]) {
      const { status, body, text } = await create({ name: 'hidden' }, gateway, { isSealed: true });
      expect([status, body.success, body.name]).toEqual([201, true, 'hidden']);
      expect(text).toContain(body.privateKey);
    }
  });

  test('is required of a gateway that was registered so, whose answers and errors are all sealed', async () => {
    const before = await state();
    const open = (reply: { body: unknown }) => Object.keys(reply.body as object);
    const plainBody = await create({ name: 'open' }, sealed);
    expect([plainBody.status, open(plainBody)]).toEqual([400, ['payload']]);
    expect(await state()).toBe(before);
    for (const path of ['/api/v1/ip-usage', '/api/v1/server/status', '/api/v1/server/metrics']) {
      expect(open(await askSigned(hub, sealed, 'GET', path))).toEqual(['payload']);
      expect((await askSigned(hub, sealed, 'GET', path, { isSealed: true })).status).toBe(200);
    }
    const gone = pathOf(generateKeyPair().publicKey);
    expect(await askSigned(hub, sealed, 'DELETE', gone, { isSealed: true })).toMatchObject({
      status: 404,
      body: { code: 'PEER_NOT_FOUND', error: 'there is no such peer' },
    });
    expect(await create({ nickname: 'x' }, sealed, { isSealed: true })).toMatchObject({
      status: 400,
      body: { code: 'INVALID_REQUEST', field: 'nickname' },
    });
  });

  test('is refused where payloads are plain, and an unreadable one everywhere', async () => {
    const before = await state();
    expect(await create({ payload: 'AAAA' }, plain)).toMatchObject({
      status: 400,
      body: { code: 'PAYLOAD_UNEXPECTED' },
    });
    expect(open(await create({ payload: 'AAAA' }, berlin))).toEqual(['payload']);
    expect(await create({ payload: 'AAAA', name: 'x' }, berlin)).toMatchObject({
      status: 400,
      body: { field: 'payload' },
    });
    const stale = await create({ payload: 5 }, sealed);
    expect([stale.status, open(stale)]).toEqual([400, ['payload']]);
    expect(await state()).toBe(before);
  });

  const open = (reply: { body: unknown }) => Object.keys(reply.body as object);

  test('of a refusal before the signature held is none: there is nobody to seal it for', async () => {
    const reply = await askSigned(hub, sealed, 'GET', '/api/v1/ip-usage', { seconds: -301 });
    expect(reply).toMatchObject({ status: 401, body: { code: 'UNAUTHORIZED' } });
  });
});
