import * as z from 'zod';
import type { AppRequest, AppResponse, Route } from '../../platform/http-app.ts';
import { parseInput } from '../../platform/schema.ts';
import { assertRegistrable, type InstallToken, installTokenHash } from '../spokes/install-token.ts';
import { findInstallToken } from '../spokes/install-token-store.ts';
import { inviteMembers, readMembersOrder } from '../spokes/member-invitations.ts';
import { readRegistration, registerSpoke } from '../spokes/registration.ts';
import { registrationJson, registrationText } from '../spokes/registration-answer.ts';
import { programOf } from '../spokes/script-visitor.ts';
import { withdrawSpoke } from '../spokes/spoke-withdrawal.ts';
import { type Desk, hubOf } from './desk.ts';

/** Metadata is the most of it. */
const BODY_LIMIT = 16_384;

/** What a spoke asks for by itself, with the token that its script came with. */
export function registrationRoutes(desk: Desk): readonly Route[] {
  const calls = { '/api/spoke/register': register, '/api/spoke/withdraw': withdraw, '/api/proxmox/members': members };
  return Object.entries(calls).map(([path, call]) => {
    return { method: 'POST', path, bodyLimit: BODY_LIMIT, handler: (request: AppRequest) => call(desk, request) };
  });
}

async function register(desk: Desk, { body, source, headers }: AppRequest): Promise<AppResponse> {
  const order = readRegistration(body);
  return desk.tokenRefusals.guard(source, order.token, async () => {
    const { token, hash } = await tokenOf(desk, order.token);
    const { clock, random, config } = desk;
    const now = (): number => clock.now();
    assertRegistrable(token, now());
    const { hub } = hubOf(desk, token.interface);
    const { otherSource } = config.spokes;
    const agent = programOf(headers);
    const made = await registerSpoke(hub, token, order, { hash, source, agent, otherSource, now, random });
    desk.metrics.created('spoke');
    if (token.fetchedPlatform !== null) desk.metrics.spokeRegistered(token.fetchedPlatform);
    if (wantsText(headers)) return textAnswer(registrationText(made, hub.facts, config.name));
    return { status: 201, body: { success: true, ...registrationJson(made, hub.facts, config.name) } };
  });
}

const withdrawal = z.strictObject({ token: z.string().max(200), publicKey: z.string().max(64) });

async function withdraw(desk: Desk, { body, source }: AppRequest): Promise<AppResponse> {
  const { token: text, publicKey } = parseInput(withdrawal, body);
  return desk.tokenRefusals.guard(source, text, async () => {
    const { token } = await tokenOf(desk, text);
    const { hub } = hubOf(desk, token?.interface);
    await withdrawSpoke(hub, token, publicKey, { source, now: desk.clock.now() });
    return { status: 200, body: { success: true } };
  });
}

async function members(desk: Desk, { body, source, headers }: AppRequest): Promise<AppResponse> {
  const order = readMembersOrder(body);
  return desk.tokenRefusals.guard(source, order.token, async () => {
    const { token } = await tokenOf(desk, order.token);
    const { facts } = hubOf(desk, token?.interface).hub;
    const { otherSource } = desk.config.spokes;
    const made = await inviteMembers(desk.installers, facts, token, order.members, { source, otherSource });
    for (const _ of made) desk.metrics.tokenMade();
    const list = made.flatMap(({ token: { spokeName, expiresAt }, text, installers: { proxmox } }) => {
      if (proxmox === undefined) return [];
      const { url, sha256, command, verifiedCommand } = proxmox;
      return [{ nodeName: spokeName, token: text, expiresAt, url, sha256, command, verifiedCommand }];
    });
    if (wantsText(headers)) {
      return textAnswer(list.map(({ nodeName, url, sha256 }) => `${nodeName}\t${url}\t${sha256}\n`).join(''));
    }
    const shown = list.map(({ expiresAt, command, url: _, ...rest }) => {
      return { ...rest, expiresAt: new Date(expiresAt).toISOString(), installCommand: command };
    });
    return { status: 201, body: { success: true, members: shown } };
  });
}

async function tokenOf(
  { store }: Desk,
  text: string,
): Promise<{ readonly token: InstallToken | null; readonly hash: Uint8Array }> {
  const hash = installTokenHash(text);
  return { hash, token: await store.read((db) => findInstallToken(db, hash)) };
}

/** Scripts without a parser of JSON ask for text. */
function wantsText(headers: Readonly<Record<string, string | undefined>>): boolean {
  return /^text\/plain\b/.test(headers.accept ?? '');
}

function textAnswer(body: string): AppResponse {
  return { status: 201, headers: { 'Content-Type': 'text/plain; charset=utf-8' }, body };
}
