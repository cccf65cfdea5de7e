import type { Kysely } from 'kysely';
import type { RandomBytes } from '../../platform/clock.ts';
import { sha256Hex } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import type { Store } from '../../platform/store.ts';
import type { Actor } from '../hub/actor.ts';
import { checkOrder, ORDER_FIELDS } from '../hub/peer-order.ts';
import { assertSameNetworks } from '../hub/peer-register.ts';
import { installCommand, verifiedCommand } from '../installers/install-commands.ts';
import { type InstallerValues, installerText } from '../installers/render.ts';
import { clientProgram } from '../obfuscation/clients.ts';
import { assertFit } from '../peers/client-config.ts';
import { type HubInterface, poolOf } from '../store/hub-interface.ts';
import { type HubDatabase, PLATFORMS, type Platform } from '../store/schema.ts';
import { type HubAddress, type InstallToken, newTokenText } from './install-token.ts';
import { insertToken } from './install-token-store.ts';
import type { InstallerKey } from './installer-signing.ts';
import { recordToken, sweepTokens } from './token-sweeper.ts';

/** A spoke as somebody wants it. */
export interface InvitationOrder {
  readonly spokeName: string;
  readonly platform: Platform | null;
  /** `null` for the lowest that is free. */
  readonly customIP: string | null;
  /** Milliseconds. */
  readonly life: number;
  /** How many nodes of its cluster may be invited with its token. */
  readonly members: number;
}

/** A token with its text, which nobody is told again. */
export interface Invitation {
  readonly token: InstallToken;
  readonly text: string;
  /** One for each platform that the token is good for. */
  readonly installers: Readonly<Partial<Record<Platform, InstallerNotice>>>;
}

/** What is shown of a script before anybody has fetched it. */
export interface InstallerNotice {
  readonly url: string;
  /** Hex. */
  readonly sha256: string;
  /** Ed25519, base64. */
  readonly signature: string;
  /** One line for a shell that has all rights, or PowerShell. */
  readonly command: string;
  /** Downloads, checks, and only then runs. */
  readonly verifiedCommand: string;
}

export interface InvitationParts {
  readonly store: Store<HubDatabase>;
  readonly random: RandomBytes;
  readonly now: () => number;
  readonly key: InstallerKey;
  /** What scripts are made out to, by the endpoint of the spoke's interface. */
  readonly address: (endpoint: string) => HubAddress;
}

/** Nodes of one Proxmox cluster that one command brings in: more than its manual has seen in use. */
export const MOST_MEMBERS = 64;

const USUAL_TUNNEL = 'wg0';

/**
 * Makes a token for a spoke of this interface. Throws what the order and the pool refuse: `invalid_request`, `invalid_address`,
 * `ip_taken`, `pool_exhausted`, `interface_changed`, and `client_unfit` (409) for an obfuscated interface, whose client no installer can
 * install.
 */
export async function invite(
  parts: InvitationParts,
  facts: HubInterface,
  order: InvitationOrder,
  by: Actor,
): Promise<Invitation> {
  assertInvitable(facts, order, parts.now());
  return parts.store.transaction((tx) => inviteWithin(tx, parts, facts, order, by, null));
}

/** The same as part of a transaction; the order has been checked. `parent` is the token that this one is made with. */
export async function inviteWithin(
  tx: Kysely<HubDatabase>,
  { random, now, key, address }: InvitationParts,
  facts: HubInterface,
  order: InvitationOrder,
  by: Actor,
  parent: string | null,
): Promise<Invitation> {
  const at = now();
  const { text, hash } = newTokenText(random);
  const spokeId = random(12).toString('hex');
  const { spokeName, platform, members } = order;
  const reached = address(facts.endpoint);
  const wanted = platform === null ? PLATFORMS : [platform];
  const installers = Object.fromEntries(
    wanted.map((one) => [one, noticeOf(one, { text, spokeId, spokeName, members, tunnel: facts.name }, reached, key)]),
  ) as Partial<Record<Platform, InstallerNotice>>;
  await assertSameNetworks(tx, facts);
  await sweepTokens(tx, at); // an address that somebody wishes for may be kept for nobody any more
  const token = await insertToken(tx, poolOf(facts), order.customIP, {
    id: random(12).toString('hex'),
    hash,
    interface: facts.name,
    spokeId,
    spokeName,
    platform,
    hub: reached,
    scripts: Object.fromEntries(Object.entries(installers).map(([one, { sha256 }]) => [one, sha256])),
    members,
    parent,
    createdBy: by.name,
    createdFrom: by.source,
    createdAt: at,
    expiresAt: at + order.life,
  });
  await recordToken(tx, 'install_token_made', token, by, at, {
    expires_at: token.expiresAt,
    platform,
    members,
    parent,
  });
  return { token, text, installers };
}

/** Pure: throws for an order that cannot be met whatever the store says. */
export function assertInvitable(facts: HubInterface, { spokeName, customIP }: InvitationOrder, now: number): void {
  assertFit(clientProgram('wireguard', 'platform'), facts.obfuscation);
  const fields = { ...ORDER_FIELDS, name: 'spokeName', wishedAddress: 'customIP' };
  checkOrder({ name: spokeName, kind: 'spoke', wishedAddress: customIP }, facts, poolOf(facts), [], now, fields);
}

/** The script of a token, the same bytes as when the token was made. Throws `script_changed` (409) when the hub makes another one by now. */
export function scriptOf(token: InstallToken, text: string, platform: Platform): string {
  const { spokeId, spokeName, members, hub, interface: tunnel } = token;
  const script = installerText(platform, valuesOf({ text, spokeId, spokeName, members, tunnel }, hub));
  if (sha256Hex(script) === token.scripts[platform]) return script;
  throw new LatchkeyError('script_changed', 'the hub makes another script by now than when the token was made', {
    status: 409,
    hint: 'it was updated meanwhile: have a new token made',
  });
}

interface Subject {
  readonly text: string;
  readonly spokeId: string;
  readonly spokeName: string;
  readonly members: number;
  readonly tunnel: string;
}

function noticeOf(platform: Platform, subject: Subject, address: HubAddress, key: InstallerKey): InstallerNotice {
  const script = installerText(platform, valuesOf(subject, address));
  const url = `${address.url}/api/installation/script/${subject.text}?platform=${platform}`;
  const sha256 = sha256Hex(script);
  const signature = key.sign(script);
  const pin = address.pin ?? '';
  const shown = { url, pin, sha256, signature, signingKey: key.publicKey };
  return {
    url,
    sha256,
    signature,
    command: installCommand(platform, { url, pin }),
    verifiedCommand: verifiedCommand(platform, shown),
  };
}

function valuesOf({ text, spokeId, spokeName, members, tunnel }: Subject, address: HubAddress): InstallerValues {
  const { url, pin, hubName } = address;
  return {
    hubUrl: url,
    hubPin: pin ?? '',
    token: text,
    spokeId,
    spokeName,
    hubName,
    tunnel: tunnelName(tunnel),
    members,
  };
}

/** As the hub calls the interface, unless that is a name which an installer refuses: names of units and services have fewer characters. */
function tunnelName(name: string): string {
  return /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(name) ? name : USUAL_TUNNEL;
}
