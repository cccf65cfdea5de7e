import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sha256 } from '../../platform/encoding.ts';
import { call, type HonestClient } from './honest-client.ts';
import { masterKeyId } from './made-server.ts';
import { RunningServer } from './running-server.ts';

const key = Buffer.from('the sealed private key of an instance');
let server: RunningServer;

beforeEach(async () => {
  server = await RunningServer.start({ clients: 2, key, basic: true });
});

afterEach(() => server.remove());

const get = (client: HonestClient) => call(server, 'GET', '/key', client.openHeaders());
const put = (client: HonestClient, id: string, body: unknown) =>
  call(server, 'PUT', `/v1/keys/${id}`, client.headers(), body);

describe('GET /key', () => {
  test('takes a code once, and the next one of a later step', async () => {
    const client = server.client();
    const first = await get(client);
    expect([first.status, first.body]).toEqual([200, { key: key.toString('base64') }]);
    expect((await get(client)).status).toBe(401);
    server.skew = 30_000;
    expect((await get(client)).status).toBe(200);
    expect((await server.events()).filter((event) => event === 'key_released')).toHaveLength(2);
  });

  test('takes a code once also across a restart and for two requests at the same time', async () => {
    const client = server.client();
    const both = await Promise.all([get(client), get(client)]);
    expect(both.map(({ status }) => status).sort()).toEqual([200, 401]);
    await server.stop();
    await server.resume();
    expect((await get(client)).status).toBe(401);
  });

  test('is refused to a client for whom it was not enabled', async () => {
    await server.beside((tx) => tx.updateTable('client').set({ basic: 0 }).execute());
    const answer = await get(server.client());
    expect([answer.status, answer.body.code]).toEqual([403, 'basic_disabled']);
    const stranger = { ...server.client().openHeaders(), 'X-Auth-Token': 'A'.repeat(43) };
    expect((await call(server, 'GET', '/key', stranger)).status).toBe(401);
  });

  test('gives the only master key among several, and refuses to guess', async () => {
    const client = server.client();
    const { grant } = client.credentials;
    await put(client, 'pubShare_1.privateKey', { key: 'AAAA', grant });
    expect((await get(client)).body.key).toBe(key.toString('base64'));
    await put(client, 'master_2.privateKey', { key: 'AAAA', grant });
    server.skew = 30_000;
    const answer = await get(client);
    expect([answer.status, answer.body.code]).toEqual([409, 'key_ambiguous']);
  });

  test('of a client without a key is 404', async () => {
    await server.beside((tx) => tx.deleteFrom('stored_key').execute());
    expect((await get(server.client())).status).toBe(404);
  });

  test('is closed to a locked client', async () => {
    await server.beside((tx) => tx.updateTable('client').set({ state: 'locked' }).execute());
    expect((await get(server.client())).body).toMatchObject({ code: 'locked', reason: 'fork' });
  });
});

describe('PUT /v1/keys/{id}', () => {
  const other = Buffer.from('another key').toString('base64');

  test('stores once, says 200 for the same bytes and 409 for others', async () => {
    const client = server.client();
    const { grant } = client.credentials;
    const stored = await put(client, 'a.privateKey', { key: other, grant });
    const digest = sha256(Buffer.from(other, 'base64')).toString('hex');
    expect([stored.status, stored.body]).toEqual([201, { id: 'a.privateKey', sha256: digest }]);
    const before = await server.everything();
    expect((await put(client, 'a.privateKey', { key: other, grant })).status).toBe(200);
    const refused = await put(client, masterKeyId, { key: other, grant });
    expect([refused.status, refused.body.code]).toEqual([409, 'key_exists']);
    expect(await server.everything()).toBe(before);
    expect((await server.events()).filter((event) => event === 'key_stored')).toHaveLength(1);
  });

  test('refuses a made-up grant, another client’s, an old and a spent one', async () => {
    const [client, neighbour] = [server.client(0), server.client(1)];
    const before = await server.everything();
    for (const grant of ['A'.repeat(43), neighbour.credentials.grant]) {
      const answer = await put(client, 'a.privateKey', { key: other, grant });
      expect([answer.status, answer.body.code]).toEqual([403, 'grant_refused']);
    }
    server.skew = 3_600_000;
    const late = await put(client, 'a.privateKey', { key: other, grant: client.credentials.grant });
    expect(late.body.code).toBe('grant_refused');
    expect(await server.everything()).toBe(before);
  });

  test('serves one escrow run of ten minutes from its first use', async () => {
    const client = server.client();
    const { grant } = client.credentials;
    server.skew = 3_599_000;
    expect((await put(client, 'a.privateKey', { key: other, grant })).status).toBe(201);
    server.skew += 590_000;
    expect((await put(client, 'b.privateKey', { key: other, grant })).status).toBe(201);
    server.skew += 11_000;
    expect((await put(client, 'c.privateKey', { key: other, grant })).body.code).toBe('grant_refused');
  });

  test('needs the token as well as the grant', async () => {
    const client = server.client();
    const headers = { ...client.headers(), 'X-Auth-Token': 'A'.repeat(43) };
    const body = { key: other, grant: client.credentials.grant };
    expect((await call(server, 'PUT', '/v1/keys/a.privateKey', headers, body)).status).toBe(401);
  });
});
