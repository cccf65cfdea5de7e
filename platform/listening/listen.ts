import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { LatchkeyError } from '../errors.ts';
import { type Identity, privateKeyPem } from './identity.ts';
import type { ListenAddress } from './listen-address.ts';
import { isWithin } from './network.ts';

/**
 * Against peers that are slow, many or endless. Milliseconds. No request may come more than two minutes after it was sent:
 * clients whose clock was ahead count on that (PROTOCOL.md, `time`).
 */
export const limits = {
  tlsHandshake: 5_000,
  headers: 5_000,
  request: 10_000,
  /** Longer than the minute between two heartbeats, so that an honest client keeps its connection. */
  keepAlive: 75_000,
  inactivity: 120_000,
  checkEvery: 1_000,
  headerBytes: 8 * 1024,
  headerCount: 64,
  connections: 2_048,
  connectionsPerSource: 512,
  stop: 5_000,
  /** How often a server that stops looks for connections whose last answer is out. */
  sweep: 50,
  /** For a refused peer to read why. */
  farewell: 1_000,
} as const;

export interface Listener {
  readonly port: number;
  /** Serves new connections with another certificate, and tells them other authorities. */
  setIdentity(identity: Identity, authorities: string | null): void;
  /** Takes nothing new, lets requests under way end for 5 s, then closes what is left. */
  stop(): Promise<void>;
}

export interface ListenOptions {
  /** The oldest TLS that is spoken, 1.3 unless told. 1.2 is for clients on Windows 10 and old distributions, with suites that have forward secrecy and authenticated encryption alone. */
  readonly oldestTls?: '1.2' | '1.3';
  /** Networks of web servers that bring everybody's connections, and so may have as many as there are. */
  readonly proxies?: readonly string[];
}

/**
 * Listens with TLS 1.3 (no older version, whatever the client offers, unless told), or without TLS when `identity` is `null`:
 * the caller has then made sure that the address is loopback or inside a tunnel.
 *
 * Every peer is asked for a certificate of `authorities` (PEM) and none is turned away: whether it has to show one, and
 * whether the one it shows holds, is decided where the call is known, so that a refusal is an answer. `null` asks nobody:
 * browsers would put the question to whoever sits before them.
 */
export async function listen(
  address: ListenAddress,
  identity: Identity | null,
  authorities: string | null,
  handler: RequestListener,
  options: ListenOptions = {},
): Promise<Listener> {
  const http = {
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headers,
    requestTimeout: limits.request,
    keepAliveTimeout: limits.keepAlive,
    connectionsCheckingInterval: limits.checkEvery,
    insecureHTTPParser: false,
    requireHostHeader: true,
    noDelay: true,
  };
  const https =
    identity === null ? null : createHttpsServer({ ...http, ...tlsOptions(identity, authorities, options) }, handler);
  const server: Server = https ?? createHttpServer(http, handler);
  server.maxHeadersCount = limits.headerCount;
  server.maxConnections = limits.connections;
  server.setTimeout(limits.inactivity);
  server.on('clientError', answerBroken);
  const sockets = trackSockets(server, options.proxies ?? []);
  await opened(server, address);
  return {
    port: (server.address() as AddressInfo).port,
    setIdentity: (next, trusted) => https?.setSecureContext(tlsOptions(next, trusted, options)),
    stop: () => stopped(server, sockets),
  };
}

/** Of TLS 1.2 what 1.3 left: ephemeral keys (ECDHE) and GCM or ChaCha20; with those of 1.3, which have names of their own. */
const suites = [
  ...['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'],
  ...['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305'].flatMap((one) => [
    `ECDHE-ECDSA-${one}`,
    `ECDHE-RSA-${one}`,
  ]),
].join(':');

function tlsOptions(identity: Identity, authorities: string | null, { oldestTls = '1.3' }: ListenOptions) {
  const peers =
    authorities === null ? { requestCert: false } : { requestCert: true, rejectUnauthorized: false, ca: authorities };
  return {
    ...peers,
    cert: identity.certificate,
    key: privateKeyPem(identity.privateKey),
    minVersion: `TLSv${oldestTls}`,
    maxVersion: 'TLSv1.3',
    ...(oldestTls === '1.3' ? {} : { ciphers: suites, ecdhCurve: 'X25519:P-256:P-384' }),
    handshakeTimeout: limits.tlsHandshake,
  } as const;
}

function opened(server: Server, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const code = cause.code ?? 'unknown';
      const hint = code === 'EADDRINUSE' ? 'another program, perhaps this server itself, listens there' : undefined;
      const options = { cause, ...(hint !== undefined && { hint }) };
      reject(new LatchkeyError('listen_failed', `could not listen on ${host} port ${port} (${code})`, options));
    });
    server.listen({ host, port, exclusive: true, backlog: 511 }, () => resolve());
  });
}

/** Closing a server waits for every connection, those too on which no request ever came. */
function stopped(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      for (const socket of sockets) socket.destroy();
    }, limits.stop);
    // a connection that carried a request is idle only after its answer
    const sweep = setInterval(() => server.closeIdleConnections(), limits.sweep);
    server.close(() => {
      clearTimeout(timer);
      clearInterval(sweep);
      resolve();
    });
    server.closeIdleConnections();
  });
}

/** Keeps the open connections, and one peer from taking every connection there is. */
function trackSockets(server: Server, proxies: readonly string[]): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  const perSource = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const source = socket.remoteAddress ?? '';
    const count = (perSource.get(source) ?? 0) + 1;
    if (count > limits.connectionsPerSource && !isWithin(source, proxies)) return void socket.destroy();
    perSource.set(source, count);
    sockets.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      const left = (perSource.get(source) ?? 1) - 1;
      if (left === 0) perSource.delete(source);
      else perSource.set(source, left);
    });
  });
  return sockets;
}

/**
 * What is not HTTP, too large or too slow gets a problem document and is cut off. What failed before that (a handshake)
 * is only cut off: nothing can be told there, and waiting to tell it would keep the connection.
 */
function answerBroken(error: NodeJS.ErrnoException, socket: Socket): void {
  const isHttp = error.code?.startsWith('HPE_') === true || error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  if (!isHttp || !socket.writable) return void socket.destroy();
  const [status, title, code] = brokenAnswer(error.code);
  const body = JSON.stringify({ type: 'about:blank', title, status, code, detail: 'the request could not be read' });
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\nConnection: close\r\nCache-Control: no-store\r\n` +
      `Content-Type: application/problem+json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  setTimeout(() => socket.destroy(), limits.farewell).unref();
}

function brokenAnswer(code: string | undefined): [number, string, string] {
  if (code === 'HPE_HEADER_OVERFLOW') return [431, 'Request Header Fields Too Large', 'headers_too_large'];
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return [408, 'Request Timeout', 'request_timeout'];
  return [400, 'Bad Request', 'invalid_request'];
}
