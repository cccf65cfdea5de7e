import type { Selectable } from 'kysely';
import { appendAudit } from '../../platform/audit-chain.ts';
import { hashPassword, isPassword } from '../../platform/password.ts';
import { RateLimiter } from '../../platform/rate.ts';
import { findTotpStep, type TotpCode, totpCodes } from '../../platform/totp.ts';
import { tellLockout } from '../alerts/lockout.ts';
import type { Custody } from '../custody.ts';
import type { AdminTable } from '../schema.ts';
import { adminTotpItem, findAdmin, useTotpStep } from './accounts.ts';

/** What a person typed. */
export interface AdminCredentials {
  readonly name: string;
  readonly password: string;
  /** The TOTP code. */
  readonly code: string;
}

export type DoorAnswer =
  | { readonly verdict: 'open'; readonly admin: Selectable<AdminTable> }
  | { readonly verdict: 'refused' }
  | { readonly verdict: 'wait'; readonly seconds: number }
  | { readonly verdict: 'sealed' };

/** Successes as well are bounded: sixty actions an hour are more than one person does. */
const policy = { perHour: 60, burst: 30, lockout: true };

/** So many may wait for their password to be stretched; each takes 19 MiB and some hundredths of a second, one at a time. */
const queueLimit = 8;

/**
 * Tells administrators from others by password and TOTP code, a code good once. What was wrong is told to the audit log
 * only: unknown names, wrong passwords and wrong codes get the same answer after the same work. Failures lock out the
 * name from that source, for a growing time of at most an hour; a neighbour's failures lock out nobody else.
 */
export class AdminDoor {
  readonly #custody: Custody;
  readonly #limiter: RateLimiter = new RateLimiter();
  readonly #strangerSecret: Buffer;
  #strangerHash: Promise<string> | null = null;
  #queue: Promise<unknown> = Promise.resolve();
  #underWay = 0;

  constructor(custody: Custody) {
    this.#custody = custody;
    this.#strangerSecret = custody.random(20);
  }

  /** `purpose` stands in the audit log: `log in`, `approve`, … */
  async check(given: AdminCredentials, source: string, purpose: string): Promise<DoorAnswer> {
    const { clock } = this.#custody;
    if (this.#custody.vault() === null) return { verdict: 'sealed' };
    const { name } = given;
    let outcome: 'served' | 'refused' | 'dropped' = 'dropped';
    this.#limiter.enter(name, source);
    try {
      const view = this.#limiter.look(name, source, policy, 'exchange', clock.now());
      if (!view.allowed) return { verdict: 'wait', seconds: view.retryAfter };
      if (this.#underWay >= queueLimit) return { verdict: 'wait', seconds: 1 };
      const { admin, wrong } = await this.#judge(given);
      outcome = admin === null ? 'refused' : 'served';
      if (admin !== null) return { verdict: 'open', admin };
      await this.#recordRefusal(source, purpose, wrong);
      return { verdict: 'refused' };
    } finally {
      const isFirstWait = this.#limiter.settle(name, source, policy, 'exchange', outcome, clock.now());
      if (isFirstWait) await tellLockout(this.#custody, null, source, 'the admin pages', clock.now());
    }
  }

  async #judge(given: AdminCredentials): Promise<{ admin: Selectable<AdminTable> | null; wrong: string }> {
    this.#underWay += 1;
    try {
      return await this.#weigh(given);
    } finally {
      this.#underWay -= 1;
    }
  }

  /** Everything is worked out before anything is decided. */
  async #weigh(given: AdminCredentials): Promise<{ admin: Selectable<AdminTable> | null; wrong: string }> {
    const { store, clock, random } = this.#custody;
    const row = await store.read((tx) => findAdmin(tx, given.name));
    this.#strangerHash ??= hashPassword(random(16).toString('hex'), random);
    const strangerHash = await this.#strangerHash;
    const passwordHolds = await this.#inTurn(() => isPassword(given.password, row?.password_hash ?? strangerHash));
    const now = clock.now();
    const step = findTotpStep(this.#codesOf(row, now), given.code, row?.totp_step ?? 0);
    if (row === null) return { admin: null, wrong: 'name' };
    if (!passwordHolds) return { admin: null, wrong: 'password' };
    if (step === null) return { admin: null, wrong: 'code' };
    const isFirstUse = await store.transaction((tx) => useTotpStep(tx, row.name, step, now));
    return isFirstUse ? { admin: row, wrong: '' } : { admin: null, wrong: 'code' };
  }

  #codesOf(row: Selectable<AdminTable> | null, now: number): readonly TotpCode[] {
    const vault = this.#custody.vault();
    if (row === null || vault === null) return totpCodes(this.#strangerSecret, now);
    return totpCodes(vault.open(adminTotpItem(row.name), row.totp_sealed), now);
  }

  /** One after the other, so that guessing takes neither the memory nor the threads that releases need. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(work);
    this.#queue = turn.catch(() => undefined);
    return turn;
  }

  async #recordRefusal(source: string, purpose: string, wrong: string): Promise<void> {
    const { denials, store, clock } = this.#custody;
    const now = clock.now();
    const event = 'admin_refused';
    if (!denials.note({ event, source, code: 'unauthorized', reason: wrong }, now)) return;
    await store.transaction((tx) => appendAudit(tx, { time: now, event, source, reason: wrong, detail: { purpose } }));
  }
}
