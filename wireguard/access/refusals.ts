import { appendAudit } from '../../platform/audit-chain.ts';
import type { Clock } from '../../platform/clock.ts';
import type { DenialLog } from '../../platform/denials.ts';
import { sha256Hex } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { RateLimiter } from '../../platform/rate.ts';
import type { Store } from '../../platform/store.ts';
import type { HubDatabase } from '../store/schema.ts';
import { unauthorized } from './caller.ts';
import type { LimitedSource } from './limited-source.ts';

const policy = { perHour: 3_600, burst: 600, lockout: true };

/**
 * Refuses credentials that did not hold. A source that shows the same again and again is told to wait, longer each time, an hour
 * at most; one that shows ever others, after thirty of them. That is said to wrong credentials alone: right ones cannot be
 * guessed, so whoever shows them is let in, even when somebody behind the same address (of a web server before the hub) fails
 * without end.
 */
export class Refusals {
  readonly #store: Store<HubDatabase>;
  readonly #clock: Clock;
  readonly #denials: DenialLog;
  readonly #limiter: RateLimiter = new RateLimiter();
  readonly #limited: LimitedSource;
  readonly #event: string;

  /** `event` is what the audit log calls a refusal. */
  constructor(
    parts: {
      readonly store: Store<HubDatabase>;
      readonly clock: Clock;
      readonly denials: DenialLog;
      readonly limited: LimitedSource;
    },
    event = 'credentials_refused',
  ) {
    this.#store = parts.store;
    this.#clock = parts.clock;
    this.#denials = parts.denials;
    this.#limited = parts.limited;
    this.#event = event;
  }

  /** What is to be thrown: `answer`, or 429 while the source has to wait. `reason` is one of a few words, for the audit log. */
  async refuse(source: string, shown: string, reason: string, answer = unauthorized()): Promise<LatchkeyError> {
    const now = this.#clock.now();
    const what = sha256Hex(shown);
    const limited = this.#limited(source);
    this.#limiter.enter(what, limited);
    const { allowed, retryAfter } = this.#limiter.look(what, limited, policy, 'free', now);
    this.#limiter.settle(what, limited, policy, 'free', allowed ? 'refused' : 'dropped', now);
    if (!allowed) return tooMany(retryAfter);
    const event = this.#event;
    if (this.#denials.note({ event, source: limited, code: answer.code, reason }, now)) {
      await this.#store.transaction((tx) => appendAudit(tx, { time: now, event, source, reason }));
    }
    return answer;
  }
}

/** The answer to somebody who failed too often. */
export function tooMany(retryAfter: number): LatchkeyError {
  return new LatchkeyError('too_many_requests', 'too many credentials were refused', {
    status: 429,
    retryAfter,
    hint: `wait ${retryAfter} s before the next try; each further mistake makes it longer`,
  });
}
