import { readdirSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { call, decodeBase32, type HonestClient } from './honest-client.ts';
import { masterKeyId } from './made-server.ts';
import { RunningServer } from './running-server.ts';

const key = Buffer.from('CANARY-stored-key-5d1f2a');
let server: RunningServer;
let before: string;

beforeAll(async () => {
  server = await RunningServer.start({ clients: 1, key });
  await server.beside((tx) => tx.updateTable('client').set({ lockout: 0, burst: 100_000 }).execute());
  before = await server.everything();
});

afterAll(() => server.remove());

const answers: string[] = [];

async function send(method: string, path: string, headers: Record<string, string>, body?: unknown) {
  const answer = await call(server, method, path, headers, body);
  answers.push(JSON.stringify(answer.headers) + answer.text);
  return answer;
}

/** Writes raw bytes on a TLS connection; everything that came back until the server closed, or `open` after a second. */
function raw(text: string, wait = 1000): Promise<{ text: string; closed: boolean }> {
  return new Promise((resolve) => {
    let got = '';
    const socket = connectRaw(() => socket.write(text, 'latin1'));
    const timer = setTimeout(() => done(false), wait);
    const done = (closed: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      answers.push(got);
      resolve({ text: got, closed });
    };
    socket.on('data', (chunk: Buffer) => {
      got += chunk.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => done(true));
  });
}

function connectRaw(ready: () => void): TLSSocket {
  return connect({ host: '127.0.0.1', port: server.port, ca: server.made.ca, servername: 'localhost' }, ready);
}

function credentials(client: HonestClient): string {
  return Object.entries(client.openHeaders())
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
}

describe('a body', () => {
  const good = () => server.client().openBody();
  const open = (body: unknown, more: Record<string, string> = {}) =>
    send('POST', '/v1/open', { ...server.client().openHeaders(), ...more }, body);

  test.each([
    ['cut off', '{"link":'],
    ['no JSON', 'CANARY-in-a-body'],
    ['empty', ''],
    ['not UTF-8', '\u0000'],
    ['a list', '[]'],
    ['null', 'null'],
    ['a number', '1'],
    ['deep', '['.repeat(30_000)],
  ])('that is %s is a 400 that does not repeat it', async (_what, text) => {
    const answer = await open(text);
    expect([answer.status, answer.body.code]).toEqual([400, 'invalid_request']);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(answer.text).not.toContain('CANARY');
  });

  const wrong: [string, unknown][] = [
    ['link', 'A'.repeat(42)],
    ['link', `${'A'.repeat(42)}B`],
    ['link', `${'A'.repeat(43)}=`],
    ['link', `${'A'.repeat(42)}+`],
    ['link', ` ${'A'.repeat(42)}`],
    ['link', 7],
    ['link', null],
    ['time', '1750000000000'],
    ['time', -1],
    ['time', 1.5],
    ['time', 2 ** 53],
    ['time', null],
    ['fingerprint', 'F'.repeat(64)],
    ['fingerprint', 'f'.repeat(63)],
    ['fingerprint', undefined],
    ['bootId', '6F1B7A52-0000-4000-8000-0123456789AB'],
    ['bootId', 'x'],
    ['reason', 'warm'],
    ['reason', 'cli:'],
    ['reason', 'cli:a b'],
    ['reason', `cli:${'a'.repeat(65)}`],
    ['reason', 'cold\n'],
    ['seen', {}],
    ['seen', { seq: -1, head: 'f'.repeat(64) }],
    ['seen', { seq: 1, head: 'f'.repeat(64), more: 1 }],
    ['seen', []],
    ['extra', 1],
    ['__proto__x', 1],
  ];
  test.each(wrong)('whose %s is %j is a 400 that names the field', async (field, value) => {
    const answer = await open({ ...good(), [field]: value });
    expect([answer.status, answer.body.code]).toEqual([400, 'invalid_request']);
    expect(String(answer.body.field).split('.')[0]).toBe(field);
  });

  test.each([
    ['session', 'short'],
    ['keys', []],
    ['keys', 'master_1'],
    ['keys', ['../../etc/passwd']],
    ['keys', ['.hidden']],
    ['keys', ['a/b']],
    ['keys', ['a\0']],
    ['keys', ['']],
    ['keys', ['a'.repeat(129)]],
    ['keys', ['a', 'a']],
    ['keys', Array.from({ length: 257 }, (_, n) => `k${n}`)],
  ])('of a release whose %s is %j is a 400', async (field, value) => {
    const client = server.client();
    const body = {
      session: 'A'.repeat(43),
      link: 'A'.repeat(43),
      time: server.now(),
      keys: [masterKeyId],
      [field]: value,
    };
    const answer = await send('POST', '/v1/release', client.headers(), body);
    expect([answer.status, answer.body.code]).toEqual([400, 'invalid_request']);
  });

  test.each([
    ['proof', 'z'.repeat(64)],
    ['linkId', 'ABCDEF0123456789'],
    ['uptime', -1],
    ['uptime', '3'],
    ['bootId', null],
  ])('of a heartbeat whose %s is %j is a 400', async (field, value) => {
    const client = server.client();
    const answer = await send('POST', '/v1/heartbeat', client.headers(), { ...client.heartbeatBody(), [field]: value });
    expect([answer.status, answer.body.field]).toEqual([400, field]);
  });

  test.each(['A', 'AAA', 'AAAA=', 'AB==', 'AA AA', '', '====', 'AAA_'])(
    'with a key that is %j is a 400: not canonical base64',
    async (text) => {
      const client = server.client();
      const { grant } = client.credentials;
      const answer = await send('PUT', '/v1/keys/a.privateKey', client.headers(), { key: text, grant });
      expect([answer.status, answer.body.field]).toEqual([400, 'key']);
    },
  );

  test('over its limit is a 413: 64 KiB, 1 MiB for a key', async () => {
    const big = await open({ ...good(), extra: 'x'.repeat(64 * 1024) });
    expect([big.status, big.body.code]).toEqual([413, 'body_too_large']);
    const client = server.client();
    const body = { key: 'A'.repeat(1024 * 1024), grant: client.credentials.grant };
    const answer = await send('PUT', '/v1/keys/a.privateKey', client.headers(), body).catch(() => null);
    if (answer !== null) expect(answer.status).toBe(413); // or the connection was cut while it was still sent
  });

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/json; charset=utf-16',
    'application/jsonx',
    '',
  ])('of the type %j is a 415', async (type) => {
    const answer = await open(JSON.stringify(good()), { 'Content-Type': type });
    expect([answer.status, answer.body.code]).toEqual([415, 'unsupported_media_type']);
  });

  test('that is compressed is a 415', async () => {
    expect((await open(good(), { 'Content-Encoding': 'gzip' })).status).toBe(415);
  });
});

