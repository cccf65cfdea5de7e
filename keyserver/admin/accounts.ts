import type { Kysely, Selectable } from 'kysely';
import * as z from 'zod';
import { appendAudit } from '../../platform/audit-chain.ts';
import type { RandomBytes } from '../../platform/clock.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { totpSecretText } from '../../platform/totp.ts';
import type { ItemName, Vault } from '../../platform/vault/vault.ts';
import type { AdminTable, Database } from '../schema.ts';

/** RFC 4226, section 4: as many bits as SHA-1 gives. */
const totpBytes = 20;

/** What an administrator is called. */
export const adminName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'must be 1 to 63 of a-z 0-9 . _ - and start with a letter or digit');

/** An administrator as `admin list` prints it. */
export interface AdminReport {
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** When password or TOTP secret were last set. */
  readonly changedAt: number;
  /** Of the last code that was accepted; `null` before the first. */
  readonly usedAt: number | null;
}

/** How the vault names an administrator's TOTP secret. */
export function adminTotpItem(name: string): ItemName {
  return { kind: 'admin-totp', client: '', id: name, version: 1 };
}

/** Adds an administrator and answers the TOTP secret, base32, which is shown once. Throws `admin_exists`. */
export async function addAdmin(
  tx: Kysely<Database>,
  vault: Vault,
  wanted: { readonly name: string; readonly passwordHash: string },
  now: number,
  random: RandomBytes,
): Promise<string> {
  const { name, passwordHash } = wanted;
  if ((await findAdmin(tx, name)) !== null) {
    throw new LatchkeyError('admin_exists', `there is an administrator named ${name} already`, {
      hint: 'see keyserver admin password and keyserver admin totp',
    });
  }
  const secret = random(totpBytes);
  const times = { created_at: now, changed_at: now, used_at: null };
  const row = { name, password_hash: passwordHash, totp_sealed: vault.seal(adminTotpItem(name), secret), totp_step: 0 };
  await tx
    .insertInto('admin')
    .values({ ...row, ...times })
    .execute();
  await appendAudit(tx, { time: now, event: 'admin_added', detail: { admin: name } });
  return totpSecretText(secret);
}

/** The administrator of that name, or `null`. */
export async function findAdmin(tx: Kysely<Database>, name: string): Promise<Selectable<AdminTable> | null> {
  return (await tx.selectFrom('admin').selectAll().where('name', '=', name).executeTakeFirst()) ?? null;
}

/** All administrators by name. */
export async function listAdmins(tx: Kysely<Database>): Promise<AdminReport[]> {
  const rows = await tx
    .selectFrom('admin')
    .select(['name', 'created_at', 'changed_at', 'used_at'])
    .orderBy('name')
    .execute();
  return rows.map((row) => ({
    name: row.name,
    createdAt: row.created_at,
    changedAt: row.changed_at,
    usedAt: row.used_at,
  }));
}

/** Takes an administrator away; sessions end with it. Throws `admin_unknown`. */
export async function removeAdmin(tx: Kysely<Database>, name: string, now: number): Promise<void> {
  const { numDeletedRows } = await tx.deleteFrom('admin').where('name', '=', name).executeTakeFirstOrThrow();
  if (numDeletedRows === 0n) throw unknown();
  await appendAudit(tx, { time: now, event: 'admin_removed', detail: { admin: name } });
}

/** Sets another password; sessions end. Throws `admin_unknown`. */
export async function setPassword(
  tx: Kysely<Database>,
  name: string,
  passwordHash: string,
  now: number,
): Promise<void> {
  await change(tx, name, { password_hash: passwordHash }, now);
  await appendAudit(tx, { time: now, event: 'admin_password_changed', detail: { admin: name } });
}

/** Sets a new TOTP secret and answers it, base32; sessions end. Throws `admin_unknown`. */
export async function renewTotp(
  tx: Kysely<Database>,
  vault: Vault,
  name: string,
  now: number,
  random: RandomBytes,
): Promise<string> {
  const secret = random(totpBytes);
  await change(tx, name, { totp_sealed: vault.seal(adminTotpItem(name), secret) }, now);
  await appendAudit(tx, { time: now, event: 'admin_totp_changed', detail: { admin: name } });
  return totpSecretText(secret);
}

/** Marks the code of `step` as used; `false` when it, or a later one, was used before. */
export async function useTotpStep(tx: Kysely<Database>, name: string, step: number, now: number): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('admin')
    .set({ totp_step: step, used_at: now })
    .where('name', '=', name)
    .where('totp_step', '<', step)
    .executeTakeFirstOrThrow();
  return numUpdatedRows === 1n;
}

async function change(
  tx: Kysely<Database>,
  name: string,
  columns: Partial<Pick<AdminTable, 'password_hash' | 'totp_sealed'>>,
  now: number,
): Promise<void> {
  const row = await findAdmin(tx, name);
  if (row === null) throw unknown();
  // greater than before in any case: it is what tells a session of before from one of after
  const changedAt = Math.max(now, row.changed_at + 1);
  await tx
    .updateTable('admin')
    .set({ ...columns, changed_at: changedAt })
    .where('name', '=', name)
    .execute();
}

function unknown(): LatchkeyError {
  return new LatchkeyError('admin_unknown', 'there is no administrator of that name', {
    hint: 'see keyserver admin list',
  });
}
