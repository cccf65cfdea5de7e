import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningHub, startRunningHub } from './running-hub.ts';

let hub: RunningHub;

beforeAll(async () => {
  hub = await startRunningHub({
    tokens: [
      { name: 'keeper', scopes: ['access:write', 'devices'] },
      { name: 'metrics', scopes: ['metrics:read'] },
      { name: 'auditor', scopes: ['audit:read'] },
    ],
    accounts: [{ name: 'ann', role: 'admin' }],
  });
  await hub.login('ann');
});
afterAll(() => hub.stop());

const make = (body: unknown, token = 'ann') => hub.request('POST', '/api/tokens', { token, body });
const list = async () => (await hub.request('GET', '/api/tokens', { token: 'ann' })).body.tokens;
const names = async () => (await list()).map(({ name }: { name: string }) => name);

describe('POST /api/tokens', () => {
  test.each([
    ['no name', { scopes: ['devices'] }, 'name'],
    ['a name with a line break', { name: 'a\nb', scopes: ['devices'] }, 'name'],
    ['no scopes', { name: 'new' }, 'scopes'],
    ['an empty list of scopes', { name: 'new', scopes: [] }, 'scopes'],
    ['a scope that there is not', { name: 'new', scopes: ['root'] }, 'scopes.0'],
    ['a scope twice', { name: 'new', scopes: ['devices', 'devices'] }, 'scopes'],
    ['a life of no days', { name: 'new', scopes: ['devices'], expiresInDays: 0 }, 'expiresInDays'],
    ['a life of half a day', { name: 'new', scopes: ['devices'], expiresInDays: 0.5 }, 'expiresInDays'],
    ['a field more', { name: 'new', scopes: ['devices'], token: 'lkt_x' }, 'token'],
    ['a list', [], 'body'],
  ])('refuses %s, naming the field, and makes none', async (_, body, field) => {
    const before = await names();
    expect(await make(body)).toMatchObject({ status: 400, body: { code: 'INVALID_REQUEST', field } });
    expect(await names()).toEqual(before);
  });

  test('refuses a name that is taken', async () => {
    expect(await make({ name: 'metrics', scopes: ['devices'] })).toMatchObject({
      status: 409,
      body: { code: 'TOKEN_EXISTS', field: 'name' },
    });
  });

  test('gives nobody more than they have themselves', async () => {
    const before = await names();
    const answer = await make({ name: 'more', scopes: ['devices', 'audit:read'] }, 'keeper');
    expect(answer).toMatchObject({ status: 403, body: { code: 'SCOPE_MISSING', field: 'scopes' } });
    expect(await names()).toEqual(before);
    expect((await make({ name: 'less', scopes: ['devices'] }, 'keeper')).status).toBe(201);
  });

  test('answers a token once, and it is good until it is removed', async () => {
    const { status, body, headers } = await make({ name: 'new', scopes: ['metrics:read'], expiresInDays: 7 });
    expect(status).toBe(201);
    expect(headers['cache-control']).toBe('no-store');
    expect(body).toMatchObject({ name: 'new', scopes: ['metrics:read'], usedAt: null });
    expect(Date.parse(body.expiresAt) - Date.parse(body.createdAt)).toBe(7 * 86_400_000);
    const metrics = () => hub.request('GET', '/api/metrics', { token: body.token });
    expect((await metrics()).status).toBe(200);
    expect(JSON.stringify(await list())).not.toContain(body.token.slice(4));
    expect((await hub.request('DELETE', `/api/tokens/${body.id}`, { token: 'ann' })).status).toBe(204);
    expect((await metrics()).status).toBe(401);
    const records = (await hub.audit()).filter(({ detail }) => detail?.token === body.id);
    expect(records).toMatchObject([
      { event: 'token_made', source: '127.0.0.1', detail: { by: 'account:ann', name: 'new' } },
      { event: 'token_removed', source: '127.0.0.1', detail: { by: 'account:ann', name: 'new' } },
    ]);
  });
});

describe('DELETE /api/tokens', () => {
  test.each(['0000000000000000', 'metrics', '%00', '..%2f', '%F0%9F%92%A9'])(
    'refuses %s, and removes none',
    async (id) => {
      const before = await names();
      expect(await hub.request('DELETE', `/api/tokens/${id}`, { token: 'ann' })).toMatchObject({
        status: 404,
        body: { code: 'TOKEN_UNKNOWN' },
      });
      expect(await names()).toEqual(before);
    },
  );
});

test('the last use of a token is noted, once a minute at the most', async () => {
  const use = () => hub.request('GET', '/api/metrics', { token: 'metrics' });
  const usedAt = async (): Promise<string> => {
    await expect
      .poll(async () => (await list()).find(({ name }: { name: string }) => name === 'metrics').usedAt)
      .not.toBe(before);
    return (await list()).find(({ name }: { name: string }) => name === 'metrics').usedAt;
  };
  let before: string | null = null;
  await use();
  before = await usedAt();
  hub.clock.skew += 58_000;
  await use();
  await hub.request('GET', '/api/metrics', { token: 'metrics' });
  expect((await list()).find(({ name }: { name: string }) => name === 'metrics').usedAt).toBe(before);
  hub.clock.skew += 2_000;
  await use();
  expect(Date.parse(await usedAt()) - Date.parse(before ?? '')).toBeGreaterThanOrEqual(60_000);
});

describe('GET /api/audit', () => {
  const audit = (query: string) => hub.request('GET', `/api/audit${query}`, { token: 'auditor' });

  test.each(['?after=-1', '?after=x', '?limit=0', '?limit=1001', '?limit=1e2', '?limit=1&limit=2', '?before=1'])(
    'refuses %s',
    async (query) => {
      expect(await audit(query)).toMatchObject({ status: 400, body: { code: 'INVALID_REQUEST' } });
    },
  );

  test('is read page by page to its end, in the order it was written', async () => {
    const seen: number[] = [];
    for (let after: number | null = 0; after !== null; ) {
      const { status, body }: { status: number; body: { records: { seq: number }[]; next: number | null } } =
        await audit(`?after=${after}&limit=3`);
      expect(status).toBe(200);
      seen.push(...body.records.map(({ seq }) => seq));
      after = body.next;
    }
    const all = await hub.audit();
    expect(seen).toEqual(all.map(({ seq }) => seq));
    expect((await audit('?limit=1')).body.records[0]).toMatchObject({
      seq: 1,
      event: 'hub_made',
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });
});
