import type { RandomBytes } from '../../platform/clock.ts';
import { encodeBase64Url } from '../../platform/encoding.ts';

/** What `open` leaves for its `release`. */
export interface Session {
  readonly client: string;
  /** Id of the pending link that this session's open issued. */
  readonly linkId: string;
  readonly reason: string;
  readonly fingerprint: string | null;
  readonly bootId: string | null;
  /** What the gates said to the open, where it was more than `pass`. */
  readonly said: Readonly<Record<string, string>>;
  /** The approval that let it pass, good for this one release; `null` when none was needed. */
  readonly approval: string | null;
}

interface Held extends Session {
  readonly expiresAt: number;
}

/** How long a session waits for its release, ms. */
export const sessionLife = 10_000;

/** So many sessions at most; the oldest gives way. 10 s at 5,000 opens a second. */
const sessionLimit = 50_000;

/** Sessions live in memory for 10 s and serve once. They carry no secret and outlive no restart. */
export class Sessions {
  readonly #random: RandomBytes;
  readonly #limit: number;
  readonly #held = new Map<string, Held>();

  constructor(random: RandomBytes, limit = sessionLimit) {
    this.#random = random;
    this.#limit = limit;
  }

  /** An id for a session that is not there yet. */
  newId(): string {
    return encodeBase64Url(this.#random(32));
  }

  /** Holds `session` under `id` from now on. */
  begin(id: string, session: Session, now: number): void {
    for (const [oldest, held] of this.#held) {
      if (held.expiresAt > now && this.#held.size < this.#limit) break;
      this.#held.delete(oldest);
    }
    this.#held.set(id, { ...session, expiresAt: now + sessionLife });
  }

  /** The session, left in place; `null` when it is unknown, lapsed or another client's. */
  find(id: string, client: string, now: number): Session | null {
    const held = this.#held.get(id);
    return held !== undefined && held.client === client && now < held.expiresAt ? held : null;
  }

  /** Ends the session; true when it was there, so that one caller alone may go on with it. */
  end(id: string): boolean {
    return this.#held.delete(id);
  }

  get size(): number {
    return this.#held.size;
  }
}
