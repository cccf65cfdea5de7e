import type { Kysely, Selectable } from 'kysely';
import { appendAudit } from '../../platform/audit-chain.ts';
import type { RandomBytes } from '../../platform/clock.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { statement } from '../../platform/statement.ts';
import { totpSecretText } from '../../platform/totp.ts';
import type { Actor } from '../hub/actor.ts';
import type { AccountTable, HubDatabase, Role } from '../store/schema.ts';
import { type Seal, secretName } from '../store/seal.ts';

export const ROLES = ['admin', 'operator', 'viewer'] as const satisfies readonly Role[];

/** RFC 4226, section 4: as many bits as SHA-1 gives. */
const totpBytes = 20;

/** An account as `admin list` prints it; times are milliseconds since 1970. */
export interface AccountReport {
  readonly name: string;
  readonly role: Role;
  readonly createdAt: number;
  /** When password, TOTP secret or role were last set. */
  readonly changedAt: number;
  /** Of the last code that was accepted; `null` before the first. */
  readonly usedAt: number | null;
}

/** Adds an account and answers its TOTP secret, base32, which is shown once. Throws `account_exists`. */
export async function addAccount(
  tx: Kysely<HubDatabase>,
  seal: Seal,
  wanted: { readonly name: string; readonly role: Role; readonly passwordHash: string },
  by: Actor,
  now: number,
  random: RandomBytes,
): Promise<string> {
  const { name, role, passwordHash } = wanted;
  await assertNewAccount(tx, name);
  const secret = random(totpBytes);
  const times = { created_at: now, changed_at: now, used_at: null };
  const totp = { totp_sealed: seal.seal(secretName('account-totp', name), secret), totp_step: 0 };
  await tx
    .insertInto('account')
    .values({ name, role, password_hash: passwordHash, ...totp, ...times })
    .execute();
  await record(tx, 'account_added', name, by, now, { role });
  return totpSecretText(secret);
}

/** Throws `account_exists`. */
export async function assertNewAccount(db: Kysely<HubDatabase>, name: string): Promise<void> {
  if ((await findAccount(db, name)) === null) return;
  throw new LatchkeyError('account_exists', `there is an account named ${name} already`, {
    hint: 'see wghub admin password, wghub admin totp and wghub admin role',
  });
}

/** The account of that name, or `null`. */
export async function findAccount(db: Kysely<HubDatabase>, name: string): Promise<Selectable<AccountTable> | null> {
  return (await db.selectFrom('account').selectAll().where('name', '=', name).executeTakeFirst()) ?? null;
}

const readStanding = statement<HubDatabase, [name: string], { role: Role; changed_at: number }>((db, slot) =>
  db.selectFrom('account').select(['role', 'changed_at']).where('name', '=', slot<string>(0)),
);

/** What of an account a session has to know at each request; `null` when the account is gone. */
export async function standingOf(
  db: Kysely<HubDatabase>,
  name: string,
): Promise<{ readonly role: Role; readonly changed_at: number } | null> {
  const row = (await readStanding(db, name))[0];
  return row === undefined ? null : { role: row.role, changed_at: row.changed_at };
}

/** All accounts by name. */
export async function listAccounts(db: Kysely<HubDatabase>): Promise<AccountReport[]> {
  const rows = await db
    .selectFrom('account')
    .select(['name', 'role', 'created_at', 'changed_at', 'used_at'])
    .orderBy('name')
    .execute();
  return rows.map((row) => ({
    name: row.name,
    role: row.role,
    createdAt: row.created_at,
    changedAt: row.changed_at,
    usedAt: row.used_at,
  }));
}

/** Takes an account away; its sessions end. Throws `account_unknown`, and `last_admin` when nobody would be left to rule. */
export async function removeAccount(tx: Kysely<HubDatabase>, name: string, by: Actor, now: number): Promise<void> {
  const { role } = await accountOf(tx, name);
  if (role === 'admin') await assertAnotherAdmin(tx, name);
  await tx.deleteFrom('account').where('name', '=', name).execute();
  await record(tx, 'account_removed', name, by, now, { role });
}