describe('a header', () => {
  test.each([
    ['X-Client', 'lk-1'],
    ['X-Client', `LK-${'0'.repeat(24)}`],
    ['X-Client', `lk-${'0'.repeat(24)}, x`],
    ['X-Client', "lk-' or 1=1 --"],
    ['X-Auth-Token', 'A'.repeat(42)],
    ['X-Auth-Token', `${'A'.repeat(42)}B`],
    ['X-TOTP', '12345'],
    ['X-TOTP', '1234567'],
    ['X-TOTP', '12345a'],
    ['X-TOTP', '+12345'],
  ])('%s: %s is a 400 that names it', async (name, value) => {
    const client = server.client();
    const answer = await send('POST', '/v1/open', { ...client.openHeaders(), [name]: value }, client.openBody());
    expect([answer.status, answer.body.code, answer.body.field]).toEqual([400, 'invalid_request', name]);
  });

  test.each(['X-Client', 'X-Auth-Token', 'X-TOTP', 'Content-Type'])('%s twice is a 400', async (name) => {
    const client = server.client();
    const body = JSON.stringify(client.openBody());
    const value = name === 'Content-Type' ? 'application/json' : client.openHeaders()[name];
    const head = `POST /v1/open HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${credentials(client)}`;
    const type = 'Content-Type: application/json\r\n';
    const answer = await raw(`${head}${type}${name}: ${value}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    expect(answer.text).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('block over 8 KiB is a 431', async () => {
    const answer = await raw(`GET /health HTTP/1.1\r\nHost: localhost\r\nX-Filler: ${'x'.repeat(9000)}\r\n\r\n`);
    expect(answer.text).toMatch(/^HTTP\/1\.1 431 /);
  });
});

describe('a path', () => {
  test.each([
    ['PUT', '/v1/keys/..%2f..%2fvault.json'],
    ['PUT', '/v1/keys/%2e%2e'],
    ['PUT', '/v1/keys/.hidden'],
    ['PUT', '/v1/keys/a%00b'],
    ['PUT', '/v1/keys/a%20b'],
    ['PUT', '/v1/keys/%ff'],
    ['PUT', `/v1/keys/${'a'.repeat(129)}`],
  ])('%s %s is a 400', async (method, path) => {
    const client = server.client();
    const answer = await send(method, path, client.headers(), { key: 'AAAA', grant: client.credentials.grant });
    expect([answer.status, answer.body.code]).toEqual([400, 'invalid_request']);
  });

  test.each([
    ['GET', '/v1/keys/../../etc/passwd', 404],
    ['PUT', '/v1/keys/', 404],
    ['PUT', '/v1/keys/a/b', 404],
    ['POST', '/V1/open', 404],
    ['POST', '/v1/open/', 404],
    ['POST', '//v1/open', 404],
    ['GET', '/', 404],
    ['GET', '/vault.json', 404],
    ['GET', '/v1/open', 405],
    ['DELETE', '/v1/keys/a', 405],
    ['HEAD', '/key', 405],
    ['OPTIONS', '/v1/open', 405],
    ['TRACE', '/v1/open', 405],
  ])('%s %s is a %i', async (method, path, status) => {
    expect((await send(method, path, server.client().headers())).status).toBe(status);
  });

  test('with a query is a 400', async () => {
    const client = server.client();
    expect((await send('POST', '/v1/open?x=1', client.openHeaders(), client.openBody())).status).toBe(400);
  });
});

describe('a message that two readers could read differently', () => {
  const start = 'POST /v1/open HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
  const smuggled = 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n';

  test.each([
    [
      'Content-Length and Transfer-Encoding',
      `${start}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    ],
    [
      'Transfer-Encoding and Content-Length',
      `${start}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${smuggled}`,
    ],
    ['two different Content-Lengths', `${start}Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}${smuggled}`],
    ['two equal Content-Lengths', `${start}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}${smuggled}`],
    ['a list of Content-Lengths', `${start}Content-Length: 2, 2\r\n\r\n{}${smuggled}`],
    ['a signed Content-Length', `${start}Content-Length: +2\r\n\r\n{}${smuggled}`],
    ['a hexadecimal Content-Length', `${start}Content-Length: 0x2\r\n\r\n{}${smuggled}`],
    ['an unknown Transfer-Encoding', `${start}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${smuggled}`],
    ['chunked before another encoding', `${start}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${smuggled}`],
    ['a folded header', `${start}X-Client: lk-\r\n 000\r\nContent-Length: 2\r\n\r\n{}${smuggled}`],
    ['bare line feeds', `${start.replaceAll('\r\n', '\n')}Content-Length: 2\n\n{}${smuggled}`],
    ['a space before the colon', `${start}Content-Length : 2\r\n\r\n{}${smuggled}`],
    ['a carriage return in a value', `${start}X-Odd: a\rb\r\nContent-Length: 2\r\n\r\n{}${smuggled}`],
    [
      'a chunk size that is not hexadecimal',
      `${start}Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n${smuggled}`,
    ],
    ['no Host', `${start.replace('Host: localhost\r\n', '')}Content-Length: 2\r\n\r\n{}`],
    ['two Hosts', `${start}Host: elsewhere\r\nContent-Length: 2\r\n\r\n{}${smuggled}`],
    ['no HTTP at all', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
    ['a preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ])('with %s is refused once, and what follows it is not served', async (_what, text) => {
    const answer = await raw(text, 1500);
    const statuses = [...answer.text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => Number(match[1]));
    expect(statuses.length).toBeLessThanOrEqual(1);
    for (const status of statuses) expect(status).toSatisfy((code: number) => code >= 400 && code < 500);
    expect(answer.closed).toBe(true);
    expect(answer.text).not.toContain('"status":"ok"');
  });
});

describe('a connection', () => {
  test('that stops in the middle of a body gets an end, and its request does nothing', async () => {
    const client = server.client();
    const head = `POST /v1/open HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${credentials(client)}`;
    const socket = connectRaw(() => {
      socket.write(`${head}Content-Length: 500\r\n\r\n{"link":`);
      setTimeout(() => socket.destroy(), 100);
    });
    socket.on('error', () => undefined);
    await new Promise((done) => socket.once('close', done));
  });

  test('that sends its headers a byte at a time is cut off', { timeout: 20_000 }, async () => {
    const started = Date.now();
    const text = await drip(
      connectRaw(() => undefined),
      'GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ',
      200,
    );
    expect(Date.now() - started).toBeLessThan(12_000);
    expect(text === '' || /^HTTP\/1\.1 408 /.test(text)).toBe(true);
  });
});

/** Sends `text` byte by byte and then filler, until the other side closes; what it said. */
function drip(socket: Socket, text: string, every: number): Promise<string> {
  return new Promise((resolve) => {
    let got = '';
    let at = 0;
    const timer = setInterval(() => socket.writable && socket.write(text[at++] ?? 'x'), every);
    socket.on('data', (chunk: Buffer) => {
      got += chunk.toString();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearInterval(timer);
      resolve(got);
    });
  });
}

describe('after all that', () => {
  test('nothing in the store has changed', async () => {
    expect(await server.everything()).toBe(before);
  });

  test('the honest client is served', async () => {
    expect((await server.client().exchange(server, [masterKeyId])).status).toBe(200);
  });

  test('no secret is in any answer, in the log, in the audit log or in clear in the data directory', async () => {
    const { token, totpSecret, link, grant } = server.client().credentials;
    const secrets = [key, Buffer.from(token, 'base64url'), decodeBase32(totpSecret), Buffer.from(link, 'base64url')];
    const spellings = [...secrets, Buffer.from(grant, 'base64url')].flatMap((secret) => [
      secret.toString('latin1'),
      secret.toString('hex'),
      secret.toString('base64').replace(/=+$/, ''),
      secret.toString('base64url'),
    ]);
    spellings.push(totpSecret);
    const places = {
      answers: answers.join('\n'),
      log: server.log.join('\n'),
      audit: JSON.stringify(await server.audit()),
      ...Object.fromEntries(
        readdirSync(server.made.data).map((name) => [name, readFileSync(join(server.made.data, name), 'latin1')]),
      ),
    };
    expect(places.answers.length).toBeGreaterThan(10_000);
    expect(Object.keys(places)).toContain('keyserver.db');
    for (const [place, text] of Object.entries(places)) {
      for (const spelling of spellings) expect(text.includes(spelling), `a secret in ${place}`).toBe(false);
    }
    expect(places.log).not.toContain('CANARY');
    expect(places.audit).not.toContain('CANARY');
  });
});
