import type { Kysely } from 'kysely';
import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import { parseInput } from '../../platform/schema.ts';
import type { HubInterface } from '../store/hub-interface.ts';
import { findById } from '../store/peers.ts';
import type { HubDatabase } from '../store/schema.ts';
import { alreadyUsed, assertOwner, type InstallToken, tokenNotFound } from './install-token.ts';
import { takeInvitation } from './install-token-store.ts';
import { assertInvitable, type Invitation, type InvitationParts, inviteWithin, MOST_MEMBERS } from './invitations.ts';
import { nodeName, type OtherSource } from './registration.ts';
import { recordToken } from './token-sweeper.ts';

/** The members of a cluster are at hand when one of them asks. */
const LIFE_MS = 24 * 3_600_000;

const schema = z.strictObject({
  token: z.string().max(200),
  members: z
    .array(nodeName)
    .min(1)
    .max(MOST_MEMBERS)
    .refine(
      (names) => new Set(names.map((name) => name.toLowerCase())).size === names.length,
      'must not name a node twice',
    ),
});
export type MembersOrder = z.infer<typeof schema>;

export function readMembersOrder(body: unknown): MembersOrder {
  return parseInput(schema, body);
}

/**
 * Makes a token for each other node of a cluster, once, for the node that registered with `token` within the last hour. All or none.
 * Throws what `assertOwner` and the pool throw, `members_not_allowed` (403) where the token was not made for so many or its spoke is switched
 * off, `token_not_found` (404) where that is gone, `source_changed` (403) and `token_already_used` (410).
 */
export async function inviteMembers(
  parts: InvitationParts,
  facts: HubInterface,
  token: InstallToken | null,
  names: readonly string[],
  { source, otherSource }: { readonly source: string; readonly otherSource: OtherSource },
): Promise<readonly Invitation[]> {
  assertOwner(token, parts.now());
  if (names.length > token.members || token.fetchedPlatform !== 'proxmox') {
    throw notAllowed(
      `the install token is good for ${token.members} more members`,
      'have a token made with "clusterMembers"; on the hub: wghub spoke invite --cluster-members',
    );
  }
  if (token.registeredFrom !== source && otherSource === 'refuse') {
    throw new LatchkeyError('source_changed', 'the members are asked for from another address than the registration', {
      status: 403,
      hint: 'run the script with --cluster on the node that joined, or have a token made for each node',
    });
  }
  const by = { name: `install-token:${token.id}`, source };
  const orders = names.map((spokeName) => {
    return { spokeName, platform: 'proxmox' as const, customIP: null, life: LIFE_MS, members: 0 };
  });
  for (const order of orders) assertInvitable(facts, order, parts.now());
  return parts.store.transaction(async (tx) => {
    const now = parts.now();
    if ((await takeInvitation(tx, token.id, now)) === null) throw alreadyUsed('its cluster was invited already');
    await assertTrusted(tx, token);
    await recordToken(tx, 'members_invited', token, by, now, { members: names.length });
    const made: Invitation[] = [];
    for (const order of orders) made.push(await inviteWithin(tx, parts, facts, order, by, token.id));
    return made;
  });
}

/** Whoever took a spoke away, or switched it off, does not want those that it would bring along. */
async function assertTrusted(tx: Kysely<HubDatabase>, { interface: on, spokeId }: InstallToken): Promise<void> {
  const spoke = await findById(tx, on, spokeId);
  if (spoke === null) throw tokenNotFound();
  if (spoke.status === 'disabled')
    throw notAllowed('the spoke is switched off', 'switch it on at the hub, and try again');
}

function notAllowed(words: string, hint: string): LatchkeyError {
  return new LatchkeyError('members_not_allowed', words, { status: 403, hint });
}
