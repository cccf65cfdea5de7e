import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemRandom } from '../../platform/clock.ts';
import { createLog } from '../../platform/log.ts';
import { run } from '../../platform/run.ts';
import { addToken } from '../../wireguard/access/api-tokens.ts';
import { hubConfig } from '../../wireguard/data/hub-config.ts';
import { makeOwnCertificate } from '../../wireguard/front/own-certificate.ts';
import { tlsPin } from '../../wireguard/front/tls-pin.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { startHub } from '../../wireguard/hub/hub-server.ts';
import { findProgram, hasProgram } from '../harness/programs.ts';
import { makeHub } from './made-hub.ts';
import { type RunningHub, startRunningHub } from './running-hub.ts';

const pageOrigin = createServer((_, response) => {
  response.setHeader('Content-Type', 'text/html');
  response.end('<!doctype html><title>a page of somebody’s panel</title>');
});
const listening = (server: Server): Promise<string> =>
  new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)),
  );

let origin: string;
let hub: RunningHub;
beforeAll(async () => {
  origin = await listening(pageOrigin);
  hub = await startRunningHub({
    tokens: [{ name: 'reader', scopes: ['peers:read', 'peers:write'] }],
    accounts: [{ name: 'ann', role: 'admin' }],
    config: {
      proxies: ['127.0.0.1/32'],
      metrics: { from: ['203.0.113.0/24'], peers: 0 },
      corsOrigin: origin,
    },
  });
});
afterAll(async () => {
  await hub.stop();
  await new Promise((resolve) => pageOrigin.close(resolve));
});

const said = (text: string) => ({ headers: { 'X-Forwarded-For': text } });

describe('a hub behind a web server', () => {
  it.each([
    ['a client that is not that server', { from: '127.0.0.5', ...said('203.0.113.1') }],
    ['the server when it says nothing', {}],
    ['the server when it says nonsense', said('203.0.113.1, unknown')],
    ['a client that put its wish before the server’s word', said('203.0.113.1, 198.51.100.7')],
  ])('lets no address of others in for %s', async (_, ask) => {
    expect((await hub.request('GET', '/api/metrics', ask)).status).toBe(401);
  });

  it('lets the address in that the server names', async () => {
    expect((await hub.request('GET', '/api/metrics', said('198.51.100.7, 203.0.113.1'))).status).toBe(200);
  });

  it('makes each client wait for its own mistakes, whatever it puts before its address, and no other', async () => {
    const wrong = (source: string) => hub.request('GET', '/api/peers', { token: 'CANARY', ...said(source) });
    const tries = [];
    for (let count = 0; count < 40; count += 1) tries.push((await wrong(`203.0.113.${count}, 198.51.100.20`)).status);
    expect([tries[0], tries.at(-1)]).toEqual([401, 429]);
    expect((await wrong('198.51.100.21')).status).toBe(401);
    expect((await wrong('198.51.100.20')).status).toBe(429);
    const records = (await hub.audit()).filter(({ event }) => event === 'credentials_refused');
    expect(new Set(records.map(({ source }) => source))).toContain('198.51.100.20');
    expect(JSON.stringify(records)).not.toContain('203.0.113.3');
  });

  it('takes a network of IPv6 for one client, whichever of its addresses it asks from', async () => {
    const guess = (source: string) => {
      const path = `/api/installation/script/${systemRandom(32).toString('base64url')}?platform=linux`;
      return hub.request('GET', path, said(source));
    };
    const tries = [];
    for (let count = 1; count <= 40; count += 1) tries.push((await guess(`2001:db8:5:6:${count}::${count}`)).status);
    expect([tries[0], tries.at(-1)]).toEqual([404, 429]);
    expect((await guess('2001:db8:5:7::1')).status).toBe(404);
    const wrong = (source: string) => {
      const body = { name: 'ann', password: 'wrong', code: '000000' };
      return hub.request('POST', '/api/login', { body, ...said(source) });
    };
    for (let count = 1; count <= 5; count += 1) expect((await wrong(`2001:db8:8:9::${count}`)).status).toBe(401);
    expect((await wrong('2001:db8:8:9::6')).status).toBe(429);
    expect((await wrong('2001:db8:8:a::6')).status).toBe(401);
    // it is the address itself that is written down, once for all of them
    const refused = (await hub.audit()).filter(({ source }) => source?.startsWith('2001:db8:5:6:'));
    expect(refused).toMatchObject([{ event: 'install_token_refused', source: '2001:db8:5:6:1::1' }]);
  });

  it('counts the tokens that such a network makes, and those of each peer in the hub’s own by itself', async () => {
    const make = (source: string) =>
      hub.request('POST', '/api/installation/token', { token: 'reader', body: { spokeName: 'a' }, ...said(source) });
    const statuses = [];
    for (let count = 1; count <= 11; count += 1) statuses.push((await make(`2001:db8:1:2::${count}`)).status);
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 201), 429]);
    expect((await make('2001:db8:1:3::1')).status).toBe(201);
    for (let count = 2; count <= 12; count += 1) {
      expect((await make(`fd42:4242:1::${count.toString(16)}`)).status).toBe(201);
    }
  });

  it('knows by that address who logged in', async () => {
    const { status } = await hub.request('POST', '/api/login', {
      body: hub.credentials('ann'),
      ...said('2001:DB8::7'),
    });
    expect(status).toBe(200);
    expect((await hub.audit()).filter(({ source }) => source === '2001:db8::7')).not.toEqual([]);
  });
});

