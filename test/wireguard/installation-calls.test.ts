import { createHash, randomBytes, verify } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generateKeyPair } from '../../wireguard/keys.ts';
import { installTokenHash } from '../../wireguard/spokes/install-token.ts';
import { changeInterface } from '../../wireguard/store/interface-change.ts';
import { countFreeAddresses } from '../../wireguard/store/peer-counts.ts';
import { allAtOnce } from './at-once.ts';
import { type HubAsk, type RunningHub, startRunningHub } from './running-hub.ts';

const SCOPES = [
  { name: 'ops', scopes: ['peers:read', 'peers:write', 'hub:write'] },
  { name: 'reader', scopes: ['peers:read'] },
] as const;
const HOUR = 3_600_000;

let hub: RunningHub;
let count = 0;
beforeAll(async () => {
  const spokes = { tokensPerHour: 100_000, hours: 24, otherSource: 'record' as const };
  hub = await startRunningHub({ tokens: SCOPES.map((one) => ({ ...one })), config: { spokes } });
});
afterAll(() => hub.stop());

async function invite(body: object = {}) {
  const order = { spokeName: `spoke-${count++}`, ...body };
  const reply = await hub.request('POST', '/api/installation/token', { token: 'ops', body: order });
  expect(reply.status, hub.log()).toBe(201);
  return reply.body;
}
const scriptPath = (token: string, query = '?platform=linux') => `/api/installation/script/${token}${query}`;
const fetchScript = (token: string, query?: string, ask: HubAsk = {}) =>
  hub.request('GET', scriptPath(token, query), ask);
const register = (token: string, more: object = {}, ask: HubAsk = {}) => {
  const body = { token, publicKey: generateKeyPair().publicKey, os: 'Debian GNU/Linux 12', ...more };
  return hub.request('POST', '/api/spoke/register', { body, ...ask });
};
/** What no refusal may change. */
const everything = () =>
  hub.data.store.read(async (db) =>
    JSON.stringify([
      await db.selectFrom('install_token').selectAll().orderBy('id').execute(),
      await db.selectFrom('peer').selectAll().orderBy('id').execute(),
      await db.selectFrom('free_range').selectAll().orderBy('first').execute(),
      await db.selectFrom('proxmox_node').selectAll().execute(),
    ]),
  );
const unknown = Buffer.alloc(32, 7).toString('base64url');

describe('POST /api/installation/token', () => {
  test.each([
    ['no name', {}, 'spokeName'],
    ['an empty name', { spokeName: '' }, 'spokeName'],
    ['a name of two lines', { spokeName: 'a\nb' }, 'spokeName'],
    ['a name of 65 characters', { spokeName: 'a'.repeat(65) }, 'spokeName'],
    ['a platform that is none', { spokeName: 'a', platform: 'plan9' }, 'platform'],
    ['no hours', { spokeName: 'a', expiresInHours: 0 }, 'expiresInHours'],
    ['too many hours', { spokeName: 'a', expiresInHours: 721 }, 'expiresInHours'],
    ['hours that are text', { spokeName: 'a', expiresInHours: '24' }, 'expiresInHours'],
    ['an address that is none', { spokeName: 'a', customIP: '10.0.1' }, 'customIP'],
    ['an address outside', { spokeName: 'a', customIP: '10.0.2.5' }, 'customIP'],
    ['the hub’s own address', { spokeName: 'a', customIP: '10.0.1.1' }, 'customIP'],
    ['the broadcast address', { spokeName: 'a', customIP: '10.0.1.255' }, 'customIP'],
    ['a cluster on Linux', { spokeName: 'a', platform: 'linux', clusterMembers: 2 }, 'clusterMembers'],
    ['a cluster of 65', { spokeName: 'a', platform: 'proxmox', clusterMembers: 65 }, 'clusterMembers'],
    ['a field that nobody knows', { spokeName: 'a', colour: 'red' }, 'colour'],
  ])('refuses %s, naming the field, and changes nothing', async (_, body, field) => {
    const before = await everything();
    const { status, body: said } = await hub.request('POST', '/api/installation/token', { token: 'ops', body });
    expect([status, said.field]).toEqual([400, field]);
    expect(await everything()).toBe(before);
  });

  test('refuses who may only read, and who has no credentials', async () => {
    const body = { spokeName: 'office' };
    const as = (ask: HubAsk) => hub.request('POST', '/api/installation/token', { body, ...ask });
    expect((await as({ token: 'reader' })).status).toBe(403);
    expect((await as({})).status).toBe(401);
  });

  test('answers the token once, with commands, hashes and signatures for each platform', async () => {
    const { success, token, installCommands, verifiedCommands, scripts, signingKey } = await invite();
    expect(success).toBe(true);
    expect(token).toMatchObject({ used: false, platform: null, interface: 'wg0', clusterMembers: 0, status: 'unused' });
    expect(token.token).toMatch(/^[\w-]{43}$/);
    expect(token.allowedIPs).toHaveLength(2);
    expect(Date.parse(token.expiresAt) - Date.parse(token.createdAt)).toBe(24 * HOUR);
    const platforms = ['linux', 'macos', 'proxmox', 'windows'];
    for (const of of [installCommands, verifiedCommands, scripts]) expect(Object.keys(of).sort()).toEqual(platforms);
    for (const platform of platforms) {
      expect(installCommands[platform]).toContain(`${hub.url}${scriptPath(token.token, `?platform=${platform}`)}`);
      expect(verifiedCommands[platform]).toContain(scripts[platform].sha256);
    }
    const listed = await hub.request('GET', '/api/installation/tokens', { token: 'reader' });
    expect(listed.text).toContain(token.id);
    expect(listed.text).not.toContain(token.token);
    expect((await hub.request('GET', '/api/installation/key')).text).toBe(signingKey);
  });

  test('keeps a wished address, which nobody else gets', async () => {
    expect((await invite({ customIP: '10.0.1.77' })).token.allowedIPs[0]).toBe('10.0.1.77/32');
    const body = { spokeName: 'other', customIP: '10.0.1.77' };
    const { status, body: said } = await hub.request('POST', '/api/installation/token', { token: 'ops', body });
    expect([status, said.code, said.field]).toEqual([409, 'IP_TAKEN', 'customIP']);
  });

  test('keeps no address of a network that the interface has no more, as another process may have changed it', async () => {
    const other = await startRunningHub({ tokens: [{ ...SCOPES[0] }] });
    const change = { networks: ['10.0.7.0/24'] };
    await other.data.store.transaction((tx) => changeInterface(tx, 'wg0', change, randomBytes));
    const made = await other.request('POST', '/api/installation/token', { token: 'ops', body: { spokeName: 'a' } });
    expect([made.status, made.body.code]).toEqual([503, 'INTERFACE_CHANGED']);
    const rows = await other.data.store.read((db) => db.selectFrom('install_token').selectAll().execute());
    expect(rows).toEqual([]);
    await other.stop();
  });

  test('is for plain interfaces: no installer brings what an obfuscated one needs', async () => {
    const other = await startRunningHub({
      tokens: [{ ...SCOPES[0] }],
      interface: { level: 'low', obfuscation: { Jc: 4, Jmin: 40, Jmax: 70 } as never },
    });
    const { status, body } = await other.request('POST', '/api/installation/token', {
      token: 'ops',
      body: { spokeName: 'a' },
    });
    expect([status, body.code]).toEqual([409, 'CLIENT_UNFIT']);
    await other.stop();
  });
});

