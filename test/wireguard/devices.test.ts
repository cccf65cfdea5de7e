import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock, systemRandom } from '../../platform/clock.ts';
import { readConfig } from '../../wireguard/config/read-config.ts';
import { writeConfig } from '../../wireguard/config/write-config.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { registerForCommands } from '../../wireguard/hub/register-for-commands.ts';
import { generateKeyPair, publicKeyOf } from '../../wireguard/keys.ts';
import { drawObfuscation } from '../../wireguard/obfuscation/levels.ts';
import { readQrPng } from '../harness/qr-reader.ts';
import { testInterface } from './hub-store.ts';
import { type HubAsk, type HubReply, type RunningHub, startRunningHub } from './running-hub.ts';

const plain = testInterface({ dns: ['10.0.1.1'] });
const dualHigh = testInterface({
  name: 'wg1',
  networks: ['10.1.0.0/24', 'fd42:4242:2::/64'],
  addresses: ['10.1.0.1/24', 'fd42:4242:2::1/64'],
  listenPort: 51821,
  endpoint: '[2001:db8::1]:51821',
  level: 'high',
  obfuscation: drawObfuscation('high', systemRandom),
});
const extreme = testInterface({
  name: 'wg2',
  networks: ['10.2.0.0/24'],
  addresses: ['10.2.0.1/24'],
  listenPort: 51822,
  level: 'extreme',
  obfuscation: drawObfuscation('extreme', systemRandom),
});
const tooLong = `<b 0x${'ab'.repeat(1200)}>`;
const long = testInterface({
  name: 'wg3',
  networks: ['fd42:4242:4::/64'],
  addresses: ['fd42:4242:4::1/64'],
  listenPort: 51823,
  level: 'extreme',
  obfuscation: { ...extreme.obfuscation, I1: tooLong, I2: tooLong },
});
const tiny = testInterface({
  name: 'wg4',
  networks: ['10.4.0.0/30'],
  addresses: ['10.4.0.1/30'],
  listenPort: 51824,
});

let hub: RunningHub;
beforeAll(async () => {
  hub = await startRunningHub({
    interface: plain,
    more: [dualHigh, extreme, long, tiny],
    tokens: [
      { name: 'backend', scopes: ['devices'] },
      { name: 'reader', scopes: ['peers:read', 'peers:write', 'hub:read', 'metrics:read'] },
    ],
  });
});
afterAll(() => hub.stop());

const phone = { user_id: 'anna', device_name: 'phone' };
const post = (path: string, body: unknown, more: HubAsk = {}): Promise<HubReply> =>
  hub.request('POST', path, { token: 'backend', body, ...more });
const get = (path: string): Promise<HubReply> => hub.request('GET', path, { token: 'backend' });
const create = (more: object = {}, query = ''): Promise<HubReply> =>
  post(`/api/create-peer${query}`, { ...phone, ...more });
/** As somebody at the hub's terminal. */
const commands = () => registerForCommands(hub.data, plain, { clock: systemClock, random: systemRandom }, null).peers;
/** Everything a refusal must leave as it was. */
const everything = () =>
  hub.data.store.read(async (db) =>
    JSON.stringify([
      await db.selectFrom('peer').selectAll().execute(),
      await db.selectFrom('free_range').selectAll().execute(),
      await db.selectFrom('audit').select('seq').where('body', 'like', '%"peer_%').execute(),
    ]),
  );

