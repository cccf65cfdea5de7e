import type { Kysely } from 'kysely';
import * as z from 'zod';
import { appendAudit } from '../../platform/audit-chain.ts';
import type { RandomBytes } from '../../platform/clock.ts';
import { decodeBase64Url, encodeBase64Url, sha256 } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { statement } from '../../platform/statement.ts';
import type { Actor } from '../hub/actor.ts';
import type { HubDatabase } from '../store/schema.ts';
import { accessName } from './access-name.ts';
import { SCOPES, type Scope } from './caller.ts';

/** What makes a token known as one, to people and to programs that look for secrets in the wrong places. */
const prefix = 'lkt_';
const tokenBytes = 32;
const idBytes = 8;
const idForm = /^[0-9a-f]{16}$/;
/** More than anybody can look after. */
const mostTokens = 1_000;
const day = 86_400_000;

const isScope = (text: string): text is Scope => SCOPES.some((scope) => scope === text);

/** What a token is made of, as a body or a command line has it. */
export const tokenOrder = z.strictObject({
  name: accessName,
  scopes: z
    .array(z.string().refine(isScope, `must be one of ${SCOPES.join(', ')}`))
    .min(1)
    .max(SCOPES.length)
    .refine((scopes) => new Set(scopes).size === scopes.length, 'must not name a scope twice'),
  expiresInDays: z.int().min(1).max(3650).optional(),
});
export type TokenOrder = z.infer<typeof tokenOrder>;

/** A token as everybody may see it who looks after tokens. */
export interface TokenReport {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Milliseconds since 1970, as all times here. */
  readonly createdAt: number;
  readonly expiresAt: number | null;
  /** To the minute. */
  readonly usedAt: number | null;
}

/** The SHA-256 of the token that `text` is; `null` when it is none. */
export function tokenHash(text: string): Buffer | null {
  const bytes = text.startsWith(prefix) ? decodeBase64Url(text.slice(prefix.length), tokenBytes) : null;
  return bytes === null ? null : sha256(bytes);
}

/** Makes a token and answers its text, which nobody is told again. Throws `token_exists` (409) for a name that is taken. */
export async function addToken(
  tx: Kysely<HubDatabase>,
  order: TokenOrder,
  by: Actor,
  now: number,
  random: RandomBytes,
): Promise<{ readonly report: TokenReport; readonly token: string }> {
  const { name } = order;
  if ((await tx.selectFrom('api_token').select('id').where('name', '=', name).executeTakeFirst()) !== undefined) {
    throw new LatchkeyError('token_exists', `there is a token named ${name} already`, { status: 409, field: 'name' });
  }
  const { count } = await tx
    .selectFrom('api_token')
    .select((db) => db.fn.countAll<number | string>().as('count'))
    .executeTakeFirstOrThrow();
  if (Number(count) >= mostTokens) {
    throw new LatchkeyError('too_many_tokens', `there are ${mostTokens} tokens already`, {
      status: 409,
      hint: 'remove those that nobody uses',
    });
  }
  const bytes = random(tokenBytes);
  const id = random(idBytes).toString('hex');
  const expiresAt = order.expiresInDays === undefined ? null : now + order.expiresInDays * day;
  const scopes = SCOPES.filter((scope) => order.scopes.includes(scope));
  const times = { created_at: now, expires_at: expiresAt, used_at: null };
  await tx
    .insertInto('api_token')
    .values({ id, name, token_hash: sha256(bytes), scopes: JSON.stringify(scopes), ...times })
    .execute();
  await recordToken(tx, 'token_made', { id, name }, by, now, { scopes, expires_at: expiresAt });
  const report = { id, name, scopes, createdAt: now, expiresAt, usedAt: null };
  return { report, token: `${prefix}${encodeBase64Url(bytes)}` };
}

/** Takes a token away, by its id or its name; it is good for nothing from the commit on. Throws `token_unknown` (404). */
export async function removeToken(
  tx: Kysely<HubDatabase>,
  which: { readonly id: string } | { readonly name: string },
  by: Actor,
  now: number,
): Promise<{ readonly id: string; readonly name: string }> {
  const [column, value, isOne] =
    'id' in which
      ? (['id', which.id, idForm.test(which.id)] as const)
      : (['name', which.name, accessName.safeParse(which.name).success] as const);
  const query = tx.selectFrom('api_token').select(['id', 'name']).where(column, '=', value);
  const row = isOne ? await query.executeTakeFirst() : undefined;
  if (row === undefined) throw new LatchkeyError('token_unknown', 'there is no such token', { status: 404 });
  await tx.deleteFrom('api_token').where('id', '=', row.id).execute();
  await recordToken(tx, 'token_removed', row, by, now, {});
  return { id: row.id, name: row.name };
}

/** All tokens by name. */
export async function listTokens(db: Kysely<HubDatabase>): Promise<TokenReport[]> {
  const rows = await db
    .selectFrom('api_token')
    .select(['id', 'name', 'scopes', 'created_at', 'expires_at', 'used_at'])
    .orderBy('name')
    .execute();
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    scopes: scopesIn(row.scopes),
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    usedAt: row.used_at,
  }));
}

interface TokenRow {
  readonly id: string;
  readonly name: string;
  readonly scopes: string;
  readonly expires_at: number | null;
  readonly used_at: number | null;
}

const readToken = statement<HubDatabase, [hash: Uint8Array], TokenRow>((db, slot) =>
  db
    .selectFrom('api_token')
    .select(['id', 'name', 'scopes', 'expires_at', 'used_at'])
    .where('token_hash', '=', slot<Uint8Array>(0)),
);

/** The token of that hash as long as it is good; `null` when there is none, or its time is over. */
export async function findToken(
  db: Kysely<HubDatabase>,
  hash: Uint8Array,
  now: number,
): Promise<Pick<TokenReport, 'id' | 'name' | 'scopes' | 'usedAt'> | null> {
  const row = (await readToken(db, hash))[0];
  if (row === undefined || (row.expires_at !== null && row.expires_at <= now)) return null;
  return { id: row.id, name: row.name, scopes: scopesIn(row.scopes), usedAt: row.used_at };
}

export async function markTokenUsed(tx: Kysely<HubDatabase>, id: string, now: number): Promise<void> {
  await tx.updateTable('api_token').set({ used_at: now }).where('id', '=', id).execute();
}

/** A scope that this version does not know gives nothing. */
function scopesIn(text: string): readonly Scope[] {
  const names = JSON.parse(text) as readonly string[];
  return SCOPES.filter((scope) => names.includes(scope));
}

async function recordToken(
  tx: Kysely<HubDatabase>,
  event: string,
  { id, name }: { readonly id: string; readonly name: string },
  by: Actor,
  now: number,
  more: { readonly scopes?: readonly Scope[]; readonly expires_at?: number | null },
): Promise<void> {
  const source = by.source === null ? {} : { source: by.source };
  await appendAudit(tx, { time: now, event, ...source, detail: { by: by.name, token: id, name, ...more } });
}