describe('GET /api/installation/script/:token', () => {
  test.each([
    ['malformed', 'abc', 400, 'INVALID_TOKEN'],
    ['a letter too long', `${unknown}A`, 400, 'INVALID_TOKEN'],
    ['with bits that no token has', `${unknown.slice(0, 42)}9`, 400, 'INVALID_TOKEN'],
    ['unknown', unknown, 404, 'TOKEN_NOT_FOUND'],
  ])('refuses a token that is %s', async (_, token, status, code) => {
    const reply = await fetchScript(token, '?platform=linux', { from: '127.0.0.9' });
    expect([reply.status, reply.body.code]).toEqual([status, code]);
    expect(reply.body.recoveryHint).toBeTruthy();
  });

  test('says the same of a token that is revoked as of one that never was', async () => {
    const { token } = await invite();
    await hub.request('DELETE', `/api/installation/token/${token.id}`, { token: 'ops' });
    const revoked = await fetchScript(token.token, '?platform=linux', { from: '127.0.0.10' });
    const never = await fetchScript(unknown, '?platform=linux', { from: '127.0.0.10' });
    expect([revoked.status, revoked.text]).toEqual([404, never.text]);
    const tried = (await hub.audit()).filter(({ source }) => source === '127.0.0.10');
    expect(tried.map(({ reason }) => reason)).toEqual(['token_revoked', 'token_not_found']);
  });

  test.each([
    ['none', '', {}],
    ['one that there is not', '?platform=plan9', {}],
    ['another one than the token’s', '?platform=macos', { platform: 'linux' }],
  ])('refuses a platform that is %s, and the token is as good as before', async (_, query, order) => {
    const { token } = await invite(order);
    const reply = await fetchScript(token.token, query);
    expect([reply.status, reply.body.code]).toEqual([400, 'INVALID_PLATFORM']);
    expect((await fetchScript(token.token)).status).toBe(200);
  });

  test.each([
    ['linux', 'text/x-shellscript; charset=utf-8'],
    ['macos', 'text/x-shellscript; charset=utf-8'],
    ['proxmox', 'text/x-shellscript; charset=utf-8'],
    ['windows', 'text/plain; charset=utf-8'],
  ])('gives the script for %s, with the hash and the signature that were shown', async (platform, type) => {
    const { token, scripts, signingKey } = await invite();
    const { status, headers, text } = await fetchScript(token.token, `?platform=${platform}`);
    expect([status, headers['content-type'], headers['cache-control']]).toEqual([200, type, 'no-store']);
    const { sha256, signature } = scripts[platform];
    expect(createHash('sha256').update(text).digest('hex')).toBe(sha256);
    expect(verify(null, Buffer.from(text), signingKey, Buffer.from(signature, 'base64'))).toBe(true);
    expect(verify(null, Buffer.from(`${text} `), signingKey, Buffer.from(signature, 'base64'))).toBe(false);
  });

  test('gives it once: who comes later is told that it is used, at whatever platform', async () => {
    const { token } = await invite();
    expect((await fetchScript(token.token)).status).toBe(200);
    for (const query of ['?platform=linux', '?platform=windows']) {
      const { status, body } = await fetchScript(token.token, query);
      expect([status, body.code]).toEqual([410, 'TOKEN_ALREADY_USED']);
    }
  });

  test('of a hundred at once one gets it, and the others are told that it is used', async () => {
    const { token } = await invite();
    const replies = await allAtOnce(hub.data.store, 100, () => fetchScript(token.token));
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(replies.filter(({ body }) => body.code === 'TOKEN_ALREADY_USED')).toHaveLength(99);
  });

  test.each([
    ['HEAD', 'HEAD', {}, 200],
    ['a browser', 'GET', { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }, 406],
    ['a preview in a chat', 'GET', { 'user-agent': 'Slackbot-LinkExpanding 1.0' }, 406],
    ['another preview', 'GET', { 'user-agent': 'facebookexternalhit/1.1 Facebot Twitterbot/1.0' }, 406],
    ['a prefetching browser', 'GET', { 'sec-purpose': 'prefetch' }, 406],
  ])('is not used up by %s', async (_, method, headers, expected) => {
    const { token } = await invite();
    const reply = await hub.request(method, scriptPath(token.token), { headers });
    expect(reply.status).toBe(expected);
    if (method === 'HEAD') expect(reply.text).toBe('');
    expect((await fetchScript(token.token, undefined, { headers: { 'user-agent': 'curl/8.5.0' } })).status).toBe(200);
    expect((await hub.request('HEAD', scriptPath(token.token))).status).toBe(410);
  });

  test('is over when its time is', async () => {
    const { token } = await invite({ expiresInHours: 1 });
    hub.clock.skew += HOUR + 5000;
    const { status, body } = await fetchScript(token.token);
    expect([status, body.code]).toEqual([410, 'TOKEN_EXPIRED']);
  });

  test('is written down with source and program, without the token', async () => {
    const { token } = await invite();
    await fetchScript(token.token, undefined, { from: '127.0.0.33', headers: { 'user-agent': 'curl/8.5.0' } });
    const record = (await hub.audit()).findLast(({ event }) => event === 'installer_fetched');
    expect(record).toMatchObject({
      source: '127.0.0.33',
      detail: { token: token.id, agent: 'curl/8.5.0', platform: 'linux' },
    });
    expect(JSON.stringify(await hub.audit())).not.toContain(token.token);
    expect(hub.log()).not.toContain(token.token);
  });

  test('is written down without what in a program’s name could steer the terminal of a reader', async () => {
    const { token } = await invite();
    await fetchScript(token.token, undefined, { headers: { 'user-agent': 'a\u009b31mb\u0085c\u00e9' } });
    const listed = await hub.request('GET', '/api/installation/tokens?limit=1', { token: 'reader' });
    expect(listed.body.tokens[0].fetchedWith).toBe('a?31mb?c\u00e9');
  });

  test('tells a source that guesses to wait, and lets a good token of the same source in', async () => {
    const { token } = await invite();
    const from = '127.0.0.66';
    const guesses = Array.from({ length: 60 }, (_, at) => Buffer.alloc(32, at).toString('base64url'));
    const statuses: number[] = [];
    for (const guess of guesses) statuses.push((await fetchScript(guess, undefined, { from })).status);
    expect(new Set(statuses)).toEqual(new Set([404, 429]));
    expect((await fetchScript(token.token, undefined, { from })).status).toBe(200);
  });

  test('is the same bytes whatever the hub is called meanwhile, or by whichever hub on its database it is given', async () => {
    const { token, scripts } = await invite();
    const other = hub.data.config;
    Object.assign(other, { name: 'another', publicUrl: 'https://another.example' });
    const { status, text } = await fetchScript(token.token);
    Object.assign(other, { name: 'hub', publicUrl: null });
    expect(status).toBe(200);
    expect(createHash('sha256').update(text).digest('hex')).toBe(scripts.linux.sha256);
  });

  test.each(['wg+1', '-wg', 'a=b'])(
    'names the tunnel wg0 where %s is no name that every machine takes',
    async (name) => {
      const other = await startRunningHub({ tokens: [{ ...SCOPES[0] }], interface: { name } });
      const ask = { token: 'ops', body: { spokeName: 'office' } };
      const { token } = (await other.request('POST', '/api/installation/token', ask)).body;
      expect((await other.request('GET', scriptPath(token.token))).text).toContain("\nTUNNEL='wg0'\n");
      await other.stop();
    },
  );

  test('refuses when the hub makes another script by now, and the token is as good as before', async () => {
    const { token } = await invite();
    const scripts = JSON.stringify({ linux: '0'.repeat(64) });
    const set = (text: string) =>
      hub.data.store.transaction((tx) =>
        tx.updateTable('install_token').set({ scripts: text }).where('id', '=', token.id).execute(),
      );
    const row = await hub.data.store.read((db) =>
      db.selectFrom('install_token').select('scripts').where('id', '=', token.id).executeTakeFirstOrThrow(),
    );
    await set(scripts);
    const { status, body } = await fetchScript(token.token);
    expect([status, body.code]).toEqual([409, 'SCRIPT_CHANGED']);
    await set(row.scripts);
    expect((await fetchScript(token.token)).status).toBe(200);
  });
});

