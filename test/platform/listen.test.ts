import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, type TLSSocket, connect as tlsConnect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAuthority, issueServerIdentity } from '../../keyserver/certificates/issuing.ts';
import { type Identity, privateKeyPem } from '../../platform/listening/identity.ts';
import { type Listener, limits, listen } from '../../platform/listening/listen.ts';

let authority: Identity;
let identity: Identity;
let listener: Listener;
let served = 0;
beforeAll(async () => {
  authority = await createAuthority('Test CA', Date.now(), randomBytes);
  identity = await issueServerIdentity(authority, ['127.0.0.1'], Date.now(), randomBytes);
  listener = await listen({ host: '127.0.0.1', port: 0 }, identity, authority.certificate, (_, response) => {
    served += 1;
    response.end('served');
  });
});
afterAll(() => listener.stop());

/** Sends bytes over TLS and answers with everything that came back until the end. */
function exchange(bytes: string, options: { maxVersion?: 'TLSv1.2'; ca?: string } = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tlsConnect({
      host: '127.0.0.1',
      port: listener.port,
      ca: options.ca ?? authority.certificate,
      ...options,
    });
    gather(socket, resolve);
    socket.on('error', reject);
    socket.write(bytes);
  });
}

function gather(socket: Socket, done: (text: string) => void): void {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('close', () => done(Buffer.concat(chunks).toString()));
}

const get = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';

const page = readFileSync(new URL('../../keyserver/PROTOCOL.md', import.meta.url), 'utf8');
const app = readFileSync(new URL('../../php-app/lib/State/LinkState.php', import.meta.url), 'utf8');
const script = readFileSync(new URL('../../php-app/bin/heartbeat.sh', import.meta.url), 'utf8');

it('a connection ends before what was sent on it could be older than clients count on', () => {
  const underWay = [/UNDER_WAY_MS = (\d+);/.exec(app)?.[1], /^UNDER_WAY_MS=(\d+)$/m.exec(script)?.[1]].map(Number);
  expect(underWay).toEqual([120_000, 120_000]);
  const { tlsHandshake, keepAlive, headers, request, checkEvery } = limits;
  expect(tlsHandshake + keepAlive + headers + request + checkEvery).toBeLessThan(120_000);
  expect(page).toContain(
    `no request\n  comes for ${keepAlive / 1000} s, or one does not come whole within ${request / 1000} s`,
  );
  expect(page).toContain('after\n  two minutes');
});