describe('POST /api/create-peer', () => {
  test('answers with the whole configuration, whose private key is told once and is nowhere else', async () => {
    const { status, body, headers, text } = await create();
    expect(status).toBe(201);
    expect(headers['cache-control']).toBe('no-store');
    expect(body).toEqual({
      success: true,
      config: expect.any(String),
      assigned_ip: '10.0.1.2',
      assigned_ip6: 'fd42:4242:1::2',
      public_key: expect.any(String),
      qr_code: expect.stringMatching(/^data:image\/png;base64,/),
      server_name: 'hub',
      client: 'wireguard',
      live: true,
    });
    const config = readConfig(body.config);
    const { privateKey } = config.interface;
    expect(publicKeyOf(privateKey ?? '')).toBe(body.public_key);
    expect(config).toMatchObject({
      interface: { addresses: ['10.0.1.2/32', 'fd42:4242:1::2/128'], dns: ['10.0.1.1'] },
      peers: [
        {
          publicKey: plain.publicKey,
          presharedKey: expect.any(String),
          allowedIPs: plain.networks,
          endpoint: 'hub.example:51820',
          keepalive: 25,
        },
      ],
    });
    for (const secret of [privateKey ?? text, config.peers[0]?.presharedKey ?? text]) {
      expect(await everything()).not.toContain(secret);
      expect(JSON.stringify(await hub.audit())).not.toContain(secret);
      expect(hub.log()).not.toContain(secret);
      expect((await get('/api/list-peers')).text).not.toContain(secret);
    }
  });

  test('makes a device that belongs to the user, and says in the audit log who asked for it', async () => {
    const { body } = await create({ user_id: 'ben', device_name: 'laptop' });
    const row = await hub.data.store.read((db) =>
      db
        .selectFrom('peer')
        .select(['owner', 'name', 'kind'])
        .where('public_key', '=', body.public_key)
        .executeTakeFirstOrThrow(),
    );
    expect(row).toEqual({ owner: 'ben', name: 'laptop', kind: 'device' });
    expect((await hub.audit()).at(-1)).toMatchObject({
      event: 'peer_created',
      source: '127.0.0.1',
      detail: { by: 'token:backend', interface: 'wg0', name: 'laptop', public_key: body.public_key, kind: 'device' },
    });
  });

  test.each([
    ['plain, with both families', {}, 'wireguard'],
    ['obfuscated, with both families', { interface: 'wg1' }, 'amneziawg-tools'],
    ['obfuscated to the utmost', { interface: 'wg2', client: 'amneziawg-android' }, 'amneziawg-android'],
  ])('draws a QR code in which a reader finds the configuration to the byte: %s', async (_, more, client) => {
    const { body } = await create(more);
    expect(readQrPng(body.qr_code)).toBe(body.config);
    expect(body.client).toBe(client);
    expect(writeConfig(readConfig(body.config))).toBe(body.config);
  });

  test('gives both ends of an obfuscated interface the same parameters', async () => {
    const { body } = await create({ interface: 'wg1' });
    expect(readConfig(body.config).interface.obfuscation).toEqual(dualHigh.obfuscation);
    expect(readConfig(body.config).interface.mtu).toBe(1500 - 80 - (dualHigh.obfuscation.S4 ?? 0));
  });

  test('says why there is no QR code for a configuration that is longer than one', async () => {
    const { status, body } = await create({ interface: 'wg3' });
    expect(status).toBe(201);
    expect(Buffer.byteLength(body.config)).toBeGreaterThan(2953);
    expect(body).toMatchObject({ qr_code: null, qr_reason: expect.stringMatching(/a QR code holds 2953/) });
    expect(body.assigned_ip).toBe('fd42:4242:4::2');
    expect(body).not.toHaveProperty('assigned_ip6');
  });

  test.each([
    ['txt', 'config.txt'],
    ['conf', 'Anna-s-phone.conf'],
  ])('?download=%s hands the configuration out as %s, kept by nobody on its way', async (download, file) => {
    const { status, headers, text } = await create({ device_name: 'Anna’s phone' }, `?download=${download}`);
    expect(status).toBe(201);
    expect(headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'content-disposition': `attachment; filename="${file}"`,
      'cache-control': 'no-store',
    });
    expect(publicKeyOf(readConfig(text).interface.privateKey ?? '')).toBe(headers['x-public-key']);
  });

  test.each(['Anna’s "phone"', 'Zoë\\b', "Rob'); DROP TABLE peer;--", '電話 📱', '<b>', 'a'.repeat(64), '#1 = x'])(
    'takes the name %j as it is, and it is in no file',
    async (name) => {
      const { status, body } = await create({ device_name: name });
      expect(status).toBe(201);
      expect(body.config).not.toContain(name);
      const { peers } = (await get('/api/list-peers')).body;
      expect(peers.at(-1)).toMatchObject({ device_name: name, public_key: body.public_key });
    },
  );

  test.each([
    ['no user', { user_id: undefined }, 'user_id', /user_id required/],
    ['an empty user', { user_id: '' }, 'user_id', /user_id required/],
    ['a blank user', { user_id: ' \t' }, 'user_id', /user_id required/],
    ['null for a user', { user_id: null }, 'user_id', /user_id required/],
    ['no name', { device_name: undefined }, 'device_name', /device_name required/],
    ['a number for a user', { user_id: 7 }, 'user_id', /must be a string/],
    ['a list for a name', { device_name: ['phone'] }, 'device_name', /must be a string/],
    ['a user of 129 letters', { user_id: 'a'.repeat(129) }, 'user_id', /128/],
    ['a name of 65 letters', { device_name: 'a'.repeat(65) }, 'device_name', /64/],
    ['a line’s end in a name', { device_name: 'phone\nPostUp = reboot' }, 'device_name', /control/],
    ['a NUL in a user', { user_id: 'anna\u0000' }, 'user_id', /control/],
    ['an escape in a name', { device_name: '\u001b[2J' }, 'device_name', /control/],
    ['a next-line character', { device_name: 'a\u0085b' }, 'device_name', /control/],
    ['half a character', { device_name: 'a\ud800' }, 'device_name', /control/],
    ['a name that turns what is read', { device_name: 'fdp.\u202eexe' }, 'device_name', /control/],
    ['a blank behind a user', { user_id: 'anna ' }, 'user_id', /blank/],
    ['a field that is not known', { admin: true }, 'admin', /not a known field/],
    ['a program that is not known', { client: 'putty' }, 'client', /one of wireguard, amneziawg-tools/],
    ['a number for an interface', { interface: 0 }, 'interface', /must be a string/],
  ])('refuses %s, and nothing is made', async (_, more, field, words) => {
    const before = await everything();
    const { status, body } = await create(more);
    expect({ status, code: body.code, field: body.field }).toEqual({ status: 400, code: 'INVALID_REQUEST', field });
    expect(body.error).toMatch(words);
    expect(await everything()).toBe(before);
  });

  test.each([
    ['a list', [phone]],
    ['text', '"anna"'],
    ['null', 'null'],
    ['what is no JSON', '{'],
    ['more than a device needs', { ...phone, user_id: 'a'.repeat(5000) }],
  ])('refuses %s as a body, and nothing is made', async (_, body) => {
    const before = await everything();
    expect((await post('/api/create-peer', body)).status).toBeGreaterThanOrEqual(400);
    expect(await everything()).toBe(before);
  });

  test.each([
    ['?download=pdf', 400, 'INVALID_REQUEST'],
    ['?download=', 400, 'INVALID_REQUEST'],
    ['?save=txt', 400, 'INVALID_REQUEST'],
  ])('refuses %s before a key is made', async (query, status, code) => {
    const before = await everything();
    const answer = await create({}, query);
    expect([answer.status, answer.body.code]).toEqual([status, code]);
    expect(await everything()).toBe(before);
  });

  test('refuses an interface that is not there', async () => {
    const before = await everything();
    const { status, body } = await create({ interface: 'wg9' });
    expect([status, body.code]).toEqual([404, 'INTERFACE_UNKNOWN']);
    expect(await everything()).toBe(before);
  });

  test.each([
    ['wg1', 'wireguard'],
    ['wg1', 'keenetic'],
    ['wg2', 'amneziavpn'],
    ['wg2', 'amneziawg-windows'],
  ])('never hands what is obfuscated on %s to %s, and makes nothing', async (name, client) => {
    const before = await everything();
    const { status, body } = await create({ interface: name, client });
    expect([status, body.code]).toEqual([409, 'CLIENT_UNFIT']);
    expect(body.recoveryHint).toMatch(/another program/);
    expect(await everything()).toBe(before);
  });

  test('tells a full pool as 503, and serves one more when one was removed', async () => {
    const only = await create({ interface: 'wg4' });
    expect((await get('/api/server-info?interface=wg4')).body.free_addresses).toBe(0);
    const before = await everything();
    const full = await create({ interface: 'wg4' });
    expect([full.status, full.body.code]).toEqual([503, 'POOL_EXHAUSTED']);
    expect(await everything()).toBe(before);
    await post('/api/remove-peer', { public_key: only.body.public_key });
    expect((await create({ interface: 'wg4' })).body.assigned_ip).toBe('10.4.0.2');
  });
});