describe('POST /api/spoke/register', () => {
  const fetched = async (order: object = {}, platform = 'linux', ask: HubAsk = {}) => {
    const { token } = await invite(order);
    expect((await fetchScript(token.token, `?platform=${platform}`, ask)).status).toBe(200);
    return token;
  };
  const lowOrder = Buffer.alloc(32).toString('base64');

  test.each([
    ['no token', { token: undefined }, 400, 'INVALID_REQUEST'],
    ['a malformed token', { token: 'abc' }, 400, 'INVALID_TOKEN'],
    ['an unknown token', { token: unknown }, 404, 'TOKEN_NOT_FOUND'],
    ['no key', { publicKey: undefined }, 400, 'INVALID_REQUEST'],
    ['a key that is none', { publicKey: 'abc' }, 400, 'INVALID_PUBLIC_KEY'],
    ['a key of low order', { publicKey: lowOrder }, 400, 'INVALID_PUBLIC_KEY'],
    ['no system', { os: undefined }, 400, 'INVALID_REQUEST'],
    ['a system of 129 characters', { os: 'x'.repeat(129) }, 400, 'INVALID_REQUEST'],
    ['a system of two lines', { os: 'a\nb' }, 400, 'INVALID_REQUEST'],
    ['metadata of more than 4 KiB', { metadata: { note: 'x'.repeat(5000) } }, 400, 'INVALID_REQUEST'],
    ['metadata of more than a body', { metadata: { note: 'x'.repeat(20_000) } }, 413, 'BODY_TOO_LARGE'],
    ['metadata that is a list', { metadata: [] }, 400, 'INVALID_REQUEST'],
    ['a Proxmox node with the script for Linux', { isProxmox: true, proxmoxNodeName: 'pve1' }, 400, 'INVALID_PLATFORM'],
    ['a Proxmox node without a name', { isProxmox: true }, 400, 'INVALID_REQUEST'],
    ['a cluster that is no Proxmox', { proxmoxClusterName: 'lab' }, 400, 'INVALID_REQUEST'],
    ['a field that nobody knows', { colour: 'red' }, 400, 'INVALID_REQUEST'],
  ])('refuses %s, changes nothing, and the token is as good as before', async (_, wrong, status, code) => {
    const token = await fetched();
    const before = await everything();
    const reply = await register(token.token, wrong, { from: '127.0.0.20' });
    expect([reply.status, reply.body.code]).toEqual([status, code]);
    expect(await everything()).toBe(before);
    expect((await register(token.token)).status).toBe(201);
  });

  test.each([33, 8000])('refuses metadata of %i levels, on which a reader of lists may choke', async (depth) => {
    const token = await fetched();
    const { publicKey } = generateKeyPair();
    const body = (levels: number) => {
      const metadata = `{"a":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`;
      return `{"token":"${token.token}","publicKey":"${publicKey}","os":"Debian","metadata":${metadata}}`;
    };
    const deep = await hub.request('POST', '/api/spoke/register', { body: body(depth) });
    expect([deep.status, deep.body.field]).toEqual([400, 'metadata']);
    expect((await hub.request('POST', '/api/spoke/register', { body: body(32) })).status).toBe(201);
  });

  test('refuses a key that another peer has', async () => {
    const { publicKey } = generateKeyPair();
    expect((await register((await fetched()).token, { publicKey })).status).toBe(201);
    const token = await fetched();
    const { status, body } = await register(token.token, { publicKey });
    expect([status, body.code]).toEqual([409, 'PUBLIC_KEY_EXISTS']);
    expect((await register(token.token)).status).toBe(201);
  });

  test('is for what the script was for, and says which', async () => {
    const facts = { isProxmox: true, proxmoxNodeName: 'pve1' };
    const linux = await fetched();
    const asNode = await register(linux.token, facts);
    expect([asNode.body.code, asNode.body.error]).toEqual([
      'INVALID_PLATFORM',
      '"platform" is linux: the script was not for Proxmox',
    ]);
    const proxmox = await fetched({ platform: 'proxmox' }, 'proxmox');
    const asOther = await register(proxmox.token);
    expect([asOther.status, asOther.body.error]).toEqual([400, '"platform" is proxmox: "isProxmox" must be true']);
    expect((await register(proxmox.token, facts)).status).toBe(201);
  });

  test('refuses a token whose script nobody has fetched', async () => {
    const { token } = await invite();
    const { status, body } = await register(token.token);
    expect([status, body.code]).toEqual([404, 'TOKEN_NOT_FOUND']);
    expect((await fetchScript(token.token)).status).toBe(200);
  });

  test('is good once: of a hundred at once one wins', async () => {
    const token = await fetched();
    const replies = await allAtOnce(hub.data.store, 100, () => register(token.token));
    expect(replies.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(replies.filter(({ body }) => body.code === 'TOKEN_ALREADY_USED')).toHaveLength(99);
    const peers = await hub.data.store.read((db) =>
      db.selectFrom('peer').select('id').where('id', '=', token.spokeId).execute(),
    );
    expect(peers).toHaveLength(1);
  });

  test('is good for half an hour after the download', async () => {
    const token = await fetched();
    hub.clock.skew += HOUR / 2 + 1000;
    const { status, body } = await register(token.token);
    expect([status, body.code]).toEqual([410, 'TOKEN_EXPIRED']);
  });

  test('answers the spoke, pending, with the address that was kept, and what its tunnel needs', async () => {
    const token = await fetched({ spokeName: 'office in Bern' });
    const { publicKey } = generateKeyPair();
    const { status, body } = await register(token.token, { publicKey, metadata: { rack: 7 } });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      success: true,
      live: true,
      spoke: {
        id: token.spokeId,
        name: 'office in Bern',
        kind: 'spoke',
        status: 'pending',
        publicKey,
        os: 'Debian GNU/Linux 12',
        metadata: { rack: 7 },
        proxmox: null,
      },
      config: { endpoint: 'hub.example:51820', hubAddresses: ['10.0.1.1', 'fd42:4242:1::1'], persistentKeepalive: 25 },
    });
    expect(body.spoke.addresses).toEqual(token.allowedIPs);
    expect(body.configText).toContain(`Address = ${token.allowedIPs[0]}`);
    expect(body.configText).not.toContain('PrivateKey');
    const after = await hub.request('GET', '/api/installation/tokens?status=used&limit=1', { token: 'reader' });
    expect(after.body.tokens[0]).toMatchObject({ id: token.id, used: true, registeredFrom: '127.0.0.1' });
  });

  test('answers scripts in text, facts first', async () => {
    const token = await fetched();
    const { status, text, headers } = await register(token.token, {}, { headers: { Accept: 'text/plain' } });
    expect([status, headers['content-type']]).toEqual([201, 'text/plain; charset=utf-8']);
    const lines = text.split('\n');
    expect(lines.slice(0, 2)).toEqual([`# spoke: ${token.spokeId}`, `# name: ${token.spokeName}`]);
    expect(lines).toContain('# hub-address: 10.0.1.1');
    expect(lines).toContain('[Interface]');
    expect(text).not.toContain('PrivateKey');
  });

  test('from another address than the download is written down', async () => {
    const token = await fetched({}, 'linux', { from: '127.0.0.40' });
    const ask = { from: '127.0.0.41', headers: { 'user-agent': 'curl/8.5.0' } };
    expect((await register(token.token, {}, ask)).status).toBe(201);
    const record = (await hub.audit()).findLast(({ event }) => event === 'spoke_registered');
    const detail = { fetched_from: '127.0.0.40', other_source: true, agent: 'curl/8.5.0' };
    expect(record).toMatchObject({ source: '127.0.0.41', detail });
  });

  test('from another address than the download is refused where that is the policy, and good from the first one', async () => {
    const strict = await startRunningHub({
      tokens: [{ ...SCOPES[0] }],
      config: { spokes: { tokensPerHour: 3, hours: 1, otherSource: 'refuse' } },
    });
    const ask = { token: 'ops', body: { spokeName: 'office' } };
    const { token } = (await strict.request('POST', '/api/installation/token', ask)).body;
    await strict.request('GET', scriptPath(token.token), { from: '127.0.0.40' });
    const body = { token: token.token, publicKey: generateKeyPair().publicKey, os: 'Debian' };
    const wrong = await strict.request('POST', '/api/spoke/register', { body, from: '127.0.0.41' });
    expect([wrong.status, wrong.body.code]).toEqual([403, 'SOURCE_CHANGED']);
    expect((await strict.request('POST', '/api/spoke/register', { body, from: '127.0.0.40' })).status).toBe(201);
    // nor are members invited from elsewhere
    const cluster = { spokeName: 'pve1', platform: 'proxmox', clusterMembers: 2 };
    const made = await strict.request('POST', '/api/installation/token', { token: 'ops', body: cluster });
    const { token: text } = made.body.token;
    await strict.request('GET', scriptPath(text, '?platform=proxmox'), { from: '127.0.0.40' });
    const facts = { token: text, os: 'Debian', isProxmox: true, proxmoxNodeName: 'pve1' };
    const node = { body: { ...facts, publicKey: generateKeyPair().publicKey }, from: '127.0.0.40' };
    expect((await strict.request('POST', '/api/spoke/register', node)).status).toBe(201);
    const members = { token: text, members: ['pve2'] };
    const stranger = await strict.request('POST', '/api/proxmox/members', { body: members, from: '127.0.0.41' });
    expect([stranger.status, stranger.body.code]).toEqual([403, 'SOURCE_CHANGED']);
    const own = await strict.request('POST', '/api/proxmox/members', { body: members, from: '127.0.0.40' });
    expect(own.status).toBe(201);
    // and three tokens an hour are three
    for (const status of [201, 429]) {
      expect((await strict.request('POST', '/api/installation/token', ask)).status).toBe(status);
    }
    const other = await strict.request('POST', '/api/installation/token', { ...ask, from: '127.0.0.8' });
    expect(other.status).toBe(201);
    await strict.stop();
  });

  test('takes the address that was kept even when the pool is empty otherwise', async () => {
    const small = await startRunningHub({
      tokens: [{ ...SCOPES[0] }],
      interface: { networks: ['10.9.0.0/30'], addresses: ['10.9.0.1/30'] },
    });
    const ask = { token: 'ops', body: { spokeName: 'only' } };
    const { token } = (await small.request('POST', '/api/installation/token', ask)).body;
    const more = await small.request('POST', '/api/installation/token', ask);
    expect([more.status, more.body.code]).toEqual([503, 'POOL_EXHAUSTED']);
    const peer = await small.request('POST', '/api/peers', { token: 'ops', body: { name: 'phone' } });
    expect([peer.status, peer.body.code]).toEqual([503, 'POOL_EXHAUSTED']);
    await small.request('GET', scriptPath(token.token));
    const body = { token: token.token, publicKey: generateKeyPair().publicKey, os: 'Debian' };
    const { body: made } = await small.request('POST', '/api/spoke/register', { body });
    expect(made.spoke.addresses).toEqual(['10.9.0.2/32']);
    // an unfetched token gives its address back when its time is over, to whoever asks next
    await small.request('DELETE', `/api/peers/${made.spoke.id}`, { token: 'ops' });
    expect((await small.request('POST', '/api/installation/token', ask)).status).toBe(201);
    small.clock.skew += 25 * HOUR;
    expect((await small.request('POST', '/api/installation/token', ask)).status).toBe(201);
    await small.stop();
  });
});