const browserProgram = findProgram('chromium') ?? findProgram('chromium-browser') ?? findProgram('google-chrome');

describe.skipIf(browserProgram === null)('a page in a browser', () => {
  let browser: Browser;
  const stranger = createServer((_, response) => {
    response.setHeader('Content-Type', 'text/html');
    response.end('<!doctype html>');
  });
  let strange: string;
  beforeAll(async () => {
    strange = await listening(stranger);
    const args = ['--no-sandbox', '--no-first-run', '--disable-background-networking', '--disable-gpu'];
    browser = await chromium.launch({ executablePath: browserProgram ?? '', args });
  });
  afterAll(async () => {
    await browser?.close();
    await new Promise((resolve) => stranger.close(resolve));
  });

  interface Wish {
    readonly method: string;
    readonly path: string;
    readonly body?: string;
  }

  /** What a script of a page learns when it calls the hub with a token. */
  async function calledFrom(at: string, wishes: readonly Wish[]): Promise<unknown[]> {
    const page = await browser.newPage();
    await page.goto(at);
    const result = await page.evaluate(
      async ({ url, token, wishes: asked }) => {
        const learned: unknown[] = [];
        for (const { method, path, body } of asked) {
          const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
          try {
            const response = await fetch(url + path, { method, headers, ...(body === undefined ? {} : { body }) });
            const { code, success } = (await response.json()) as { code?: string; success?: boolean };
            learned.push([response.status, code ?? success ?? null]);
          } catch (error) {
            learned.push((error as Error).name);
          }
        }
        return learned;
      },
      { url: hub.url, token: hub.token('reader'), wishes },
    );
    await page.close();
    return result;
  }

  it('of another origin learns nothing and changes nothing', async () => {
    const order = JSON.stringify({ spokeName: 'from a stranger' });
    const wishes = [
      { method: 'GET', path: '/api/spoke/list' },
      { method: 'POST', path: '/api/installation/token', body: order },
      { method: 'GET', path: '/api/nothing' },
    ];
    expect(await calledFrom(strange, wishes)).toEqual(['TypeError', 'TypeError', 'TypeError']);
    const { body } = await hub.request('GET', '/api/installation/tokens', { token: 'reader' });
    expect(JSON.stringify(body)).not.toContain('stranger');
  });

  it('of the configured origin may call, and reads errors too', async () => {
    const order = JSON.stringify({ spokeName: 'from-the-panel' });
    const wishes = [
      { method: 'GET', path: '/api/spoke/list' },
      { method: 'POST', path: '/api/installation/token', body: order },
      { method: 'POST', path: '/api/installation/token', body: '{}' },
      { method: 'DELETE', path: '/api/spoke/nobody' },
      { method: 'GET', path: '/api/audit' },
    ];
    const [list, made, malformed, gone, forbidden] = await calledFrom(origin, wishes);
    expect([list, made, malformed]).toEqual([
      [200, true],
      [201, true],
      [400, 'INVALID_REQUEST'],
    ]);
    expect(gone).toEqual([404, expect.stringMatching(/^[A-Z_]+$/)]);
    expect(forbidden).toEqual([403, expect.stringMatching(/^[A-Z_]+$/)]);
  });
});

it.skipIf(!hasProgram('curl'))('installers of a hub with a certificate of its own know it by its key', async () => {
  const made = await makeHub();
  const { data, vault } = made;
  const { token } = await data.store.transaction((tx) =>
    addToken(tx, { name: 'maker', scopes: ['peers:write'] }, COMMAND, Date.now(), systemRandom),
  );
  const listen = { host: '127.0.0.1', port: 0 };
  const config = hubConfig({ version: 1, name: 'hub', listen, driver: 'memory', tls: { source: 'own' } });
  const about = { directory: data.directory, store: data.store, vault };
  const deps = {
    clock: { now: () => Date.now() },
    random: systemRandom,
    env: {},
    log: createLog({ level: 'silent', destination: new PassThrough() }),
  };
  await expect(startHub({ ...data, config }, vault, deps)).rejects.toMatchObject({ code: 'tls_missing' });
  const order = { hosts: ['127.0.0.1'], newKey: false, by: COMMAND, now: Date.now() };
  await makeOwnCertificate(about, order, systemRandom);
  const pin = (await tlsPin({ config, store: data.store, vault })) ?? '';
  const hubOnTls = await startHub({ ...data, config }, vault, deps);
  const url = `https://127.0.0.1:${hubOnTls.port}`;
  const curl = (...words: string[]) => run(['curl', '-sSk', '--pinnedpubkey', pin, ...words], { timeoutMs: 20_000 });
  const headers = ['-H', 'Content-Type: application/json', '-H', `Authorization: Bearer ${token}`];
  const body = JSON.stringify({ spokeName: 'laptop', platform: 'linux' });
  const said = await curl(...headers, '--data', body, `${url}/api/installation/token`);
  const { installCommands, token: invited } = JSON.parse(said.stdout.toString());
  expect(installCommands.linux).toContain(pin);
  expect(installCommands.linux).toContain(url);
  const script = (await curl(`${url}/api/installation/script/${invited.token}`)).stdout.toString();
  expect(script).toContain(pin);
  await hubOnTls.stop();
  await made.remove();
});
