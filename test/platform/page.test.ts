import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { html } from '../../platform/html.ts';
import { createHttpApp, type Route } from '../../platform/http-app.ts';
import { createLog } from '../../platform/log.ts';
import { pageResponse, seeOther, unchangingFile } from '../../platform/page.ts';

let server: Server;
let port: number;
let admitted = true;
let reached = 0;

const rooms: Route[] = [
  { method: 'GET', path: '/rooms', bodyLimit: 0, handler: async () => pageResponse(200, html`<p>in</p>`) },
  { method: 'GET', path: '/rooms/style.css', bodyLimit: 0, handler: async () => unchangingFile('text/css', 'p{}') },
  { method: 'GET', path: '/rooms/:name', bodyLimit: 0, handler: async () => seeOther('/rooms') },
  {
    method: 'POST',
    path: '/rooms',
    bodyLimit: 64,
    bodyType: 'form',
    handler: async ({ body }) => ({ status: 200, body }),
  },
];

beforeAll(async () => {
  const counted = rooms.map((route) => ({
    ...route,
    handler: (asked: Parameters<Route['handler']>[0]) => {
      reached += 1;
      return route.handler(asked);
    },
  }));
  server = createServer(
    createHttpApp({
      routes: [{ method: 'GET', path: '/open', bodyLimit: 0, handler: async () => ({ status: 200, body: 'open' }) }],
      areas: [{ prefix: '/rooms', admits: ({ source }) => admitted && source === '127.0.0.1', routes: counted }],
      log: createLog({ level: 'silent' }),
      requestId: () => 'r',
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** The path is sent as it stands. */
function ask(method: string, path: string, headers: Record<string, string> = {}, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', () => {
        const { date: _, ...rest } = incoming.headers;
        resolve({ status: incoming.statusCode, headers: rest, text: Buffer.concat(chunks).toString() });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const form = { 'Content-Type': 'application/x-www-form-urlencoded' };

describe('an area', () => {
  it.each([
    ['GET', '/rooms', {}, undefined],
    ['GET', '/rooms/', {}, undefined],
    ['GET', '/rooms/x', {}, undefined],
    ['GET', '/rooms/%zz', {}, undefined],
    ['GET', '/rooms?x=1', {}, undefined],
    ['GET', '/rooms', { 'X-A': '1', 'x-a': '2' }, undefined],
    ['GET', 'http://127.0.0.1/rooms', {}, undefined],
    ['POST', '/rooms', form, 'a=1'],
    ['POST', '/rooms', { 'Content-Type': 'text/plain' }, 'a=1'],
    ['POST', '/rooms', form, 'a'.repeat(100)],
    ['PUT', '/rooms', {}, undefined],
    ['GET', '/rooms/style.css', {}, undefined],
  ] as const)(
    'answers %s %s as a path that was never there to those it does not admit',
    async (method, path, headers, body) => {
      admitted = false;
      const before = reached;
      const there = await ask(method, path, headers, body);
      const nowhere = await ask(method, path.replace('/rooms', '/never'), headers, body);
      admitted = true;
      expect(there).toEqual(nowhere);
      expect(there.status).toBe(404);
      expect(reached).toBe(before);
    },
  );

  it('does not hide what lies beside it', async () => {
    admitted = false;
    expect((await ask('GET', '/open')).text).toBe('open');
    admitted = true;
    expect((await ask('GET', '/roomsy')).status).toBe(404);
  });
});

describe('a form', () => {
  it.each([
    ['of another type', { 'Content-Type': 'application/json' }, '{}', 415],
    ['in parts', { 'Content-Type': 'multipart/form-data; boundary=x' }, '--x--', 415],
    ['without a type', {}, 'a=1', 415],
    ['of another charset', { 'Content-Type': `${form['Content-Type']}; charset=latin1` }, 'a=1', 415],
    ['too large', form, `a=${'1'.repeat(64)}`, 413],
    ['with a field twice', form, 'a=1&a=2', 400],
    ['compressed', { ...form, 'Content-Encoding': 'gzip' }, 'a=1', 415],
  ])('%s is refused', async (_what, headers, body, status) => {
    const before = reached;
    expect((await ask('POST', '/rooms', headers, body)).status).toBe(status);
    expect(reached).toBe(before);
  });

  it('reaches its handler as fields', async () => {
    const answer = await ask(
      'POST',
      '/rooms',
      { 'Content-Type': `${form['Content-Type']};charset=UTF-8` },
      'a=1+2&b=%26',
    );
    expect(JSON.parse(answer.text)).toEqual({ a: '1 2', b: '&' });
  });
});

describe('a page', () => {
  it('comes with a policy that lets nothing in but its own style, images and forms, and with it alone', async () => {
    const { status, headers, text } = await ask('GET', '/rooms');
    expect([status, text]).toEqual([200, '<!doctype html>\n<p>in</p>\n']);
    expect(headers['content-security-policy']).toBe(
      "default-src 'none';style-src 'self';img-src 'self' data:;form-action 'self';frame-ancestors 'none';base-uri 'none'",
    );
    expect(headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'referrer-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
    });
  });

  it('is left by 303, and its style sheet may be kept', async () => {
    expect(await ask('GET', '/rooms/x')).toMatchObject({ status: 303, headers: { location: '/rooms' } });
    const style = await ask('GET', '/rooms/style.css');
    expect(style).toMatchObject({ status: 200, text: 'p{}', headers: { 'content-type': 'text/css' } });
    expect(style.headers['cache-control']).toBe('private, max-age=31536000, immutable');
  });
});
