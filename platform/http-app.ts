import { IncomingMessage, type RequestListener, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import express from 'express';
import helmet, { type HelmetOptions } from 'helmet';
import { isPreflight, preflightHeaders, readableBy } from './cross-origin.ts';
import { isLatchkeyError, LatchkeyError } from './errors.ts';
import { malformed, readBody, readQuery, refuseRepeatedHeaders } from './http-request.ts';
import { sourceOf } from './listening/source.ts';
import type { Log } from './log.ts';

/** What a handler sees of a request: everything already checked for its form. */
export interface AppRequest {
  /** Values of `:name` parts of the path, percent-decoded. */
  readonly params: Readonly<Record<string, string>>;
  /** Lower-case names. A header that came more than once is not here: such a request was refused. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Upper case. */
  readonly method: string;
  /** The path with its query, as on the request line. */
  readonly target: string;
  /** Parameters of the query that the route knows, percent-decoded; one that came twice was refused. */
  readonly query: Readonly<Record<string, string | undefined>>;
  /** The parsed JSON body, or a form's fields by name; `undefined` for methods without one. */
  readonly body: unknown;
  /** The body as it came, for what is signed; empty without one. */
  readonly bytes: Uint8Array;
  /** The address of the peer of this connection, or what one of `trustedProxies` says of its own peer: `sourceOf`. */
  readonly source: string;
  /** The connection's socket, for what TLS knows of the peer. */
  readonly socket: IncomingMessage['socket'];
}

export interface AppResponse {
  readonly status: number;
  /** Sent as JSON, or as text when it is a string; `undefined` sends nothing. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** In place of the protective headers that fit an API. */
  readonly protection?: Protection;
}

/** Names and values by turns, in lower case. */
export type Protection = readonly string[];

export interface Route {
  /** `HEAD` is a route of its own, for what a look must not change; its answer's headers are those of the body, which stays here. */
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  /** `/v1/keys/:id` */
  readonly path: string;
  /** Bytes of body at the most; 0 refuses a body. */
  readonly bodyLimit: number;
  /** Parameters that a query may have; none unless told. */
  readonly query?: readonly string[];
  /** What the body is, `json` unless told. */
  readonly bodyType?: 'json' | 'form';
  readonly handler: (request: AppRequest) => Promise<AppResponse>;
}

/** Routes that not everybody is to know of. */
export interface Area {
  /** `/admin`; every path of its routes begins with it. */
  readonly prefix: string;
  /** Whether this peer may know of them. To all others, each path below the prefix is like any that was never there. */
  readonly admits: (peer: { readonly source: string; readonly socket: IncomingMessage['socket'] }) => boolean;
  readonly routes: readonly Route[];
}

export interface AppOptions {
  readonly routes: readonly Route[];
  readonly areas?: readonly Area[];
  readonly log: Log;
  /** How errors are numbered in the log. */
  readonly requestId: () => string;
  /** Told of each answer: the route's path (or `null` where there is none), the status and how long it took. */
  readonly onAnswer?: (answer: { method: string; route: string | null; status: number; millis: number }) => void;
  /** What a 401 asks for (RFC 9110, section 11.6.1): `Bearer`. */
  readonly challenge?: string;
  /** More members for each problem document, for callers that look for an error elsewhere than RFC 9457 has it. */
  readonly problemMembers?: (error: LatchkeyError) => Readonly<Record<string, unknown>>;
  /** Networks of web servers before this one, whose `X-Forwarded-For` is believed; without any it is never looked at. */
  readonly trustedProxies?: readonly string[];
  /** The one origin whose pages may call from a browser and read the answers, errors too. */
  readonly corsOrigin?: string | null;
}

/**
 * One Express application from a table of routes. Bodies are strict JSON in UTF-8; every error is a problem document
 * (RFC 9457) with a stable `code`; what is not in the table is 404, a known path with another method 405. The caller is
 * told a code and a fixed text, the log gets the cause with a request id.
 */
export function createHttpApp(options: AppOptions): RequestListener {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', false);
  app.set('case sensitive routing', true);
  app.set('strict routing', true);

  addRoutes(app, options.routes, options);
  for (const area of options.areas ?? []) {
    // before the routes, so that not even a path that cannot be decoded tells of them
    app.use(area.prefix, (request, response, next) => {
      if (area.admits({ source: sourceBy(options, request), socket: request.socket })) next();
      else refuse(response, notFound(), options);
    });
    addRoutes(app, area.routes, options);
  }
  app.use((request, response) => {
    if (options.onAnswer !== undefined) timed(request, response, null, options.onAnswer);
    refuse(response, notFound(), options);
  });
  // Express hands errors of its own here: a path that cannot be decoded
  app.use((error: unknown, _request: IncomingMessage, response: ServerResponse, _next: express.NextFunction) => {
    const status = (error as { status?: unknown }).status;
    refuse(response, status === 400 ? malformed('path', 'is not a valid URL path') : error, options);
  });
  const plain = pathsOf(options.routes.filter(({ path }) => /^[a-z0-9/-]+$/.test(path)));
  const { corsOrigin = null } = options;
  return (request, response) => {
    if (corsOrigin !== null) response.setHeaders(new Map(Object.entries(readableBy(corsOrigin, request.headers))));
    // such a path, when it is spelled just so, needs no router: Express would take a tenth of the time of an answer
    const methods = plain.get(request.url ?? '');
    if (methods === undefined) app(request as express.Request, response as express.Response);
    else void serve(request, response, noParams, methods, options);
  };
}

/** Without proxies to trust the address stays as the socket spells it. */
function sourceBy({ trustedProxies }: AppOptions, { socket, headers }: IncomingMessage): string {
  const peer = socket.remoteAddress ?? '';
  if (trustedProxies === undefined) return peer;
  const forwarded = headers['x-forwarded-for'];
  return sourceOf(peer, Array.isArray(forwarded) ? forwarded.join() : forwarded, trustedProxies);
}

const noParams: Readonly<Record<string, string>> = {};

/** The routes of each path. */
function pathsOf(routes: readonly Route[]): ReadonlyMap<string, readonly Route[]> {
  const byPath = new Map<string, Route[]>();
  for (const route of routes) byPath.set(route.path, [...(byPath.get(route.path) ?? []), route]);
  return byPath;
}

function addRoutes(app: express.Express, routes: readonly Route[], options: AppOptions): void {
  for (const [path, methods] of pathsOf(routes)) {
    app.all(path, (request, response) => {
      const params = request.params as Record<string, string>;
      void serve(request, response, params, methods, options);
    });
  }
}

/** Helmet's headers are the same for every answer of one sort, so it is asked once for each. */
export function protectionBy(settings: HelmetOptions): Protection {
  const request = new IncomingMessage(new Socket());
  const response = new ServerResponse(request);
  helmet(settings)(request, response, () => undefined);
  return Object.entries(response.getHeaders()).flatMap(([name, value]) => [name, String(value)]);
}

/** What a browser needs to be told about JSON; the headers about windows, downloads and Flash are for pages. */
const apiProtection = protectionBy({
  contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
  crossOriginOpenerPolicy: false,
  originAgentCluster: false,
  xDnsPrefetchControl: false,
  xDownloadOptions: false,
  xPermittedCrossDomainPolicies: false,
  xXssProtection: false,
});

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  params: Readonly<Record<string, string>>,
  routes: readonly Route[],
  options: AppOptions,
): Promise<void> {
  if (options.onAnswer !== undefined) timed(request, response, routes[0]?.path ?? null, options.onAnswer);
  try {
    const route = routes.find((candidate) => candidate.method === request.method);
    if (route === undefined) {
      const methods = routes.map((candidate) => candidate.method);
      if (isPreflight(options.corsOrigin ?? null, request.method, request.headers)) {
        await readBody(request, { bodyLimit: 0 });
        return send(response, { status: 204, headers: preflightHeaders(methods) });
      }
      response.setHeader('Allow', methods.join(', '));
      throw new LatchkeyError('method_not_allowed', 'this method is not known here', { status: 405 });
    }
    const query = readQuery(request.url ?? '', route.query ?? []);
    refuseRepeatedHeaders(request);
    const { body, bytes } = await readBody(request, route);
    const result = await route.handler({
      params,
      headers: request.headers as Record<string, string | undefined>,
      method: route.method,
      target: request.url ?? '',
      query,
      body,
      bytes,
      source: sourceBy(options, request),
      socket: request.socket,
    });
    send(response, result);
  } catch (error) {
    refuse(response, error, options);
  }
}

