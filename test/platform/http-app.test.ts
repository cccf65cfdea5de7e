import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LatchkeyError } from '../../platform/errors.ts';
import { type AppResponse, createHttpApp, type Route } from '../../platform/http-app.ts';
import { createLog } from '../../platform/log.ts';

let server: Server;
let port: number;
let calls: unknown[];
let logged: PassThrough;

const routes: Route[] = [
  { method: 'POST', path: '/echo', bodyLimit: 64, handler: async ({ body }) => ({ status: 200, body: { body } }) },
  { method: 'PUT', path: '/item/:id', bodyLimit: 64, handler: async ({ params }) => ({ status: 201, body: params }) },
  { method: 'GET', path: '/plain', bodyLimit: 0, handler: async () => ({ status: 200, body: 'text' }) },
  { method: 'GET', path: '/once/:id', bodyLimit: 0, handler: async () => ({ status: 200, body: 'taken' }) },
  { method: 'HEAD', path: '/once/:id', bodyLimit: 0, handler: async ({ params }) => look(params.id ?? '') },
  {
    method: 'GET',
    path: '/broken',
    bodyLimit: 0,
    handler: async () => {
      throw Object.assign(new Error('canary: a foreign error text'), { code: 'E_FOREIGN' });
    },
  },
  {
    method: 'GET',
    path: '/busy',
    bodyLimit: 0,
    handler: async () => {
      throw new LatchkeyError('rate_limited', 'too many requests', { status: 429, retryAfter: 7, extra: { more: 1 } });
    },
  },
];

function look(id: string): AppResponse {
  if (id === 'gone') throw new LatchkeyError('gone', 'it was taken', { status: 410 });
  return { status: 200, body: 'a look', headers: { 'Content-Type': 'text/x-look' } };
}

