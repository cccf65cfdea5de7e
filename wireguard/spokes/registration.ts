import type { Kysely } from 'kysely';
import * as z from 'zod';
import type { RandomBytes } from '../../platform/clock.ts';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import { parseInput } from '../../platform/schema.ts';
import type { Actor } from '../hub/actor.ts';
import { ORDER_FIELDS, type PeerOrder } from '../hub/peer-order.ts';
import type { MadePeer } from '../hub/peer-register.ts';
import type { ServedHub } from '../hub/served-interfaces.ts';
import type { Peer } from '../store/peers.ts';
import type { HubDatabase } from '../store/schema.ts';
import { assertRegistrable, type InstallToken, invalidPlatform } from './install-token.ts';
import { findInstallToken, takeRegistration } from './install-token-store.ts';
import { joinCluster } from './proxmox-clusters.ts';
import type { NodeFacts } from './spoke-json.ts';
import { recordToken } from './token-sweeper.ts';

/** Names of hosts, as Proxmox takes them. */
export const nodeName = z
  .string()
  .regex(/^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,61}[a-zA-Z0-9])?$/, 'must be the name of a host');

const schema = z.strictObject({
  token: z.string().max(200),
  publicKey: z.string().max(200),
  /** What the machine runs, in its own words. */
  os: z.string().min(1).max(128),
  isProxmox: z.boolean().default(false),
  proxmoxNodeName: nodeName.optional(),
  proxmoxClusterName: nodeName.optional(),
  proxmoxVersion: z
    .string()
    .regex(/^[\x21-\x7e][\x20-\x7e]{0,63}$/, 'must be 1 to 64 printable characters')
    .optional(),
  metadata: z.record(z.string(), z.unknown()).default({}),
});
export type RegistrationOrder = z.infer<typeof schema>;

/** What the body of a registration asks for. Throws `invalid_request`, naming the field. */
export function readRegistration(body: unknown): RegistrationOrder {
  const order = parseInput(schema, body);
  const { isProxmox, proxmoxNodeName, proxmoxClusterName, proxmoxVersion } = order;
  if (isProxmox && proxmoxNodeName === undefined) throw invalid('proxmoxNodeName', 'must be given for a Proxmox node');
  const stray = Object.entries({ proxmoxNodeName, proxmoxClusterName, proxmoxVersion }).find(
    ([, it]) => it !== undefined,
  );
  if (!isProxmox && stray !== undefined) throw invalid(stray[0], 'is for Proxmox nodes, with "isProxmox": true');
  return order;
}

/** A spoke that has just come, with what it is as a Proxmox node. */
export interface RegisteredSpoke extends MadePeer {
  readonly proxmox: NodeFacts | null;
}

/** What the hub thinks of registrations that come from elsewhere than the script went to. */
export type OtherSource = 'record' | 'refuse';

/**
 * Makes the spoke of a token: the first of all who ask with it, within half an hour of the download. Token, peer, cluster and audit
 * record are one transaction; the interface has the peer when this resolves, or `live` is false. Throws what `assertRegistrable` throws,
 * `invalid_public_key` (400), `public_key_exists` (409), `invalid_platform` (400) and `source_changed` (403); the token is as good
 * after them as before.
 */
export async function registerSpoke(
  hub: ServedHub,
  token: InstallToken,
  order: RegistrationOrder,
  about: {
    readonly hash: Uint8Array;
    readonly source: string;
    /** The program that asks; `null` where it does not say. */
    readonly agent: string | null;
    readonly otherSource: OtherSource;
    readonly now: () => number;
    readonly random: RandomBytes;
  },
): Promise<RegisteredSpoke> {
  const { source, agent, otherSource, now, random, hash } = about;
  assertRegistrable(token, now());
  assertPlatform(token, order);
  const moved = token.fetchedFrom !== source;
  if (moved && otherSource === 'refuse') throw sourceChanged();
  const actor: Actor = { name: `install-token:${token.id}`, source };
  const wish: PeerOrder = {
    name: token.spokeName,
    kind: 'spoke',
    platform: order.os,
    osFamily: token.fetchedPlatform,
    publicKey: order.publicKey,
    metadata: order.metadata,
  };
  let proxmox: NodeFacts | null = null;
  const kept = {
    id: token.spokeId,
    claim: async (tx: Kysely<HubDatabase>): Promise<number> => {
      const taken = await takeRegistration(tx, token.id, source, now());
      if (taken !== null) return taken.place;
      const present = await findInstallToken(tx, hash);
      assertRegistrable(present, now());
      throw new TypeError('a token that could be registered with was not');
    },
    joined: async (tx: Kysely<HubDatabase>, _peer: Peer): Promise<void> => {
      const { isProxmox, proxmoxNodeName: nodeName, proxmoxClusterName = null, proxmoxVersion: version = null } = order;
      if (isProxmox && nodeName !== undefined) {
        const facts = { spokeId: token.spokeId, nodeName, clusterName: proxmoxClusterName, version };
        const cluster = await joinCluster(tx, facts, now(), random);
        proxmox = { nodeName, clusterId: cluster?.id ?? null, clusterName: cluster?.name ?? null, version };
      }
      await recordToken(tx, 'spoke_registered', token, actor, now(), {
        os: order.os,
        fetched_from: token.fetchedFrom,
        other_source: moved,
        agent,
      });
    },
  };
  const fields = { ...ORDER_FIELDS, platform: 'os' };
  const made = await hub.peers.create(wish, actor, fields, kept).catch((error: unknown) => {
    throw isLatchkeyError(error, 'invalid_key') ? invalidPublicKey(error) : error;
  });
  return { ...made, proxmox };
}

function assertPlatform({ fetchedPlatform }: InstallToken, { isProxmox }: RegistrationOrder): void {
  if (isProxmox === (fetchedPlatform === 'proxmox')) return;
  throw invalidPlatform(
    isProxmox ? `is ${fetchedPlatform}: the script was not for Proxmox` : 'is proxmox: "isProxmox" must be true',
  );
}

function sourceChanged(): LatchkeyError {
  return new LatchkeyError('source_changed', 'the registration comes from another address than the download', {
    status: 403,
    hint: 'run the script on the machine that fetched it, or have a new token made',
  });
}

function invalidPublicKey(cause: LatchkeyError): LatchkeyError {
  return new LatchkeyError('invalid_public_key', cause.message, { status: 400, field: 'publicKey', cause });
}

function invalid(field: string, words: string): LatchkeyError {
  return new LatchkeyError('invalid_request', `"${field}" ${words}`, { status: 400, field });
}