describe('listen()', () => {
  it.each([
    ['TLS 1.2', () => exchange(get, { maxVersion: 'TLSv1.2' })],
    [
      'plain HTTP',
      () =>
        new Promise<string>((resolve) => {
          const socket = connect(listener.port, '127.0.0.1');
          gather(socket, resolve);
          socket.on('error', () => undefined);
          socket.write(get);
        }),
    ],
  ])('serves nothing over %s', async (_, attempt) => {
    const before = served;
    const answer = await attempt().catch(() => '');
    expect(answer).not.toContain('served');
    expect(served).toBe(before);
  });
  it.each([
    ['no host', 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab', 400],
    [
      'a length and chunks',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['a bare line feed', 'GET / HTTP/1.1\nHost: x\n\n', 400],
    ['a header folded over lines', 'GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n', 400],
    ['a space before the colon', 'GET / HTTP/1.1\r\nHost : x\r\n\r\n', 400],
    ['no HTTP at all', 'hello\r\n\r\n', 400],
    ['headers over 8 KiB', `GET / HTTP/1.1\r\nHost: x\r\nA: ${'a'.repeat(9000)}\r\n\r\n`, 431],
  ])('refuses %s with a problem document and closes', async (_, bytes, status) => {
    const before = served;
    const answer = await exchange(bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(served).toBe(before);
  });
  it('cuts off a peer that sends its headers slowly', async () => {
    const started = Date.now();
    const answer = await exchange('GET / HTTP/1.1\r\nHost: x\r\n');
    expect(answer).toMatch(/^HTTP\/1.1 408 /);
    expect(Date.now() - started).toBeLessThan(9_000);
  });
  it('cuts off a peer that connects and says nothing', async () => {
    const started = Date.now();
    const socket = connect(listener.port, '127.0.0.1');
    socket.on('error', () => undefined);
    await new Promise<void>((resolve) => socket.on('close', () => resolve()));
    expect(Date.now() - started).toBeLessThan(9_000);
  });
  it('names the port that is taken', async () => {
    const second = listen({ host: '127.0.0.1', port: listener.port }, identity, '', () => undefined);
    await expect(second).rejects.toMatchObject({
      code: 'listen_failed',
      hint: expect.stringContaining('another program'),
    });
  });
  it('serves over TLS 1.3, and with a new certificate when it is given one', async () => {
    expect(await exchange(get)).toContain('served');
    const other = await createAuthority('Other CA', Date.now(), randomBytes);
    listener.setIdentity(await issueServerIdentity(other, ['127.0.0.1'], Date.now(), randomBytes), other.certificate);
    await expect(exchange(get)).rejects.toThrow();
    expect(await exchange(get, { ca: other.certificate })).toContain('served');
    listener.setIdentity(identity, authority.certificate);
  });
  it('ends requests under way before it stops', async () => {
    let finish: (() => void) | null = null;
    const slow = await listen({ host: '127.0.0.1', port: 0 }, null, '', (_, response) => {
      finish = () => void response.end('finished');
    });
    const socket = connect(slow.port, '127.0.0.1');
    const answer = new Promise<string>((resolve) => gather(socket, resolve));
    socket.write(get);
    await expect.poll(() => finish, { timeout: 15_000 }).not.toBeNull();
    const stopped = slow.stop();
    (finish as (() => void) | null)?.();
    await stopped;
    expect(await answer).toContain('finished');
  });
});

describe('listen() for clients of every kind', () => {
  let open: Listener;
  beforeAll(async () => {
    open = await listen(
      { host: '127.0.0.1', port: 0 },
      identity,
      null,
      ({ socket }, response) => {
        response.end((socket as TLSSocket).getPeerX509Certificate() === undefined ? 'nobody' : 'somebody');
      },
      { oldestTls: '1.2' },
    );
  });
  afterAll(() => open.stop());

  /** The protocol and suite of a connection and what was answered on it. */
  function ask(port: number, options: ConnectionOptions = {}): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = tlsConnect({ host: '127.0.0.1', port, ca: authority.certificate, ...options }, () => {
        const about = `${socket.getProtocol()} ${socket.getCipher().name}`;
        gather(socket, (text) => resolve(`${about} ${text.split('\r\n').at(-1)}`));
        socket.write(get);
      });
      socket.on('error', reject);
    });
  }

  it.each([
    ['TLS 1.1', { maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' }],
    ['a suite without authenticated encryption', { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' }],
    ['a suite without forward secrecy', { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256:AES256-SHA' }],
  ] as const)('refuses %s', async (_, options) => {
    await expect(ask(open.port, options)).rejects.toThrow(/alert|handshake|protocol/);
  });

  it('speaks 1.3 with whoever can, and 1.2 with whoever cannot, when it is told so', async () => {
    expect(await ask(open.port)).toMatch(/^TLSv1.3 TLS_/);
    expect(await ask(open.port, { maxVersion: 'TLSv1.2' })).toMatch(/^TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256 /);
    await expect(ask(listener.port, { maxVersion: 'TLSv1.2' })).rejects.toThrow();
    open.setIdentity(identity, null);
    expect(await ask(open.port, { maxVersion: 'TLSv1.2' })).toMatch(/^TLSv1.2 /);
  });

  it('asks nobody for a certificate where there are no authorities, and everybody where there are', async () => {
    const shown = { cert: identity.certificate, key: privateKeyPem(identity.privateKey) };
    expect(await ask(open.port, shown)).toMatch(/nobody$/);
    const asking = await listen({ host: '127.0.0.1', port: 0 }, identity, authority.certificate, (request, response) =>
      response.end((request.socket as TLSSocket).getPeerX509Certificate() === undefined ? 'nobody' : 'somebody'),
    );
    expect(await ask(asking.port, shown)).toMatch(/somebody$/);
    await asking.stop();
  });

  it('gives one source no more connections than its share, but a proxy as many as it brings', async () => {
    const many = await listen({ host: '127.0.0.1', port: 0 }, null, null, (_, response) => void response.end(), {
      proxies: ['127.0.0.1/32'],
    });
    const count = limits.connectionsPerSource + 3;
    const settled = (socket: Socket): Promise<void> =>
      new Promise((resolve) => {
        socket.on('error', () => undefined);
        socket.on('data', () => resolve());
        socket.on('close', () => resolve());
      });
    /** How many of them are answered while all of them are there. */
    const openedFrom = async (localAddress: string): Promise<number> => {
      const sockets: Socket[] = [];
      for (let batch = 0; batch < count / 103; batch += 1) {
        const some = Array.from({ length: 103 }, () => connect({ host: '127.0.0.1', port: many.port, localAddress }));
        for (const socket of some) socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
        await Promise.all(some.map(settled));
        sockets.push(...some);
      }
      const answered = sockets.filter(({ closed }) => !closed).length;
      for (const socket of sockets) socket.destroy();
      return answered;
    };
    expect(await openedFrom('127.0.0.2')).toBe(limits.connectionsPerSource);
    expect(await openedFrom('127.0.0.1')).toBe(count);
    await many.stop();
  });
});
