import type { RandomBytes } from '../../platform/clock.ts';
import { SessionBook } from '../../platform/session-book.ts';
import type { Store } from '../../platform/store.ts';
import type { HubDatabase, Role } from '../store/schema.ts';
import { standingOf } from './accounts.ts';
import { sessionPrefix } from './bearer.ts';

const minute = 60_000;

/** Fifteen minutes idle, eight hours at most. */
const limits = { idle: 15 * minute, whole: 480 * minute, count: 100 };

interface Remembered {
  readonly name: string;
  /** A session is good from the address it began at; in a tunnel an address is a machine. */
  readonly source: string;
  /** `changed_at` of the account when it began. */
  readonly changedAt: number;
  readonly expiresAt: number;
}

/** Somebody who is logged in. */
export interface Session {
  readonly name: string;
  readonly role: Role;
  /** When it ends whatever is done, milliseconds since 1970. */
  readonly expiresAt: number;
}

/** Who is logged in. It is remembered by this process alone, and begins anew with it. */
export class Sessions {
  readonly #store: Store<HubDatabase>;
  readonly #book: SessionBook<Remembered>;

  constructor(store: Store<HubDatabase>, random: RandomBytes) {
    this.#store = store;
    this.#book = new SessionBook(random, limits);
  }

  /** Starts a session of an account as the door saw it, and answers its token. */
  begin(
    { name, changed_at: changedAt }: { readonly name: string; readonly changed_at: number },
    source: string,
    now: number,
  ): { readonly token: string; readonly expiresAt: number } {
    const expiresAt = now + limits.whole;
    return { token: `${sessionPrefix}${this.#book.begin({ name, source, changedAt, expiresAt }, now)}`, expiresAt };
  }

  /** The session of a token without its prefix; `null` when it is over, or this is not where it began. */
  async find(text: string, source: string, now: number): Promise<Session | null> {
    const value = this.#book.find(text, now)?.value;
    if (value === undefined || value.source !== source) return null;
    const { name, changedAt, expiresAt } = value;
    const standing = await this.#store.read((db) => standingOf(db, name));
    if (standing !== null && standing.changed_at === changedAt) return { name, role: standing.role, expiresAt };
    this.#book.end(text);
    return null;
  }

  end(text: string): void {
    this.#book.end(text);
  }
}
