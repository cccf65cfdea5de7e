import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LatchkeyError } from '../../platform/errors.ts';
import { createHttpApp } from '../../platform/http-app.ts';
import { createLog } from '../../platform/log.ts';

const origin = 'https://panel.example:8443';
let server: Server | null = null;
let url: string;
let calls: string[];

async function serve(corsOrigin: string | null): Promise<void> {
  const app = createHttpApp({
    routes: [
      { method: 'GET', path: '/things', bodyLimit: 0, handler: async ({ method }) => answered(method) },
      { method: 'POST', path: '/things', bodyLimit: 64, handler: async ({ method }) => answered(method) },
      { method: 'DELETE', path: '/things/:id', bodyLimit: 0, handler: async () => refused() },
    ],
    log: createLog({ level: 'silent', destination: new PassThrough() }),
    requestId: () => 'one',
    corsOrigin,
  });
  server = createServer(app);
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function answered(method: string): { status: number; body: object } {
  calls.push(method);
  return { status: 200, body: {} };
}

function refused(): Promise<never> {
  throw new LatchkeyError('busy', 'try again', { status: 429, retryAfter: 3 });
}

beforeEach(() => {
  calls = [];
});
afterEach(() => new Promise<void>((resolve) => (server === null ? resolve() : void server.close(() => resolve()))));

/** What an answer says to browsers about other origins. */
function words({ headers }: Response): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => name.startsWith('access-control-') || name === 'vary'));
}

const preflight = (from: string, headers: Record<string, string> = { 'Access-Control-Request-Method': 'POST' }) => ({
  method: 'OPTIONS',
  headers: { Origin: from, ...headers },
});

describe.each([
  ['no origin is configured', null, origin],
  ['its origin is another', origin, 'https://panel.example'],
  ['its origin only begins like the one', origin, `${origin}.evil.example`],
  ['its origin is spelled otherwise', origin, origin.toUpperCase()],
  ['its origin is none', origin, 'null'],
  ['it says *', origin, '*'],
])('a page gets nothing when %s', (_, corsOrigin, from) => {
  beforeEach(() => serve(corsOrigin));
  const expected = corsOrigin === null ? {} : { vary: 'Origin' };

  it('from a preflight, which is answered like any other OPTIONS', async () => {
    const response = await fetch(`${url}/things`, preflight(from));
    expect([response.status, response.headers.get('allow'), words(response)]).toEqual([405, 'GET, POST', expected]);
    expect(calls).toEqual([]);
  });

  it('from an answer or an error', async () => {
    expect(words(await fetch(`${url}/things`, { headers: { Origin: from } }))).toEqual(expected);
    expect(words(await fetch(`${url}/nothing`, { headers: { Origin: from } }))).toEqual(expected);
  });
});

describe('a page of the configured origin', () => {
  beforeEach(() => serve(origin));
  const readable = {
    vary: 'Origin',
    'access-control-allow-origin': origin,
    'access-control-expose-headers': 'Content-Disposition, Retry-After',
  };

  it.each([
    ['/things', 'GET, POST'],
    ['/things/x%2Fy?z=1', 'DELETE'],
  ])('may be told the methods of %s before it calls, without any handler being asked', async (path, methods) => {
    const response = await fetch(url + path, preflight(origin));
    expect([response.status, await response.text()]).toEqual([204, '']);
    expect(words(response)).toEqual({
      ...readable,
      'access-control-allow-methods': methods,
      'access-control-allow-headers': 'Authorization, Content-Type',
      'access-control-max-age': '600',
    });
    expect(calls).toEqual([]);
  });

  it('is told nothing of a path that is not there, and can read so', async () => {
    const response = await fetch(`${url}/nothing`, preflight(origin));
    expect([response.status, words(response)]).toEqual([404, readable]);
  });

  it('gets the usual answer to an OPTIONS that asks for no method', async () => {
    const response = await fetch(`${url}/things`, preflight(origin, {}));
    expect([response.status, words(response)]).toEqual([405, readable]);
  });

  it('asks with OPTIONS alone: nothing else is taken for its question', async () => {
    const response = await fetch(`${url}/things`, { ...preflight(origin), method: 'PUT' });
    expect([response.status, words(response)]).toEqual([405, readable]);
  });

  it('may not send a body with its question', async () => {
    const response = await fetch(`${url}/things`, { ...preflight(origin), body: 'x' });
    expect([response.status, words(response)]).toEqual([400, readable]);
  });

  it.each([
    ['an answer', 'GET', '/things', 200],
    ['a handler’s refusal', 'DELETE', '/things/1', 429],
    ['an unknown path', 'GET', '/nothing', 404],
    ['a path that cannot be decoded', 'DELETE', '/things/%ff', 400],
    ['a query that is not known', 'GET', '/things?a=1', 400],
    ['a method that is not known', 'PUT', '/things', 405],
  ])('can read %s', async (_, method, path, status) => {
    const response = await fetch(url + path, { method, headers: { Origin: origin } });
    expect([response.status, words(response)]).toEqual([status, readable]);
  });

  it('is never allowed cookies, and no answer is for everybody', async () => {
    for (const init of [preflight(origin), { headers: { Origin: origin } }, {}]) {
      const said = words(await fetch(`${url}/things`, init));
      expect(said['access-control-allow-credentials']).toBeUndefined();
      expect(said['access-control-allow-origin']).not.toBe('*');
      expect(said.vary).toBe('Origin');
    }
  });
});