describe('POST /api/spoke/withdraw', () => {
  const registered = async () => {
    const { token } = await invite();
    await fetchScript(token.token);
    const { publicKey } = generateKeyPair();
    await register(token.token, { publicKey });
    return { token, publicKey };
  };
  const withdraw = (token: string, publicKey: string) =>
    hub.request('POST', '/api/spoke/withdraw', { body: { token, publicKey }, from: '127.0.0.50' });

  test('takes a spoke back that never was heard, once', async () => {
    const { token, publicKey } = await registered();
    expect((await withdraw(token.token, publicKey)).body).toEqual({ success: true });
    expect((await hub.request('GET', `/api/peers/${token.spokeId}`, { token: 'reader' })).status).toBe(404);
    expect((await withdraw(token.token, publicKey)).status).toBe(404);
  });

  test('refuses another key, another token, an active spoke, and a late hour', async () => {
    const { token, publicKey } = await registered();
    expect((await withdraw(token.token, generateKeyPair().publicKey)).body.code).toBe('TOKEN_NOT_FOUND');
    const { token: unfetched } = await invite();
    expect((await withdraw(unfetched.token, publicKey)).body.code).toBe('TOKEN_NOT_FOUND');
    const touch = (at: number | null) =>
      hub.data.store.transaction((tx) =>
        tx.updateTable('peer').set({ last_handshake: at }).where('id', '=', token.spokeId).execute(),
      );
    await touch(hub.clock.now());
    const active = await withdraw(token.token, publicKey);
    expect([active.status, active.body.code]).toEqual([409, 'SPOKE_ACTIVE']);
    await touch(null);
    hub.clock.skew += HOUR + 1000;
    const late = await withdraw(token.token, publicKey);
    expect([late.status, late.body.code]).toEqual([410, 'TOKEN_EXPIRED']);
  });
});