/** Sets another password; sessions end. Throws `account_unknown`. */
export async function setPassword(
  tx: Kysely<HubDatabase>,
  name: string,
  passwordHash: string,
  by: Actor,
  now: number,
): Promise<void> {
  await change(tx, await accountOf(tx, name), { password_hash: passwordHash }, now);
  await record(tx, 'account_password_changed', name, by, now, {});
}

/** Sets a new TOTP secret and answers it, base32; sessions end. Throws `account_unknown`. */
export async function renewTotp(
  tx: Kysely<HubDatabase>,
  seal: Seal,
  name: string,
  by: Actor,
  now: number,
  random: RandomBytes,
): Promise<string> {
  const secret = random(totpBytes);
  await change(
    tx,
    await accountOf(tx, name),
    { totp_sealed: seal.seal(secretName('account-totp', name), secret) },
    now,
  );
  await record(tx, 'account_totp_changed', name, by, now, {});
  return totpSecretText(secret);
}

/** Sets the role; sessions end. Throws `account_unknown`, `last_admin`. */
export async function setRole(
  tx: Kysely<HubDatabase>,
  name: string,
  role: Role,
  by: Actor,
  now: number,
): Promise<void> {
  const row = await accountOf(tx, name);
  if (row.role === 'admin' && role !== 'admin') await assertAnotherAdmin(tx, name);
  await change(tx, row, { role }, now);
  await record(tx, 'account_role_changed', name, by, now, { role, before: row.role });
}

/** Ends the sessions of an account at every hub, and changes nothing else. Throws `account_unknown`. */
export async function logOutAccount(tx: Kysely<HubDatabase>, name: string, by: Actor, now: number): Promise<void> {
  await change(tx, await accountOf(tx, name), {}, now);
  await record(tx, 'account_logged_out', name, by, now, {});
}

/** Marks the code of `step` as used; `false` when it, or a later one, was used before. */
export async function useTotpStep(tx: Kysely<HubDatabase>, name: string, step: number, now: number): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('account')
    .set({ totp_step: step, used_at: now })
    .where('name', '=', name)
    .where('totp_step', '<', step)
    .executeTakeFirstOrThrow();
  return numUpdatedRows === 1n;
}

async function accountOf(tx: Kysely<HubDatabase>, name: string): Promise<Selectable<AccountTable>> {
  const row = await findAccount(tx, name);
  if (row !== null) return row;
  throw new LatchkeyError('account_unknown', 'there is no account of that name', { hint: 'see wghub admin list' });
}

/** Transactions come one after the other, so no two admins can take each other away. */
async function assertAnotherAdmin(tx: Kysely<HubDatabase>, name: string): Promise<void> {
  const other = await tx
    .selectFrom('account')
    .select('name')
    .where('role', '=', 'admin')
    .where('name', '!=', name)
    .limit(1)
    .executeTakeFirst();
  if (other !== undefined) return;
  throw new LatchkeyError('last_admin', `${name} is the only admin, and one must remain`, {
    exit: 3,
    hint: 'add another one first: wghub admin add NAME --role admin',
  });
}

async function change(
  tx: Kysely<HubDatabase>,
  { name, changed_at: before }: Pick<AccountTable, 'name' | 'changed_at'>,
  columns: Partial<Pick<AccountTable, 'password_hash' | 'totp_sealed' | 'role'>>,
  now: number,
): Promise<void> {
  // greater than before in any case: it is what tells a session of before from one of after
  const changedAt = Math.max(now, before + 1);
  await tx
    .updateTable('account')
    .set({ ...columns, changed_at: changedAt })
    .where('name', '=', name)
    .execute();
}

async function record(
  tx: Kysely<HubDatabase>,
  event: string,
  account: string,
  { name: by, source }: Actor,
  now: number,
  more: { readonly role?: Role; readonly before?: Role },
): Promise<void> {
  await appendAudit(tx, { time: now, event, ...(source === null ? {} : { source }), detail: { by, account, ...more } });
}
