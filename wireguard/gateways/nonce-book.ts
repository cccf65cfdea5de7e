import { WINDOW_SECONDS } from './signature.ts';

interface Half {
  readonly nonces: Set<string>;
  /** The newest time, in seconds, that came with any of them. */
  newest: number;
}

/** A request may come from the window's future, so it stays good for twice the window. */
const TURN_MS = 2 * WINDOW_SECONDS * 1000;

const empty = (): Half => ({ nonces: new Set(), newest: 0 });

/**
 * The nonces that one secret was used with: each is good once. Two halves take turns, so that forgetting costs nothing: one is
 * written, and when it is as old as a request can be, the other is thrown away. What was forgotten stays refused by its time: nothing
 * is taken that was signed at or before the newest of it, however the clock jumps.
 */
export class NonceBook {
  #young: Half = empty();
  #old: Half = empty();
  #since = 0;
  #floor: number;
  readonly #most: number;

  /**
   * `floor`: nothing signed at or before this second was not seen already, as far as anybody knows; the newest time that was taken
   * before this process began. `most` bounds what a half may hold; beyond it every nonce is refused until the turn.
   */
  constructor(floor = 0, most = 200_000) {
    this.#floor = floor;
    this.#most = most;
  }

  /** True the first time for this nonce. `timestamp` is what was signed with it, in seconds, `now` is in milliseconds. */
  use(nonce: string, timestamp: number, now: number): boolean {
    this.#turn(now);
    const [young, old] = [this.#young, this.#old];
    if (timestamp <= this.#floor || young.nonces.has(nonce) || old.nonces.has(nonce)) return false;
    if (young.nonces.size >= this.#most) return false;
    young.nonces.add(nonce);
    young.newest = Math.max(young.newest, timestamp);
    return true;
  }

  /** True when nothing in it can be played again. */
  isIdle(now: number): boolean {
    return Math.abs(now - this.#since) >= 2 * TURN_MS;
  }

  #turn(now: number): void {
    const age = Math.abs(now - this.#since);
    if (age < TURN_MS) return;
    const kept = age >= 2 * TURN_MS ? empty() : this.#young;
    this.#floor = Math.max(this.#floor, this.#old.newest, kept === this.#young ? 0 : this.#young.newest);
    this.#old = kept;
    this.#young = empty();
    this.#since = now;
  }
}
