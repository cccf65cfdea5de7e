import type { AuditEntry } from './audit-chain.ts';
import type { Clock, RandomBytes } from './clock.ts';
import type { DenialLog } from './denials.ts';
import { hashPassword, isPassword } from './password.ts';
import { RateLimiter } from './rate.ts';
import { findTotpStep, type TotpCode, totpCodes } from './totp.ts';

/** What a person typed. */
export interface Credentials {
  readonly name: string;
  readonly password: string;
  /** The TOTP code. */
  readonly code: string;
}

/** What of an account a door looks at. */
export interface DoorAccount {
  /** As `hashPassword` wrote it. */
  readonly password_hash: string;
  /** The latest step whose code was used. */
  readonly totp_step: number;
}

export type DoorAnswer<A> =
  | { readonly verdict: 'open'; readonly account: A }
  | { readonly verdict: 'refused' }
  | { readonly verdict: 'wait'; readonly seconds: number }
  | { readonly verdict: 'sealed' };

/** Where a door stands: whose accounts it knows, and who hears of refusals. */
export interface DoorParts<A extends DoorAccount> {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly denials: DenialLog;
  /** The event of a refusal in the audit log. */
  readonly refusal: string;
  /** Whether secrets cannot be opened now. */
  readonly isSealed: () => boolean;
  readonly find: (name: string) => Promise<A | null>;
  /** The account's TOTP secret; `null` while it cannot be opened. */
  readonly secretOf: (account: A) => Uint8Array | null;
  /** Marks the code of `step` as used; `false` when it, or a later one, was used before. */
  readonly useStep: (account: A, step: number, now: number) => Promise<boolean>;
  readonly record: (entry: AuditEntry) => Promise<void>;
  /** What of a source is told to wait together, its address alone unless told. */
  readonly limited?: (source: string) => string;
  /** Told when somebody failed so often that waiting begins. */
  readonly onLockout?: (source: string, now: number) => Promise<void>;
}

/** Successes as well are bounded: sixty actions an hour are more than one person does. */
const policy = { perHour: 60, burst: 30, lockout: true };

/** So many may wait for their password to be stretched; each takes 19 MiB and some hundredths of a second, one at a time. */
const queueLimit = 8;

/**
 * Tells people from others by password and TOTP code, a code good once. What was wrong is told to the audit log only: unknown
 * names, wrong passwords and wrong codes get the same answer after the same work. Failures lock out the name from that source,
 * for a growing time of at most an hour; a neighbour's failures lock out nobody else.
 */
export class Door<A extends DoorAccount> {
  readonly #parts: DoorParts<A>;
  readonly #limiter: RateLimiter = new RateLimiter();
  readonly #strangerSecret: Buffer;
  #strangerHash: Promise<string> | null = null;
  #queue: Promise<unknown> = Promise.resolve();
  #underWay = 0;

  constructor(parts: DoorParts<A>) {
    this.#parts = parts;
    this.#strangerSecret = parts.random(20);
  }

  /** `purpose` stands in the audit log: `log in`, `approve`, … */
  async check(given: Credentials, source: string, purpose: string): Promise<DoorAnswer<A>> {
    const { clock, isSealed, onLockout } = this.#parts;
    const limited = this.#limited(source);
    if (isSealed()) return { verdict: 'sealed' };
    const { name } = given;
    let outcome: 'served' | 'refused' | 'dropped' = 'dropped';
    this.#limiter.enter(name, limited);
    try {
      const view = this.#limiter.look(name, limited, policy, 'exchange', clock.now());
      if (!view.allowed) return { verdict: 'wait', seconds: view.retryAfter };
      if (this.#underWay >= queueLimit) return { verdict: 'wait', seconds: 1 };
      const { account, wrong } = await this.#judge(given);
      outcome = account === null ? 'refused' : 'served';
      if (account !== null) return { verdict: 'open', account };
      await this.#recordRefusal(source, purpose, wrong);
      return { verdict: 'refused' };
    } finally {
      const isFirstWait = this.#limiter.settle(name, limited, policy, 'exchange', outcome, clock.now());
      if (isFirstWait) await onLockout?.(source, clock.now());
    }
  }

  async #judge(given: Credentials): Promise<{ account: A | null; wrong: string }> {
    this.#underWay += 1;
    try {
      return await this.#weigh(given);
    } finally {
      this.#underWay -= 1;
    }
  }

  /** Everything is worked out before anything is decided. */
  async #weigh(given: Credentials): Promise<{ account: A | null; wrong: string }> {
    const { clock, find, random, useStep } = this.#parts;
    const account = await find(given.name);
    this.#strangerHash ??= hashPassword(random(16).toString('hex'), random);
    const strangerHash = await this.#strangerHash;
    const passwordHolds = await this.#inTurn(() => isPassword(given.password, account?.password_hash ?? strangerHash));
    const now = clock.now();
    const step = findTotpStep(this.#codesOf(account, now), given.code, account?.totp_step ?? 0);
    if (account === null) return { account: null, wrong: 'name' };
    if (!passwordHolds) return { account: null, wrong: 'password' };
    if (step === null) return { account: null, wrong: 'code' };
    return (await useStep(account, step, now)) ? { account, wrong: '' } : { account: null, wrong: 'code' };
  }

  #limited(source: string): string {
    return this.#parts.limited?.(source) ?? source;
  }

  #codesOf(account: A | null, now: number): readonly TotpCode[] {
    const secret = account === null ? null : this.#parts.secretOf(account);
    return totpCodes(secret ?? this.#strangerSecret, now);
  }

  /** One after the other, so that guessing takes neither the memory nor the threads that a server's own work needs. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(work);
    this.#queue = turn.catch(() => undefined);
    return turn;
  }

  async #recordRefusal(source: string, purpose: string, wrong: string): Promise<void> {
    const { clock, denials, record, refusal: event } = this.#parts;
    const now = clock.now();
    if (!denials.note({ event, source: this.#limited(source), code: 'unauthorized', reason: wrong }, now)) return;
    await record({ time: now, event, source, reason: wrong, detail: { purpose } });
  }
}