describe('POST /api/remove-peer', () => {
  const remove = (publicKey: unknown): Promise<HubReply> => post('/api/remove-peer', { public_key: publicKey });

  test('removes a device on whichever interface it is, once, and says so in the audit log', async () => {
    const { body } = await create({ interface: 'wg1' });
    expect(await remove(body.public_key)).toMatchObject({ status: 200, body: { success: true } });
    expect((await hub.audit()).at(-1)).toMatchObject({
      event: 'peer_removed',
      detail: { by: 'token:backend', interface: 'wg1', public_key: body.public_key },
    });
    expect(await remove(body.public_key)).toMatchObject({ status: 404, body: { code: 'PEER_NOT_FOUND' } });
  });

  test.each(['spoke', 'gateway'] as const)('does not know a %s, which stays', async (kind) => {
    const { publicKey } = generateKeyPair();
    await commands().create({ name: kind, kind, publicKey }, COMMAND);
    const before = await everything();
    expect(await remove(publicKey)).toMatchObject({ status: 404, body: { code: 'PEER_NOT_FOUND' } });
    expect(await everything()).toBe(before);
  });

  test.each([
    ['nobody’s key', generateKeyPair().publicKey, 404, 'PEER_NOT_FOUND'],
    ['what is no key', 'abc', 400, 'INVALID_KEY'],
    ['a point of low order', Buffer.alloc(32).toString('base64'), 400, 'INVALID_KEY'],
    ['a number', 7, 400, 'INVALID_REQUEST'],
    ['nothing', undefined, 400, 'INVALID_REQUEST'],
  ])('refuses %s', async (_, publicKey, status, code) => {
    const before = await everything();
    const answer = await remove(publicKey);
    expect([answer.status, answer.body.code]).toEqual([status, code]);
    expect(await everything()).toBe(before);
  });
});

