import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { systemRandom } from '../../platform/clock.ts';
import { removeToken } from '../../wireguard/access/api-tokens.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { type RunningHub, startRunningHub } from './running-hub.ts';

let hub: RunningHub;

beforeAll(async () => {
  hub = await startRunningHub({
    tokens: [
      { name: 'metrics', scopes: ['metrics:read'] },
      { name: 'backend', scopes: ['devices'] },
      { name: 'gone', scopes: ['metrics:read'] },
    ],
  });
});
afterAll(() => hub.stop());
beforeEach(() => {
  hub.clock.skew += 3_600_000 * 2; // what was held against a source before is over
});

const metrics = (token?: string, more: object = {}) =>
  hub.request('GET', '/api/metrics', token === undefined ? more : { token, ...more });

describe('a bearer token', () => {
  test.each([
    ['none', undefined],
    ['nothing after the scheme', ''],
    ['a token that nobody made', `lkt_${systemRandom(32).toString('base64url')}`],
    ['a token cut short', `lkt_${systemRandom(31).toString('base64url')}`],
    ['a token with something behind it', `lkt_${systemRandom(33).toString('base64url')}`],
    ['a session that nobody began', `lks_${systemRandom(32).toString('base64url')}`],
    ['a JWT when no key is known', 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.AAAA'],
    ['a text of no known form', 'hunter2'],
  ])('that is %s gets the one 401', async (_, token) => {
    const answer = await metrics(token);
    expect(answer.status).toBe(401);
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.text).toBe((await hub.request('GET', '/api/metrics')).text);
    expect(answer.body).toMatchObject({ code: 'UNAUTHORIZED', error: 'the credentials were not accepted' });
  });

  test('is refused in another scheme, and without its first letters', async () => {
    const token = hub.token('metrics');
    for (const Authorization of [`Basic ${token}`, token, `Bearer  ${token}`, `Bearer ${token.slice(4)}`]) {
      expect((await metrics(undefined, { headers: { Authorization } })).status).toBe(401);
    }
  });

  test('opens what its scopes open, and the rest is 403', async () => {
    expect((await metrics('metrics')).status).toBe(200);
    expect(await metrics('backend')).toMatchObject({ status: 403, body: { code: 'SCOPE_MISSING' } });
  });

  test('is refused from the moment it is removed', async () => {
    expect((await metrics('gone')).status).toBe(200);
    await hub.data.store.transaction((tx) => removeToken(tx, { name: 'gone' }, COMMAND, hub.clock.now()));
    expect((await metrics('gone')).status).toBe(401);
  });

  test('that is wrong five times over has to wait, and nobody else has', async () => {
    const wrong = `lkt_${systemRandom(32).toString('base64url')}`;
    for (let tries = 0; tries < 5; tries++) expect((await metrics(wrong)).status).toBe(401);
    const waiting = await metrics(wrong);
    expect(waiting).toMatchObject({ status: 429, body: { code: 'TOO_MANY_REQUESTS' } });
    expect(Number(waiting.headers['retry-after'])).toBeGreaterThan(0);
    expect((await metrics(wrong, { from: '127.0.0.9' })).status).toBe(401);
    expect((await metrics('metrics')).status).toBe(200);
    hub.clock.skew += 1_001;
    expect((await metrics(wrong)).status).toBe(401);
    hub.clock.skew += 1_001;
    expect((await metrics(wrong)).status).toBe(429); // twice as long as before
  });

  test('that is another wrong one each time has to wait as well', async () => {
    const statuses = [];
    for (let tries = 0; tries < 40; tries++) {
      statuses.push((await metrics(`lkt_${systemRandom(32).toString('base64url')}`, { from: '127.0.0.10' })).status);
    }
    expect(statuses.filter((status) => status === 401)).toHaveLength(30);
    expect(statuses.filter((status) => status === 429)).toHaveLength(10);
    expect((await metrics('metrics', { from: '127.0.0.10' })).status).toBe(200);
  });

  test('that is refused leaves one record each minute for each source, without the token', async () => {
    const wrong = `lkt_${systemRandom(32).toString('base64url')}`;
    for (let tries = 0; tries < 4; tries++) await metrics(wrong, { from: '127.0.0.11' });
    const records = (await hub.audit()).filter(({ source }) => source === '127.0.0.11');
    expect(records).toMatchObject([{ event: 'credentials_refused', reason: 'token' }]);
    expect(JSON.stringify(records)).not.toContain(wrong.slice(4));
  });
});
