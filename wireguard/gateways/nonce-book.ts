import { WINDOW_SECONDS } from './signature.ts';

/**
 * The nonces that were used within the window: each is good once. Two halves take turns, so that forgetting costs nothing: one
 * is written, and when it is as old as a request can be, the other is thrown away.
 */
export class NonceBook {
  #young = new Set<string>();
  #old = new Set<string>();
  #since = 0;
  readonly #most: number;

  /** `most` bounds what a half may hold; beyond it every nonce is refused until the turn. */
  constructor(most = 200_000) {
    this.#most = most;
  }

  /** True the first time for this gateway and nonce; `now` in milliseconds. */
  use(gateway: string, nonce: string, now: number): boolean {
    // a request may come from the window's future, so it stays good for twice the window
    const turn = 2 * WINDOW_SECONDS * 1000;
    if (now - this.#since >= turn) {
      this.#old = now - this.#since >= 2 * turn ? new Set() : this.#young;
      this.#young = new Set();
      this.#since = now;
    }
    const name = `${gateway}\n${nonce}`;
    if (this.#young.has(name) || this.#old.has(name) || this.#young.size >= this.#most) return false;
    this.#young.add(name);
    return true;
  }
}
