import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LatchkeyError } from '../../platform/errors.ts';
import { type AppRequest, createHttpApp } from '../../platform/http-app.ts';
import { createLog } from '../../platform/log.ts';

let server: Server;
let url: string;
let heard: AppRequest[];
let told: { method: string; route: string | null; status: number }[];

beforeEach(async () => {
  heard = [];
  told = [];
  const handler = async (request: AppRequest) => {
    heard.push(request);
    return { status: 200, body: {} };
  };
  const app = createHttpApp({
    routes: [
      { method: 'GET', path: '/list', bodyLimit: 0, query: ['limit', 'after'], handler },
      { method: 'POST', path: '/signed/:id', bodyLimit: 64, query: ['dry'], handler },
      {
        method: 'GET',
        path: '/private',
        bodyLimit: 0,
        handler: () =>
          Promise.reject(new LatchkeyError('unauthorized', 'the credentials were not accepted', { status: 401 })),
      },
    ],
    log: createLog({ level: 'silent', destination: new PassThrough() }),
    requestId: () => 'one',
    challenge: 'Bearer',
    onAnswer: ({ method, route, status }) => told.push({ method, route, status }),
    problemMembers: ({ code }) => ({ code: code.toUpperCase() }),
  });
  server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => new Promise((resolve) => server.close(resolve)));

it.each([
  ['/list?offset=1', 'query'],
  ['/list?limit=1&limit=2', 'limit'],
  ['/list?limit=1&__proto__=2', 'query'],
  ['/private?limit=1', 'query'],
])('refuses the query of %s, naming the field, and asks no handler', async (path, field) => {
  const response = await fetch(url + path);
  expect([response.status, await response.json()]).toMatchObject([400, { code: 'INVALID_REQUEST', field }]);
  expect(heard).toEqual([]);
});

it('hands on the parameters of a query that the route knows, decoded', async () => {
  expect((await fetch(`${url}/list?after=a%2Fb+c`)).status).toBe(200);
  expect(heard[0]).toMatchObject({ query: { after: 'a/b c' }, target: '/list?after=a%2Fb+c', method: 'GET' });
  expect(heard[0]?.query.limit).toBeUndefined();
});

it('hands on the body’s bytes as they came, beside what they mean', async () => {
  const body = '{ "a" : 1 }';
  await fetch(`${url}/signed/x%2Fy?dry=1`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
  expect(heard[0]).toMatchObject({ body: { a: 1 }, target: '/signed/x%2Fy?dry=1', params: { id: 'x/y' } });
  expect(Buffer.from(heard[0]?.bytes ?? []).toString()).toBe(body);
});

it('a request without a body has no bytes', async () => {
  await fetch(`${url}/list`);
  expect(heard[0]?.bytes).toHaveLength(0);
});

it('a 401 says what it asks for, and no other refusal does', async () => {
  expect((await fetch(`${url}/private`)).headers.get('www-authenticate')).toBe('Bearer');
  expect((await fetch(`${url}/nothing`)).headers.get('www-authenticate')).toBeNull();
});

it('tells of each answer by the route and not by the path', async () => {
  await fetch(`${url}/signed/secret-of-somebody`);
  await fetch(`${url}/nothing/secret`);
  await fetch(`${url}/list?limit=1`);
  await expect
    .poll(() => told)
    .toEqual([
      { method: 'GET', route: '/signed/:id', status: 405 },
      { method: 'GET', route: null, status: 404 },
      { method: 'GET', route: '/list', status: 200 },
    ]);
});