beforeEach(async () => {
  calls = [];
  logged = new PassThrough();
  const counted = routes.map((route) => ({
    ...route,
    handler: (request: Parameters<Route['handler']>[0]) => {
      calls.push(route.path);
      return route.handler(request);
    },
  }));
  server = createServer(
    createHttpApp({
      routes: counted,
      log: createLog({ level: 'info', destination: logged }),
      requestId: () => 'request-1',
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterEach(() => new Promise((resolve) => server.close(resolve)));

/** Sends the bytes as they are and gives back everything that comes until the connection closes. */
function raw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk.toString();
    });
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}

const json = { 'Content-Type': 'application/json' };
const call = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init);

async function problem(response: Response) {
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  return (await response.json()) as Record<string, unknown>;
}

describe('createHttpApp() refuses', () => {
  it.each([
    ['{"a":', 400, 'invalid_request'],
    ['', 400, 'invalid_request'],
    ['canary', 400, 'invalid_request'],
    [JSON.stringify({ a: 'x'.repeat(64) }), 413, 'body_too_large'],
  ])('the body %j', async (body, status, code) => {
    const response = await call('/echo', { method: 'POST', headers: json, body });
    const text = JSON.stringify(await problem(response));
    expect([response.status, JSON.parse(text).code]).toEqual([status, code]);
    expect(text).not.toContain('canary');
    expect(calls).toEqual([]);
  });

  it('a body that is not UTF-8', async () => {
    const response = await call('/echo', { method: 'POST', headers: json, body: Buffer.from([0x22, 0xff, 0x22]) });
    expect(await problem(response)).toMatchObject({ status: 400, detail: '"body" must be UTF-8' });
    expect(calls).toEqual([]);
  });

  it.each(['text/plain', 'application/json; charset=latin1', 'application/x-www-form-urlencoded', ''])(
    'the content type %j',
    async (type) => {
      const response = await call('/echo', { method: 'POST', headers: { 'Content-Type': type }, body: '{}' });
      expect([response.status, (await problem(response)).code, calls]).toEqual([415, 'unsupported_media_type', []]);
    },
  );

  it('a compressed body', async () => {
    const headers = { ...json, 'Content-Encoding': 'gzip' };
    expect((await call('/echo', { method: 'POST', headers, body: '{}' })).status).toBe(415);
  });

  it('a chunked body that grows past the limit, and closes the connection', async () => {
    const answer = await raw(
      `POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n80\r\n${'x'.repeat(128)}\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 413 [\s\S]*Connection: close/);
    expect(calls).toEqual([]);
  });

  it('a body where none belongs', async () => {
    const answer = await raw('GET /plain HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello');
    expect(answer).toContain('"body\\" must be empty');
    expect(calls).toEqual([]);
  });

  it('a header that comes twice', async () => {
    const answer = await raw(
      'GET /plain HTTP/1.1\r\nHost: x\r\nX-Client: a\r\nx-client: b\r\nConnection: close\r\n\r\n',
    );
    expect(answer).toMatch(/^HTTP\/1.1 400 [\s\S]*must not repeat a name/);
    expect(calls).toEqual([]);
  });

  it('query parameters, unknown paths, other methods and undecodable paths', async () => {
    expect((await call('/plain?x=1')).status).toBe(400);
    expect(await problem(await call('/nothing'))).toMatchObject({ status: 404, code: 'not_found' });
    expect((await call('/plain/')).status).toBe(404);
    expect((await call('/PLAIN')).status).toBe(404);
    const other = await call('/plain', { method: 'DELETE' });
    expect([other.status, other.headers.get('allow'), (await problem(other)).code]).toEqual([
      405,
      'GET',
      'method_not_allowed',
    ]);
    expect((await call('/item/%ff', { method: 'PUT', headers: json, body: '{}' })).status).toBe(400);
    expect(calls).toEqual([]);
  });

  it('a HEAD of a path that has none, without a body and without asking the handler of GET', async () => {
    const answer = await raw('HEAD /plain HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1.1 405 [\s\S]*Allow: GET\r\n[\s\S]*\r\n\r\n$/);
    expect(calls).toEqual([]);
  });
});

describe('createHttpApp() answers', () => {
  it('an error of a handler by its code, with Retry-After', async () => {
    const response = await call('/busy');
    expect(response.headers.get('retry-after')).toBe('7');
    expect(await problem(response)).toEqual({
      type: 'about:blank',
      title: 'rate limited',
      status: 429,
      code: 'rate_limited',
      detail: 'too many requests',
      more: 1,
    });
  });

  it('a defect with nothing but a fixed text, and logs it under the request id', async () => {
    const response = await call('/broken');
    const text = JSON.stringify(await problem(response));
    expect([response.status, JSON.parse(text).code]).toEqual([500, 'internal_error']);
    expect(text).not.toContain('canary');
    const line = logged.read().toString();
    expect(line).toContain('"request":"request-1"');
    expect(line).toContain('"errorCode":"E_FOREIGN"');
  });

  it('with decoded path parts and headers that let nothing be embedded or cached', async () => {
    const response = await call('/item/a%2Fb', { method: 'PUT', headers: json, body: '{}' });
    expect([response.status, await response.json()]).toEqual([201, { id: 'a/b' }]);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(response.headers.get('x-powered-by')).toBeNull();
  });

  it('a HEAD by the route that says so: status and headers as with its body, and no body', async () => {
    const answer = await raw('HEAD /once/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1.1 200 /);
    expect(answer).toContain('\r\nContent-Type: text/x-look\r\n');
    expect(answer).toMatch(/\r\ncontent-length: 6\r\n[\s\S]*\r\n\r\n$/);
    expect(await (await call('/once/x')).text()).toBe('taken');
    const gone = await raw('HEAD /once/gone HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(gone).toMatch(/^HTTP\/1.1 410 [\s\S]*\r\n\r\n$/);
    expect((await call('/once/x', { method: 'DELETE' })).headers.get('allow')).toBe('GET, HEAD');
  });

  it('a path spelled like the pattern it fits with what stands there', async () => {
    const response = await call('/item/:id', { method: 'PUT', headers: json, body: '{}' });
    expect([response.status, await response.json()]).toEqual([201, { id: ':id' }]);
  });
});
