import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import type { AppRequest, AppResponse, Route } from '../../platform/http-app.ts';
import { parseInput } from '../../platform/schema.ts';
import { allowed, type Caller } from '../access/caller.ts';
import { pageOf, readPageWish } from '../peers/page-mark.ts';
import { fetchablePlatform, installTokenHash, parsePlatform, TOKEN_STATES } from '../spokes/install-token.ts';
import { countTokens, listTokens } from '../spokes/install-token-list.ts';
import { findInstallToken, revokeToken, takeScript } from '../spokes/install-token-store.ts';
import { invitationJson, tokenJson } from '../spokes/invitation-json.ts';
import { invite, MOST_MEMBERS, scriptOf } from '../spokes/invitations.ts';
import { assertInstaller, programOf } from '../spokes/script-visitor.ts';
import { recordToken } from '../spokes/token-sweeper.ts';
import { PLATFORMS, type Platform } from '../store/schema.ts';
import { type Desk, hubOf } from './desk.ts';

const HOUR_MS = 3_600_000;
const MOST_HOURS = 720;
const USUAL_PER_PAGE = 100;

/** Tokens with which spokes join, and the scripts that they are good for. */
export function installationRoutes(desk: Desk): readonly Route[] {
  const { access } = desk;
  const script = '/api/installation/script/:token';
  return [
    {
      method: 'POST',
      path: '/api/installation/token',
      bodyLimit: 4096,
      handler: allowed(access, 'peers:write', (request, caller) => create(desk, request, caller)),
    },
    {
      method: 'GET',
      path: '/api/installation/tokens',
      bodyLimit: 0,
      query: ['status', 'limit', 'after'],
      handler: allowed(access, 'peers:read', (request) => list(desk, request)),
    },
    {
      method: 'DELETE',
      path: '/api/installation/token/:id',
      bodyLimit: 0,
      query: ['fetched'],
      handler: allowed(access, 'peers:write', (request, caller) => revoke(desk, request, caller)),
    },
    {
      method: 'GET',
      path: '/api/installation/key',
      bodyLimit: 0,
      handler: () => Promise.resolve({ status: 200, body: desk.installers.key.publicKey }),
    },
    {
      method: 'GET',
      path: script,
      bodyLimit: 0,
      query: ['platform'],
      handler: (request) => fetchScript(desk, request),
    },
    { method: 'HEAD', path: script, bodyLimit: 0, query: ['platform'], handler: (request) => look(desk, request) },
  ];
}

const orderSchema = z.strictObject({
  spokeName: z.string(),
  customIP: z.string().max(64).nullable().optional(),
  platform: z.enum(PLATFORMS).nullable().optional(),
  expiresInHours: z.number().min(1).max(MOST_HOURS).optional(),
  interface: z.string().max(15).optional(),
  clusterMembers: z.int().min(0).max(MOST_MEMBERS).default(0),
});

async function create(desk: Desk, request: AppRequest, { actor }: Caller): Promise<AppResponse> {
  const wanted = parseInput(orderSchema, request.body);
  const { hub } = hubOf(desk, wanted.interface);
  const { platform = null, clusterMembers: members } = wanted;
  if (members > 0 && platform !== null && platform !== 'proxmox') {
    const words = '"clusterMembers" is for nodes of a Proxmox cluster';
    throw new LatchkeyError('invalid_request', words, { status: 400, field: 'clusterMembers' });
  }
  desk.invitationLimit.take(request.source, desk.clock.now());
  const order = {
    spokeName: wanted.spokeName,
    platform,
    customIP: wanted.customIP ?? null,
    life: Math.round((wanted.expiresInHours ?? desk.config.spokes.hours) * HOUR_MS),
    members,
  };
  const made = await invite(desk.installers, hub.facts, order, actor);
  desk.metrics.tokenMade();
  return { status: 201, body: { success: true, ...invitationJson(made, desk.installers.key) } };
}

async function list(desk: Desk, { query }: AppRequest): Promise<AppResponse> {
  const { status } = query;
  const state = status === undefined ? null : TOKEN_STATES.find((one) => one === status);
  if (state === undefined) {
    const words = `"status" must be one of ${TOKEN_STATES.join(', ')}`;
    throw new LatchkeyError('invalid_request', words, { status: 400, field: 'status' });
  }
  const { limit, after } = readPageWish(query, USUAL_PER_PAGE);
  const now = desk.clock.now();
  const { tokens, counts } = await desk.store.read(async (db) => ({
    tokens: await listTokens(db, state, after, limit + 1, now),
    counts: await countTokens(db, now),
  }));
  const { page, next } = pageOf(tokens, limit);
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return {
    status: 200,
    body: { success: true, tokens: page.map((token) => tokenJson(token, now)), counts: { total, ...counts }, next },
  };
}

async function revoke(desk: Desk, { params, query }: AppRequest, { actor }: Caller): Promise<AppResponse> {
  const { fetched = 'false' } = query;
  if (fetched !== 'true' && fetched !== 'false') {
    throw new LatchkeyError('invalid_request', '"fetched" must be true or false', { status: 400, field: 'fetched' });
  }
  const now = desk.clock.now();
  await desk.store.transaction(async (tx) => {
    const token = await revokeToken(tx, params.id ?? '', now, { fetched: fetched === 'true' });
    await recordToken(tx, 'install_token_revoked', token, actor, now, { fetched: token.fetchedAt !== null });
  });
  return { status: 200, body: { success: true } };
}

interface Found {
  readonly id: string;
  readonly platform: Platform;
  readonly answer: AppResponse;
}

/** Everything that can be said without using the token up. */
async function find(desk: Desk, { params, query, headers, source }: AppRequest): Promise<Found> {
  assertInstaller(headers);
  const text = params.token ?? '';
  return desk.tokenRefusals.guard(source, text, async () => {
    const hash = installTokenHash(text);
    const wished = query.platform === undefined ? null : parsePlatform(query.platform);
    const token = await desk.store.read((db) => findInstallToken(db, hash));
    const platform = fetchablePlatform(token, wished, desk.clock.now());
    if (token === null) throw new TypeError('a script was given for no token');
    const script = scriptOf(token, text, platform);
    const type = platform === 'windows' ? 'text/plain' : 'text/x-shellscript';
    const answer: AppResponse = {
      status: 200,
      headers: { 'Content-Type': `${type}; charset=utf-8`, 'Cache-Control': 'no-store' },
      body: script,
    };
    return { id: token.id, platform, answer };
  });
}

async function look(desk: Desk, request: AppRequest): Promise<AppResponse> {
  return (await find(desk, request)).answer;
}

/** Of all who ask at once, one statement lets one have it; the others are told what they would have been told a moment later. */
async function fetchScript(desk: Desk, request: AppRequest): Promise<AppResponse> {
  const { id, platform, answer } = await find(desk, request);
  const { source, headers } = request;
  const agent = programOf(headers);
  const at = desk.clock.now();
  const isOurs = await desk.store.transaction(async (tx) => {
    const token = await takeScript(tx, id, { at, from: source, agent, platform });
    if (token === null) return false;
    const actor = { name: `install-token:${id}`, source };
    await recordToken(tx, 'installer_fetched', token, actor, at, { platform, agent });
    return true;
  });
  if (!isOurs) {
    await find(desk, request); // says why
    throw new TypeError('a token that could be used was not');
  }
  return answer;
}