describe('GET /api/list-peers', () => {
  test('tells devices alone, a page at a time, each once', async () => {
    const { publicKey } = generateKeyPair();
    await commands().create({ name: 'not a device', kind: 'spoke', publicKey }, COMMAND);
    for (let made = 0; made < 3; made++) await create();
    const whole = (await get('/api/list-peers')).body;
    expect(whole).toMatchObject({ success: true, next: null });
    expect(whole.peers.length).toBeGreaterThan(3);
    const keys: string[] = [];
    let after: string | null = null;
    do {
      const { body }: HubReply = await get(`/api/list-peers?limit=2${after === null ? '' : `&after=${after}`}`);
      expect(body.peers.length).toBeLessThanOrEqual(2);
      keys.push(...body.peers.map((peer: { public_key: string }) => peer.public_key));
      after = body.next;
    } while (after !== null);
    expect(keys).toEqual(whole.peers.map((peer: { public_key: string }) => peer.public_key));
    expect(keys).not.toContain(publicKey);
  });

  test('has what a backend asks for of each', async () => {
    const { body } = await create({ user_id: 'cleo', device_name: 'tablet' });
    const { peers, looked_at } = (await get('/api/list-peers')).body;
    expect(peers.at(-1)).toEqual({
      public_key: body.public_key,
      user_id: 'cleo',
      device_name: 'tablet',
      status: 'pending',
      endpoint: null,
      allowed_ips: [],
      last_handshake: null,
      transfer_rx: 0,
      transfer_tx: 0,
    });
    expect(new Date(looked_at).toISOString()).toBe(looked_at);
  });

  test.each(['?limit=0', '?limit=1001', '?limit=x', '?after=x', '?offset=3', '?limit=1&limit=2'])(
    'refuses %s',
    async (query) => {
      expect(await get(`/api/list-peers${query}`)).toMatchObject({ status: 400, body: { code: 'INVALID_REQUEST' } });
    },
  );

  test('does not know an interface that is not there', async () => {
    expect(await get('/api/list-peers?interface=wg9')).toMatchObject({ status: 404 });
  });
});

describe('GET /api/server-info', () => {
  test('tells what a backend needs to choose a hub', async () => {
    const { body } = await get('/api/server-info?interface=wg1');
    const taken = (await get('/api/list-peers?interface=wg1')).body.peers.length;
    expect(body).toEqual({
      name: 'hub',
      status: 'online',
      interface: 'wg1',
      ip: '2001:db8::1',
      port: 51821,
      public_key: dualHigh.publicKey,
      dns: [],
      networks: dualHigh.networks,
      free_addresses: 253 - taken,
      amneziawg: '2.0',
    });
  });

  test('tells of the first interface unless told', async () => {
    expect((await get('/api/server-info')).body).toMatchObject({
      interface: 'wg0',
      ip: 'hub.example',
      amneziawg: null,
    });
  });
});

describe('without the scope for devices', () => {
  const calls = [
    ['POST', '/api/create-peer', phone],
    ['POST', '/api/remove-peer', { public_key: generateKeyPair().publicKey }],
    ['GET', '/api/list-peers', undefined],
    ['GET', '/api/server-info', undefined],
  ] as const;

  test.each(calls)('%s %s is refused', async (method, path, body) => {
    const before = await everything();
    const asked = body === undefined ? {} : { body };
    expect(await hub.request(method, path, asked)).toMatchObject({ status: 401, body: { code: 'UNAUTHORIZED' } });
    expect(await hub.request(method, path, { token: 'reader', ...asked })).toMatchObject({
      status: 403,
      body: { code: 'SCOPE_MISSING' },
    });
    expect(await everything()).toBe(before);
  });
});
