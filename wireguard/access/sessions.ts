import type { Kysely } from 'kysely';
import type { RandomBytes } from '../../platform/clock.ts';
import { decodeBase64Url, encodeBase64Url, sha256Hex } from '../../platform/encoding.ts';
import type { Log } from '../../platform/log.ts';
import { statement } from '../../platform/statement.ts';
import type { Store } from '../../platform/store.ts';
import type { HubDatabase, Role } from '../store/schema.ts';
import { standingOf } from './accounts.ts';
import { sessionPrefix } from './bearer.ts';

const minute = 60_000;

/** Fifteen minutes idle, eight hours at most. */
const limits = { idle: 15 * minute, whole: 480 * minute, count: 100 };
/** So exact is the time of a session's last use. */
const grain = minute;
const tokenBytes = 32;

/** Somebody who is logged in. */
export interface Session {
  readonly name: string;
  readonly role: Role;
  /** When it ends whatever is done, milliseconds since 1970. */
  readonly expiresAt: number;
}

/**
 * Who is logged in, at any of the hubs on the database. Of a token its SHA-256 is kept, so that a look into the store gives none.
 * A token is made at log-in and never taken from whoever asks.
 */
export class Sessions {
  readonly #store: Store<HubDatabase>;
  readonly #random: RandomBytes;
  readonly #log: Log;
  /** When this process saw a session last, if the store may not know it yet. */
  readonly #seen: Map<string, number> = new Map();
  #running: Promise<void> = Promise.resolve();

  constructor({ store, random, log }: { store: Store<HubDatabase>; random: RandomBytes; log: Log }) {
    this.#store = store;
    this.#random = random;
    this.#log = log;
  }

  /** Starts a session of an account as the door saw it, and answers its token. Those whose time is over leave. */
  async begin(
    tx: Kysely<HubDatabase>,
    { name, changed_at: changedAt }: { readonly name: string; readonly changed_at: number },
    source: string,
    now: number,
  ): Promise<{ readonly token: string; readonly expiresAt: number }> {
    const bytes = this.#random(tokenBytes);
    const times = { changed_at: changedAt, began_at: now, seen_at: now };
    await makeRoom(tx, now);
    await tx
      .insertInto('session')
      .values({ id: sha256Hex(bytes), account: name, source, ...times })
      .execute();
    return { token: `${sessionPrefix}${encodeBase64Url(bytes)}`, expiresAt: now + limits.whole };
  }

  /** The session of a token without its prefix, whose idle time begins anew; `null` when it is over, or this is not where it began. */
  async find(text: string, source: string, now: number): Promise<Session | null> {
    const id = idOf(text);
    if (id === null) return null;
    const known = this.#seen.get(id) ?? 0; // before the store is asked, which may answer as of then
    const found = await this.#store.read(async (db) => {
      const row = (await readSession(db, id))[0];
      return row === undefined ? null : { row, standing: await standingOf(db, row.account) };
    });
    if (found === null || found.standing === null) return null;
    const { row, standing } = found;
    const seenAt = Math.max(Number(row.seen_at), known);
    const beganAt = Number(row.began_at);
    if (row.source !== source || standing.changed_at !== Number(row.changed_at)) return null;
    if (Math.abs(now - seenAt) >= limits.idle || Math.abs(now - beganAt) >= limits.whole) return null;
    if (now - seenAt >= grain) this.#note(id, now);
    return { name: row.account, role: standing.role, expiresAt: beganAt + limits.whole };
  }

  async end(tx: Kysely<HubDatabase>, text: string): Promise<void> {
    const id = idOf(text);
    if (id === null) return;
    await tx.deleteFrom('session').where('id', '=', id).execute();
  }

  /** Resolves when everything that was seen is in the store. */
  settled(): Promise<void> {
    return this.#running;
  }

  /** After the answer is on its way: whoever is only read to need not wait for a store that is slow. */
  #note(id: string, now: number): void {
    this.#seen.set(id, now);
    this.#running = this.#running.then(async () => {
      try {
        await this.#store.transaction((tx) =>
          tx.updateTable('session').set({ seen_at: now }).where('id', '=', id).where('seen_at', '<', now).execute(),
        );
        if (this.#seen.get(id) === now) this.#seen.delete(id);
      } catch (cause) {
        const { name, message } = cause as Error;
        this.#log.error({ name, message }, 'last use of a session was not noted');
      }
    });
  }
}

interface SessionRow {
  readonly account: string;
  readonly source: string;
  readonly changed_at: number;
  readonly began_at: number;
  readonly seen_at: number;
}

const readSession = statement<HubDatabase, [id: string], SessionRow>((db, slot) =>
  db
    .selectFrom('session')
    .select(['account', 'source', 'changed_at', 'began_at', 'seen_at'])
    .where('id', '=', slot<string>(0)),
);

/** Takes out what is over, and of too many those that were idle longest. */
async function makeRoom(tx: Kysely<HubDatabase>, now: number): Promise<void> {
  await tx
    .deleteFrom('session')
    .where((is) => is.or([is('seen_at', '<=', now - limits.idle), is('began_at', '<=', now - limits.whole)]))
    .execute();
  const beyond = await tx
    .selectFrom('session')
    .select('id')
    .orderBy('seen_at', 'desc')
    .orderBy('id')
    .limit(1000)
    .offset(limits.count - 1)
    .execute();
  if (beyond.length === 0) return;
  const ids = beyond.map(({ id }) => id);
  await tx.deleteFrom('session').where('id', 'in', ids).execute();
}

function idOf(text: string): string | null {
  const bytes = decodeBase64Url(text, tokenBytes);
  return bytes === null ? null : sha256Hex(bytes);
}
