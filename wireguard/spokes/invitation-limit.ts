import { LatchkeyError } from '../../platform/errors.ts';
import { RateLimiter } from '../../platform/rate.ts';
import type { LimitedSource } from '../access/limited-source.ts';

/** How many tokens one source may make: so many at once, and as many again spread over each hour. In memory; a restart forgets. */
export class InvitationLimit {
  readonly #limiter: RateLimiter = new RateLimiter();
  readonly #perHour: number;
  readonly #limited: LimitedSource;

  constructor(perHour: number, limited: LimitedSource) {
    this.#perHour = perHour;
    this.#limited = limited;
  }

  /** Counts one. Throws `too_many_requests` (429). */
  take(from: string, now: number): void {
    const source = this.#limited(from);
    const policy = { perHour: this.#perHour, burst: this.#perHour, lockout: false };
    const { allowed, retryAfter } = this.#limiter.look(source, source, policy, 'exchange', now);
    if (!allowed) {
      throw new LatchkeyError('too_many_requests', `one source makes ${this.#perHour} install tokens an hour`, {
        status: 429,
        retryAfter,
        hint: 'wait, make them on the hub itself (wghub spoke invite), or set "spokes.tokensPerHour" in config.json',
      });
    }
    this.#limiter.settle(source, source, policy, 'exchange', 'served', now);
  }
}
