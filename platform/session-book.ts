import type { RandomBytes } from './clock.ts';
import { constantTimeEqual, decodeBase64Url, encodeBase64Url, sha256 } from './encoding.ts';

/** When a session ends by itself, milliseconds. */
export interface SessionLimits {
  /** After so long without a request. */
  readonly idle: number;
  /** After so long in any case. */
  readonly whole: number;
  /** So many stand side by side; the one that was idle longest makes room. */
  readonly count: number;
}

interface Entry<T> {
  readonly value: T;
  readonly csrf: string;
  readonly since: number;
  seenAt: number;
}

/** A session that goes on. */
export interface WebSession<T> {
  readonly value: T;
  /** What each form of this session carries, 43 characters. */
  readonly csrf: string;
}

const tokenBytes = 32;

/**
 * Sessions of people in browsers. Memory only, so that a restart logs everybody out; tokens are 32 random bytes and kept
 * as SHA-256, so that a look into memory gives none. A token is made at log-in and never taken from the browser.
 */
export class SessionBook<T> {
  readonly #random: RandomBytes;
  readonly #limits: SessionLimits;
  readonly #entries: Map<string, Entry<T>> = new Map();

  constructor(random: RandomBytes, limits: SessionLimits) {
    this.#random = random;
    this.#limits = limits;
  }

  /** Starts a session and answers its token. */
  begin(value: T, now: number): string {
    const token = this.#random(tokenBytes);
    const csrf = encodeBase64Url(this.#random(tokenBytes));
    this.#entries.set(nameOf(token), { value, csrf, since: now, seenAt: now });
    const oldest = this.#entries.keys().next();
    if (this.#entries.size > this.#limits.count && oldest.done === false) this.#entries.delete(oldest.value);
    return encodeBase64Url(token);
  }

  /** The session of a token, whose idle time begins anew; `null` when there is none or its time is over. */
  find(token: string, now: number): WebSession<T> | null {
    const name = nameFrom(token);
    const entry = name === null ? undefined : this.#entries.get(name);
    if (name === null || entry === undefined) return null;
    this.#entries.delete(name);
    const { idle, whole } = this.#limits;
    if (Math.abs(now - entry.seenAt) >= idle || Math.abs(now - entry.since) >= whole) return null;
    entry.seenAt = now;
    this.#entries.set(name, entry);
    return { value: entry.value, csrf: entry.csrf };
  }

  end(token: string): void {
    const name = nameFrom(token);
    if (name !== null) this.#entries.delete(name);
  }

  /** Entries held, those too whose time is over and which nobody asked for since. */
  get size(): number {
    return this.#entries.size;
  }
}

/** Compares what a form carried with its session's. */
export function isCsrf(session: Pick<WebSession<unknown>, 'csrf'>, given: string): boolean {
  return constantTimeEqual(Buffer.from(session.csrf), Buffer.from(given));
}

function nameOf(token: Uint8Array): string {
  return sha256(token).toString('hex');
}

function nameFrom(token: string): string | null {
  const bytes = decodeBase64Url(token, tokenBytes);
  return bytes === null ? null : nameOf(bytes);
}

/**
 * The value of the one cookie of that name in a `Cookie` header; `null` when it is not there, or there more than once:
 * then somebody else than this server set one of them.
 */
export function cookieFrom(header: string | undefined, name: string): string | null {
  const found = (header ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`));
  const [only] = found;
  return only === undefined || found.length > 1 ? null : only.slice(name.length + 1);
}
