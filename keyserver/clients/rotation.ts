import type { Kysely, Selectable } from 'kysely';
import * as z from 'zod';
import { type AuditPlace, appendAudit } from '../../platform/audit-chain.ts';
import type { RandomBytes } from '../../platform/clock.ts';
import { constantTimeEqual, encodeBase64Url, sha256 } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { findTotpStep, type TotpCode, totpSecretText } from '../../platform/totp.ts';
import type { ItemName, Vault } from '../../platform/vault/vault.ts';
import type { ClientTable, Database } from '../schema.ts';
import { type Client, type Rotation, totpItem } from './client.ts';
import { totpSecretLength } from './enrolment.ts';

/** What a client is told, in the answer to a release: the secrets to store and to use from then on. */
const offerSchema = z.strictObject({ token: z.string().optional(), totpSecret: z.string().optional() });
export type RotationOffer = z.infer<typeof offerSchema>;

/** Which secrets change. */
export interface WantedRotation {
  readonly token: boolean;
  readonly totp: boolean;
}

const noNext = {
  next_token_hash: null,
  next_totp_sealed: null,
  next_sealed: null,
  next_since: null,
  next_told_at: null,
} as const;
/** The columns of a client whose secrets end in another way. */
export const withoutRotation = { ...noNext, former_token_hash: null, former_totp_sealed: null } as const;

/**
 * Makes new secrets for a client. They are told to it, and to nobody else, with each release until it uses them; the old ones
 * are good until then and end with that call. A change the client was not told yet is replaced. Throws
 * `rotation_under_way` for one it was told: it may have stored it.
 */
export async function beginRotation(
  tx: Kysely<Database>,
  vault: Vault,
  client: Selectable<ClientTable>,
  wanted: WantedRotation,
  now: number,
  random: RandomBytes,
): Promise<void> {
  if (client.state !== 'enrolled') {
    throw new LatchkeyError(
      'client_not_enrolled',
      `${client.name} is ${client.state}, only an enrolled client rotates`,
      {
        exit: 3,
        hint: 'keyserver client reset gives it new secrets by a new enrolment',
      },
    );
  }
  if (wanted.totp && client.totp_sealed === null) {
    throw new LatchkeyError('client_without_totp', `${client.name} has no TOTP secret to rotate`, { exit: 3 });
  }
  assertUntold(client);
  const token = wanted.token ? random(32) : null;
  const totp = wanted.totp ? random(totpSecretLength) : null;
  const offer: RotationOffer = {
    ...(token !== null && { token: encodeBase64Url(token) }),
    ...(totp !== null && { totpSecret: totpSecretText(totp) }),
  };
  await tx
    .updateTable('client')
    .set({
      next_token_hash: token === null ? null : sha256(token),
      next_totp_sealed: totp === null ? null : vault.seal(totpItem(client.id), totp),
      next_sealed: vault.seal(offerItem(client.id), Buffer.from(JSON.stringify(offer))),
      next_since: now,
      next_told_at: null,
    })
    .where('id', '=', client.id)
    .execute();
  const detail = { token: wanted.token, totp: wanted.totp };
  await appendAudit(tx, { time: now, event: 'client_rotation_begun', client: client.id, detail });
}

/** Withdraws new secrets that the client was not told yet; false when there are none. Throws `rotation_under_way`. */
export async function cancelRotation(
  tx: Kysely<Database>,
  client: Selectable<ClientTable>,
  now: number,
): Promise<boolean> {
  if (client.next_sealed === null) return false;
  assertUntold(client);
  await tx.updateTable('client').set(noNext).where('id', '=', client.id).execute();
  await appendAudit(tx, { time: now, event: 'client_rotation_cancelled', client: client.id });
  return true;
}

/** Codes that are good now, by the secret they come from. */
export interface CodesByAge {
  readonly present: readonly TotpCode[];
  readonly next: readonly TotpCode[];
  readonly former: readonly TotpCode[];
}

/**
 * Which of a client's secrets a call shows. `next`: it has stored the new ones, both in one step, so the token alone tells
 * when it changes. `former`: the machine that stored the new ones does not use these any more, so this is another one; its
 * link says the same, and has to be looked at although these secrets are over. Of a code that two secrets share the older
 * explanation holds.
 */
export function secretsShown(
  client: Pick<Client, 'rotation' | 'former'>,
  call: { readonly tokenHash: Uint8Array; readonly totp: string | null },
  codes: CodesByAge,
): 'present' | 'next' | 'former' {
  const next = client.rotation?.tokenHash ?? null;
  const former = client.former?.tokenHash ?? null;
  if (next !== null && constantTimeEqual(next, call.tokenHash)) return 'next';
  if (former !== null && constantTimeEqual(former, call.tokenHash)) return 'former';
  const isOf = (list: readonly TotpCode[]): boolean => findTotpStep(list, call.totp ?? '', -1) !== null;
  if (call.totp === null || isOf(codes.present)) return 'present';
  if (next === null && isOf(codes.next)) return 'next';
  return isOf(codes.former) ? 'former' : 'present';
}

/** Ends the old secrets, in the transaction of the call that used the new ones. Answers the audit log's new head. */
export async function finishRotation(
  tx: Kysely<Database>,
  client: Client,
  rotation: Rotation,
  source: string,
  now: number,
  head: AuditPlace,
): Promise<AuditPlace> {
  await tx
    .updateTable('client')
    .set({
      ...withoutRotation,
      ...(rotation.tokenHash !== null && { token_hash: rotation.tokenHash, former_token_hash: client.tokenHash }),
      ...(rotation.totpSealed !== null && { totp_sealed: rotation.totpSealed, former_totp_sealed: client.totpSealed }),
    })
    .where('id', '=', client.id)
    .execute();
  const detail = { token: rotation.tokenHash !== null, totp: rotation.totpSealed !== null, begun_at: rotation.since };
  const { seq, hash } = await appendAudit(
    tx,
    { time: now, event: 'client_rotated', client: client.id, source, detail },
    head,
  );
  return { seq, hash: Buffer.from(hash, 'hex') };
}

function assertUntold(client: Selectable<ClientTable>): void {
  if (client.next_told_at === null) return;
  throw new LatchkeyError('rotation_under_way', `${client.name} was told new secrets and did not use them yet`, {
    exit: 3,
    hint: 'its next call ends the change; should it never come, keyserver client reset',
  });
}

/** Notes, in the transaction of a release, that its answer tells the new secrets. */
export async function noteTold(tx: Kysely<Database>, client: Client, rotation: Rotation, now: number): Promise<void> {
  if (rotation.toldAt !== null) return;
  await tx.updateTable('client').set({ next_told_at: now }).where('id', '=', client.id).execute();
}

/** What the client is told. */
export function openOffer(vault: Vault, client: string, rotation: Rotation): RotationOffer {
  return offerSchema.parse(JSON.parse(vault.open(offerItem(client), rotation.sealed).toString('utf8')));
}

function offerItem(client: string): ItemName {
  return { kind: 'rotation', client, id: 'next', version: 1 };
}
