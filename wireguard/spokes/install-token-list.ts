import { type Kysely, sql } from 'kysely';
import type { PageMark } from '../store/peers.ts';
import type { HubDatabase } from '../store/schema.ts';
import { type InstallToken, TOKEN_STATES, type TokenState } from './install-token.ts';
import { tokenOf } from './install-token-store.ts';

type Db = Kysely<HubDatabase>;

/** Tokens of one state or of any, the newest first, those behind `after`; `limit` at the most. */
export async function listTokens(
  db: Db,
  state: TokenState | null,
  after: PageMark | null,
  limit: number,
  now: number,
): Promise<InstallToken[]> {
  let query = db.selectFrom('install_token').selectAll().orderBy('created_at', 'desc').orderBy('id', 'desc');
  if (state !== null) query = query.where(isState(state, now));
  if (after !== null) {
    query = query.where(({ eb, refTuple, tuple }) =>
      eb(refTuple('created_at', 'id'), '<', tuple(after.createdAt, after.id)),
    );
  }
  return (await query.limit(limit).execute()).map(tokenOf);
}

/** How many there are of each state. */
export async function countTokens(db: Db, now: number): Promise<Readonly<Record<TokenState, number>>> {
  const count = await db
    .selectFrom('install_token')
    .select(
      TOKEN_STATES.map((one) =>
        sql<number | string>`coalesce(sum(case when ${isState(one, now)} then 1 end), 0)`.as(one),
      ),
    )
    .executeTakeFirstOrThrow();
  const counts = Object.fromEntries(TOKEN_STATES.map((one) => [one, Number(count[one])]));
  return counts as Record<TokenState, number>;
}

/**
 * The tokens that somebody means by an id or a spoke's name, the newest first, `limit` at the most: those that can be ended, with
 * `fetched` also ones whose script is out; where there are none, the newest whose script is out, else the newest that is over.
 */
export async function findMeant(
  db: Db,
  text: string,
  { fetched, now, limit }: { readonly fetched: boolean; readonly now: number; readonly limit: number },
): Promise<InstallToken[]> {
  const meant = db
    .selectFrom('install_token')
    .selectAll()
    .where((is) => is.or([is('id', '=', text), is('spoke_name', '=', text)]))
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc');
  const isOut = sql<boolean>`(fetched_at is not null and ended_at is null)`;
  const open = fetched ? sql<boolean>`(${isState('unused', now)} or ${isOut})` : isState('unused', now);
  const rows = await meant.where(open).limit(limit).execute();
  if (rows.length > 0) return rows.map(tokenOf);
  const out = await meant.where(isOut).limit(1).execute();
  return (out.length > 0 ? out : await meant.limit(1).execute()).map(tokenOf);
}

/** `tokenState` as a condition. */
function isState(state: TokenState, now: number) {
  const revoked = sql<boolean>`coalesce("end", '') = 'revoked'`;
  if (state === 'revoked') return revoked;
  if (state === 'used') return sql<boolean>`(not ${revoked} and fetched_at is not null)`;
  const over = sql<boolean>`(coalesce("end", '') = 'expired' or expires_at <= ${now})`;
  return state === 'expired'
    ? sql<boolean>`(not ${revoked} and fetched_at is null and ${over})`
    : sql<boolean>`(not ${revoked} and fetched_at is null and not ${over})`;
}