describe('POST /api/proxmox/members', () => {
  const node = async (clusterMembers: number) => {
    const { token } = await invite({ platform: 'proxmox', clusterMembers });
    await fetchScript(token.token, '?platform=proxmox');
    const facts = { isProxmox: true, proxmoxNodeName: 'pve1', proxmoxClusterName: 'lab', proxmoxVersion: '9.1.6' };
    const { status, body } = await register(token.token, facts);
    expect([status, body.spoke.proxmox]).toMatchObject([
      201,
      { nodeName: 'pve1', clusterName: 'lab', version: '9.1.6' },
    ]);
    expect(body.spoke.proxmox.clusterId).toMatch(/^[0-9a-f]{24}$/);
    return token.token as string;
  };
  const ask = (token: string, members: unknown, headers = {}) =>
    hub.request('POST', '/api/proxmox/members', { body: { token, members }, headers });

  test('gives one token for each member, once, each good for one node', async () => {
    const token = await node(3);
    const { status, body } = await ask(token, ['pve2', 'pve3']);
    expect(status).toBe(201);
    expect(body.members.map(({ nodeName }: { nodeName: string }) => nodeName)).toEqual(['pve2', 'pve3']);
    const again = await ask(token, ['pve4']);
    expect([again.status, again.body.code]).toEqual([410, 'TOKEN_ALREADY_USED']);
    const [second] = body.members;
    expect((await fetchScript(second.token, '?platform=linux')).body.code).toBe('INVALID_PLATFORM');
    expect((await fetchScript(second.token, '')).status).toBe(200);
    const facts = { isProxmox: true, proxmoxNodeName: 'pve2', proxmoxClusterName: 'lab' };
    expect((await register(second.token, facts)).status).toBe(201);
    // a member invites nobody
    expect((await ask(second.token, ['pve9'])).body.code).toBe('MEMBERS_NOT_ALLOWED');
  });

  test('gives them once: of twenty at once one gets them, and the others are told', async () => {
    const token = await node(2);
    const replies = await allAtOnce(hub.data.store, 20, () => ask(token, ['pve2', 'pve3']));
    expect(replies.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(replies.filter(({ body }) => body.code === 'TOKEN_ALREADY_USED')).toHaveLength(19);
  });

  test('answers scripts in text: node, URL and hash', async () => {
    const { status, text } = await ask(await node(2), ['pve2', 'pve3'], { Accept: 'text/plain' });
    expect(status).toBe(201);
    expect(text).toMatch(/^(pve[23]\thttp:\/\/\S+\?platform=proxmox\t[0-9a-f]{64}\n){2}$/);
  });

  test.each([
    ['removed', 'DELETE', '', 'TOKEN_NOT_FOUND'],
    ['switched off', 'POST', '/disable', 'MEMBERS_NOT_ALLOWED'],
  ])('refuses a node whose spoke was %s meanwhile, and keeps no address for anybody', async (_, method, end, code) => {
    const token = await node(2);
    const listed = await hub.request('GET', '/api/installation/tokens?limit=1', { token: 'reader' });
    const [{ spokeId }] = listed.body.tokens;
    expect((await hub.request(method, `/api/peers/${spokeId}${end}`, { token: 'ops' })).status).toBe(200);
    const before = await everything();
    expect((await ask(token, ['pve2'])).body.code).toBe(code);
    expect(await everything()).toBe(before);
  });

  test('what a node has invited and nobody has fetched is over when the node is removed, its addresses free', async () => {
    const token = await node(3);
    const { body } = await ask(token, ['pve2', 'pve3', 'pve4']);
    const [fetched, second, third] = body.members.map((one: { token: string }) => one.token);
    const other = await invite();
    expect((await fetchScript(fetched, '')).status).toBe(200);
    const rows = () =>
      hub.data.store.read((db) => db.selectFrom('install_token').select(['spoke_id', 'parent', 'end']).execute());
    const made = hub.data.store.read((db) =>
      db
        .selectFrom('install_token')
        .select(['id', 'spoke_id'])
        .where('token_hash', '=', installTokenHash(token))
        .executeTakeFirstOrThrow(),
    );
    const { id: parent } = await made;
    const remove = `/api/spoke/${(await made).spoke_id}`;
    const free = async () => Number((await hub.data.store.read(countFreeAddresses)).get('wg0'));
    const before = await free();
    expect((await hub.request('DELETE', remove, { token: 'ops' })).status).toBe(200);
    expect(await free()).toBe(before + 3); // its own, and those of two
    for (const one of [second, third]) expect((await fetchScript(one, '')).body.code).toBe('TOKEN_NOT_FOUND');
    const ends = (await rows()).filter((row) => row.parent === parent).map(({ end }) => end);
    expect(ends.sort()).toEqual(['revoked', 'revoked', null].sort());
    const record = (await hub.audit()).findLast(({ event }) => event === 'install_token_revoked');
    expect(record?.detail).toMatchObject({ by: 'token:ops', invited_by: (await made).spoke_id });
    // one whose script is out is as good as any, and one that somebody else made too
    const facts = { isProxmox: true, proxmoxNodeName: 'pve2', proxmoxClusterName: 'lab' };
    expect((await register(fetched, facts)).status).toBe(201);
    expect((await fetchScript(other.token.token)).status).toBe(200);
  });

  test('refuses more than the token is good for, names that are none, and tokens of others, all or nothing', async () => {
    const token = await node(1);
    const before = await everything();
    expect((await ask(token, ['pve2', 'pve3'])).body.code).toBe('MEMBERS_NOT_ALLOWED');
    expect((await ask(await node(0), ['pve2'])).body.code).toBe('MEMBERS_NOT_ALLOWED');
    for (const names of [[], ['a b'], ['$(id)'], ['-x'], ['pve2', 'PVE2'], 'pve2']) {
      expect((await ask(token, names)).body.code).toBe('INVALID_REQUEST');
    }
    expect((await ask((await invite({ platform: 'proxmox', clusterMembers: 2 })).token.token, ['pve2'])).status).toBe(
      404,
    );
    expect(before).not.toBe(''); // what was refused left this token as it was
    expect((await ask(token, ['pve2'])).status).toBe(201);
  });
});

describe('tokens that are over', () => {
  test('are listed by state, and can be revoked only while nobody has their script', async () => {
    const { token } = await invite();
    const list = (status: string) =>
      hub.request('GET', `/api/installation/tokens?status=${status}`, { token: 'reader' });
    const ids = async (status: string) => ((await list(status)).body.tokens as { id: string }[]).map(({ id }) => id);
    expect(await ids('unused')).toContain(token.id);
    await fetchScript(token.token);
    expect(await ids('used')).toContain(token.id);
    const late = await hub.request('DELETE', `/api/installation/token/${token.id}`, { token: 'ops' });
    expect([late.status, late.body.code]).toEqual([400, 'TOKEN_ALREADY_USED']);
    expect((await list('lost')).status).toBe(400);
    expect((await hub.request('DELETE', '/api/installation/token/nobody', { token: 'ops' })).status).toBe(404);
    expect((await hub.request('DELETE', `/api/installation/token/${token.id}`, { token: 'reader' })).status).toBe(403);
  });

  test('are listed page by page, each once, also while more are made', async () => {
    for (let made = 0; made < 5; made++) await invite({ expiresInHours: 2 });
    const pages: string[][] = [];
    let after = '';
    const { counts } = (await hub.request('GET', '/api/installation/tokens', { token: 'reader' })).body;
    do {
      const path = `/api/installation/tokens?limit=7${after === '' ? '' : `&after=${after}`}`;
      const { body, status } = await hub.request('GET', path, { token: 'reader' });
      expect(status).toBe(200);
      pages.push(body.tokens.map(({ id }: { id: string }) => id));
      after = body.next ?? '';
      if (pages.length === 1) await invite();
    } while (after !== '');
    expect(pages.slice(0, -1).every((page) => page.length === 7)).toBe(true);
    expect(new Set(pages.flat()).size).toBe(counts.total);
    expect(pages.flat()).toHaveLength(counts.total);
    for (const wrong of ['limit=0', 'limit=1001', 'after=x', "after=1-'", 'after=']) {
      const { status } = await hub.request('GET', `/api/installation/tokens?${wrong}`, { token: 'reader' });
      expect(status, wrong).toBe(400);
    }
  });

  test('one whose script is in wrong hands is revoked when that is said, and who has the script does not join', async () => {
    const { token } = await invite({ customIP: '10.0.1.99' });
    await fetchScript(token.token);
    const before = await everything();
    const revoke = (query: string) =>
      hub.request('DELETE', `/api/installation/token/${token.id}${query}`, { token: 'ops' });
    for (const [query, code] of [
      ['', 'TOKEN_ALREADY_USED'],
      ['?fetched=false', 'TOKEN_ALREADY_USED'],
      ['?fetched=yes', 'INVALID_REQUEST'],
      ['?fetched=', 'INVALID_REQUEST'],
      ['?force=true', 'INVALID_REQUEST'],
    ] as const) {
      const { status, body } = await revoke(query);
      expect([status, body.code], query).toEqual([400, code]);
    }
    expect(await everything()).toBe(before);
    expect((await revoke('?fetched=true')).status).toBe(200);
    const late = await register(token.token, {}, { from: '127.0.0.51' });
    expect([late.status, late.body.code]).toEqual([404, 'TOKEN_NOT_FOUND']);
    expect((await hub.audit()).at(-1)).toMatchObject({ source: '127.0.0.51', reason: 'token_revoked' });
    expect((await fetchScript(token.token, undefined, { from: '127.0.0.51' })).status).toBe(404);
    expect((await hub.audit()).findLast(({ event }) => event === 'install_token_revoked')?.detail).toMatchObject({
      by: 'token:ops',
      token: token.id,
      fetched: true,
    });
    expect((await invite({ customIP: '10.0.1.99' })).token.allowedIPs[0]).toBe('10.0.1.99/32');
    // a spoke that joined is removed, not its token
    const joined = await invite();
    await fetchScript(joined.token.token);
    expect((await register(joined.token.token)).status).toBe(201);
    const used = `/api/installation/token/${joined.token.id}?fetched=true`;
    expect((await hub.request('DELETE', used, { token: 'ops' })).body.code).toBe('TOKEN_ALREADY_USED');
  });
});
