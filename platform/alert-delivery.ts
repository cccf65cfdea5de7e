import {
  type Claim,
  claimNext,
  dueChannels,
  type QueuedMessage,
  retryDelay,
  schedule,
  settleFailed,
  settleSent,
} from './alert-outbox.ts';
import type { Clock, RandomBytes } from './clock.ts';
import { isLatchkeyError, LatchkeyError } from './errors.ts';
import type { Log } from './log.ts';
import type { Store } from './store.ts';

/** One way out. Throws when the messages did not go; its error's text is shown to the owner, so it holds no secret. */
export interface OutboxChannel {
  /** Hands over all messages as one. `signal` is aborted when time is up or the program ends. */
  send(messages: readonly QueuedMessage[], signal: AbortSignal): Promise<void>;
}

/** How long one handing over may take, ms; shorter than the lease of a claim. */
export const sendLimit = 20_000;
/** Commands in other processes queue too, and cannot wake this one: the longest wait for those, ms. */
const lookEvery = 5_000;
/** What is under way when the program ends may go on for so long, ms. */
const farewell = 2_000;

export interface DeliveryDeps {
  // biome-ignore lint/suspicious/noExplicitAny: any database that has the outbox's tables
  readonly store: Store<any>;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly log: Log;
  /** The channels there are at this moment, by name. */
  readonly channels: () => Promise<ReadonlyMap<string, OutboxChannel>>;
  /** In place of `sendLimit` and of the two seconds at the end, ms. */
  readonly limits?: { readonly send: number; readonly farewell: number };
}

/**
 * Brings out what the outbox holds, channel by channel, each at its own pace: a slow one holds up no other. Looks when it
 * is woken, and every few seconds by itself. A failure is logged and tried again; it stops nothing.
 */
export class AlertDelivery {
  readonly #deps: DeliveryDeps;
  readonly #stopped = new AbortController();
  readonly #busy = new Map<string, Promise<void>>();
  #look: Promise<void> | null = null;
  #lookAgain = false;
  #timer: NodeJS.Timeout | null = null;
  #failing = false;

  constructor(deps: DeliveryDeps) {
    this.#deps = deps;
  }

  /** Looks now and from now on. */
  start(): void {
    this.wake();
  }

  /** Something was queued. */
  wake(): void {
    this.#lookAgain = true;
    if (this.#stopped.signal.aborted || this.#look !== null) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#look = this.#lookAround().finally(() => {
      this.#look = null;
      if (this.#stopped.signal.aborted) return;
      if (this.#lookAgain) return this.wake();
      const part = this.#deps.random(1).readUInt8(0) / 255;
      this.#timer = setTimeout(() => this.wake(), lookEvery * (0.8 + 0.4 * part));
      this.#timer.unref();
    });
  }

  /** Resolves when nothing that is due now is under way any more. */
  async idle(): Promise<void> {
    while (this.#look !== null || this.#busy.size > 0) {
      await this.#look;
      await Promise.all(this.#busy.values());
    }
  }

  /** Lets what is under way end for two seconds; what does not go out then stays queued. */
  async stop(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    const insist = setTimeout(() => this.#stopped.abort(), this.#deps.limits?.farewell ?? farewell);
    await this.#look;
    await Promise.all(this.#busy.values());
    clearTimeout(insist);
    this.#stopped.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  async #lookAround(): Promise<void> {
    while (this.#lookAgain) {
      this.#lookAgain = false;
      try {
        const due = await this.#deps.store.read((db) => dueChannels(db, this.#deps.clock.now()));
        const idle = due.filter((channel) => !this.#busy.has(channel));
        if (idle.length > 0) await this.#begin(idle);
        this.#failing = false;
      } catch (cause) {
        this.#complain(cause);
      }
    }
  }

  async #begin(names: readonly string[]): Promise<void> {
    const channels = await this.#deps.channels();
    for (const name of names) {
      const work = this.#drain(name, channels.get(name) ?? missing)
        .catch((cause: unknown) => this.#complain(cause))
        .finally(() => this.#busy.delete(name));
      this.#busy.set(name, work);
    }
  }

  /** One claim after the other, until nothing is due or one fails. */
  async #drain(name: string, channel: OutboxChannel): Promise<void> {
    const { store, clock } = this.#deps;
    for (;;) {
      if (this.#stopped.signal.aborted) return;
      const claim = await store.transaction((tx) => claimNext(tx, name, clock.now()));
      if (claim === null) return;
      const failure = await this.#send(channel, claim.messages);
      if (failure !== null && this.#stopped.signal.aborted) return; // cut short: it is claimed again after the lease
      if (failure !== null) return this.#failed(claim, failure);
      await store.transaction((tx) => settleSent(tx, claim, clock.now()));
    }
  }

  /** `null` when it went out. */
  async #send(channel: OutboxChannel, messages: readonly QueuedMessage[]): Promise<unknown> {
    const limit = new AbortController();
    const signal = AbortSignal.any([limit.signal, this.#stopped.signal]);
    const timer = setTimeout(() => limit.abort(), this.#deps.limits?.send ?? sendLimit);
    try {
      const cut = new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => reject(new Error('time is up')), { once: true });
      });
      await Promise.race([channel.send(messages, signal), cut]);
      return null;
    } catch (cause) {
      return cause;
    } finally {
      clearTimeout(timer);
    }
  }

  async #failed(claim: Claim, failure: unknown): Promise<void> {
    const { store, clock, random, log } = this.#deps;
    const error = failureText(failure);
    const asked = isLatchkeyError(failure) ? (failure.retryAfter ?? 0) * 1000 : 0;
    const delay = Math.max(retryDelay(claim.attempts, random), Math.min(asked, schedule.longestRetry));
    const lost = await store.transaction((tx) => settleFailed(tx, claim, error, delay, clock.now()));
    const fields = { channel: claim.channel, messages: claim.messages.length, attempts: claim.attempts, reason: error };
    if (lost > 0) log.error({ ...fields, lost }, 'alerts were given up');
    else log.warn(fields, 'alert was not delivered');
  }

  /** The store does not answer: said once, until it does again. */
  #complain(cause: unknown): void {
    if (!this.#failing) this.#deps.log.error({ reason: failureText(cause) }, 'alerts were not looked at');
    this.#failing = true;
  }
}

/** Only our own errors are told in words: another's may quote what it was given. */
export function failureText(failure: unknown): string {
  if (isLatchkeyError(failure)) return failure.message;
  if (failure instanceof Error && failure.message === 'time is up') return 'it did not end in time';
  return 'something broke that should not have';
}

const missing: OutboxChannel = {
  send: () => Promise.reject(new LatchkeyError('alert_channel_missing', 'the channel is not there any more')),
};
