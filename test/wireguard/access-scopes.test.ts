import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROLE_SCOPES, SCOPES, type Scope } from '../../wireguard/access/caller.ts';
import { type RunningHub, startRunningHub } from './running-hub.ts';

/** A sample of calls with what each needs; what they are asked for is refused (or harmless) once they are let through. */
const calls: readonly (readonly [method: string, path: string, scope: Scope])[] = [
  ['GET', '/api/metrics', 'metrics:read'],
  ['GET', '/api/tokens', 'access:write'],
  ['POST', '/api/tokens', 'access:write'],
  ['DELETE', '/api/tokens/0000000000000000', 'access:write'],
  ['GET', '/api/audit', 'audit:read'],
  ['GET', '/api/peers', 'peers:read'],
  ['GET', '/api/peers/none', 'peers:read'],
  ['POST', '/api/peers', 'peers:write'],
  ['DELETE', '/api/peers/none', 'peers:write'],
  ['POST', '/api/peers/none/enable', 'peers:write'],
  ['POST', '/api/peers/none/disable', 'peers:write'],
  ['GET', '/api/hub/status', 'hub:read'],
  ['GET', '/api/hub/config', 'hub:read'],
  ['PUT', '/api/hub/config', 'hub:write'],
  ['POST', '/api/create-peer', 'devices'],
  ['POST', '/api/remove-peer', 'devices'],
  ['GET', '/api/list-peers', 'devices'],
  ['GET', '/api/server-info', 'devices'],
];

const tokenOf = (scope: Scope): string => `only-${scope.replace(':', '-')}`;
let hub: RunningHub;

beforeAll(async () => {
  hub = await startRunningHub({
    tokens: SCOPES.map((scope) => ({ name: tokenOf(scope), scopes: [scope] })),
    accounts: [
      { name: 'ann', role: 'admin' },
      { name: 'otto', role: 'operator' },
      { name: 'vera', role: 'viewer' },
    ],
  });
  for (const name of ['ann', 'otto', 'vera']) await hub.login(name);
});
afterAll(() => hub.stop());

/** The calls of the sample that this bearer is let through to, and the answers of the others. */
async function tried(token?: string): Promise<{ open: string[]; refused: Set<string> }> {
  const open: string[] = [];
  const refused = new Set<string>();
  for (const [method, path] of calls) {
    const hasBody = (method === 'POST' || method === 'PUT') && !path.startsWith('/api/peers/');
    const ask = { ...(token === undefined ? {} : { token }), ...(hasBody ? { body: { nonsense: true } } : {}) };
    const { status, body } = await hub.request(method, path, ask);
    expect([method, path, status, body.code]).not.toEqual([method, path, 405, expect.anything()]);
    if ([401, 403, 429].includes(status)) refused.add(`${status} ${body.code}`);
    else open.push(`${method} ${path}`);
  }
  return { open, refused };
}

const callsOf = (scopes: readonly Scope[]): string[] =>
  calls.filter(([, , scope]) => scopes.includes(scope)).map(([method, path]) => `${method} ${path}`);

describe('the calls of the API', () => {
  test('are all refused to nobody, and to somebody unknown', async () => {
    for (const token of [undefined, `lkt_${'A'.repeat(43)}`]) {
      const { open, refused } = await tried(token);
      expect(open).toEqual([]);
      expect([...refused]).toContain('401 UNAUTHORIZED');
      hub.clock.skew += 600_000;
      for (const name of ['ann', 'otto', 'vera'])
        expect((await hub.request('GET', '/api/session', { token: name })).status).toBe(200);
    }
  });

  test.each(SCOPES)('open to a token with %s are those that need it, and no other', async (scope) => {
    const { open, refused } = await tried(tokenOf(scope));
    expect(open).toEqual(callsOf([scope]));
    expect(open.length).toBeGreaterThan(0);
    expect([...refused]).toEqual(['403 SCOPE_MISSING']);
  });

  test.each([
    ['vera', 'viewer'],
    ['otto', 'operator'],
    ['ann', 'admin'],
  ] as const)('open to %s are those of the role %s', async (name, role) => {
    const { open, refused } = await tried(name);
    expect(open).toEqual(callsOf(ROLE_SCOPES[role]));
    expect([...refused]).toEqual(role === 'admin' ? [] : ['403 SCOPE_MISSING']);
  });

  test('changed nothing while they were refused', async () => {
    const events = (await hub.audit()).map(({ event }) => event);
    expect(new Set(events)).toEqual(
      new Set(['hub_made', 'token_made', 'account_added', 'login', 'credentials_refused']),
    );
  });
});

test('a viewer cannot see what only an operator may do to peers', () => {
  expect(ROLE_SCOPES.viewer.filter((scope) => scope.endsWith(':write') || scope === 'devices')).toEqual([]);
  expect(ROLE_SCOPES.operator).not.toContain('access:write');
  expect(ROLE_SCOPES.operator).not.toContain('hub:write');
});