function timed(
  { method = '' }: IncomingMessage,
  response: ServerResponse,
  route: string | null,
  tell: NonNullable<AppOptions['onAnswer']>,
): void {
  const start = performance.now();
  response.once('finish', () =>
    tell({ method, route, status: response.statusCode, millis: performance.now() - start }),
  );
}

function notFound(): LatchkeyError {
  return new LatchkeyError('not_found', 'there is nothing here', { status: 404 });
}

function send(response: ServerResponse, result: AppResponse, type?: string): void {
  if (response.headersSent || response.destroyed) return;
  const headers = [...(result.protection ?? apiProtection)];
  if (result.headers !== undefined) headers.push(...Object.entries(result.headers).flat());
  if (result.headers?.['Cache-Control'] === undefined) headers.push('cache-control', 'no-store');
  if (result.body === undefined) {
    response.writeHead(result.status, headers).end();
    return;
  }
  const isText = typeof result.body === 'string';
  const body = isText ? (result.body as string) : JSON.stringify(result.body);
  if (result.headers?.['Content-Type'] === undefined) {
    headers.push('content-type', type ?? (isText ? 'text/plain; charset=utf-8' : 'application/json'));
  }
  headers.push('content-length', String(Buffer.byteLength(body)));
  response.writeHead(result.status, headers).end(body);
}

/** What the caller may know of an error; an error that is not ours is told as `internal_error` and nothing more. */
export function problemOf(error: unknown, members: AppOptions['problemMembers'] = () => ({})): AppResponse {
  const known = isLatchkeyError(error)
    ? error
    : new LatchkeyError('internal_error', 'the request could not be answered', { status: 500 });
  return {
    status: known.status,
    body: {
      ...known.extra,
      type: 'about:blank',
      title: known.code.replaceAll('_', ' '),
      status: known.status,
      code: known.code,
      detail: known.message,
      ...(known.field === undefined ? {} : { field: known.field }),
      ...members(known),
    },
    ...(known.retryAfter === undefined ? {} : { headers: { 'Retry-After': String(known.retryAfter) } }),
  };
}

function refuse(response: ServerResponse, error: unknown, options: AppOptions): void {
  const problem = problemOf(error, options.problemMembers);
  if (problem.status >= 500) {
    const cause = isLatchkeyError(error) ? (error.cause ?? error) : error;
    const { name, code, stack } = cause as { name?: string; code?: string; stack?: string };
    options.log.error(
      { request: options.requestId(), status: problem.status, name, errorCode: code, stack },
      'request failed',
    );
  }
  if (problem.status === 401 && options.challenge !== undefined)
    response.setHeader('WWW-Authenticate', options.challenge);
  // whoever sent a body that was not read to its end must not have the rest taken for a next request
  if (!response.req.complete) response.setHeader('Connection', 'close');
  send(response, problem, 'application/problem+json');
}
