import type { OutboxChannel } from '../../platform/alert-delivery.ts';
import { failureText } from '../../platform/alert-delivery.ts';
import type { Clock } from '../../platform/clock.ts';
import { isLatchkeyError } from '../../platform/errors.ts';
import { isWritable } from '../../platform/guarded-store.ts';
import type { Log } from '../../platform/log.ts';
import type { Store } from '../../platform/store.ts';
import type { Database } from '../schema.ts';
import { type Alert, alertTexts, factsOf } from './alert.ts';
import { raiseAlert } from './raise.ts';

/** A failure that is over by then was a hiccup, ms. */
const settleTime = 3_000;
/** Between two looks whether it lasts, ms. */
const lookEvery = 30_000;
/** Each channel is told again after this long, ms. */
const repeatAfter = 3_600_000;
/** For one message, ms. */
const sendLimit = 20_000;

export interface DegradedDeps {
  readonly store: Store<Database>;
  readonly clock: Clock;
  readonly log: Log;
  /** Kept in memory: the store may not be readable any more. */
  readonly channels: () => ReadonlyMap<string, OutboxChannel>;
  /** Resolves early when the signal is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/**
 * What happens when the store cannot be written, when nothing can be queued either: the channels are told straight from
 * memory, each once an hour while it lasts. The end is queued like any other alert.
 */
export class DegradedWatch {
  readonly #deps: DegradedDeps;
  readonly #stopped = new AbortController();
  #watching: Promise<void> | null = null;

  constructor(deps: DegradedDeps) {
    this.#deps = deps;
  }

  /** The store with an eye on it. */
  watched(store: Store<Database>): Store<Database> {
    return {
      transaction: async (work) => {
        try {
          return await store.transaction(work);
        } catch (error) {
          if (isLatchkeyError(error, 'degraded')) this.failed();
          throw error;
        }
      },
      read: (work) => store.read(work),
      close: () => store.close(),
    };
  }

  /** Something could not be written. */
  failed(): void {
    if (this.#stopped.signal.aborted) return;
    this.#watching ??= this.#watch().finally(() => {
      this.#watching = null;
    });
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#watching;
  }

  async #watch(): Promise<void> {
    const { clock, log, store } = this.#deps;
    const since = clock.now();
    const toldAt = new Map<string, number>();
    const { signal } = this.#stopped;
    await this.#deps.sleep(settleTime, signal);
    while (!signal.aborted && !(await isWritable(store))) {
      if (toldAt.size === 0) log.error({}, 'the store cannot be written');
      await this.#tell({ event: 'degraded', since, until: null }, toldAt);
      await this.#deps.sleep(lookEvery, signal);
    }
    if (signal.aborted || toldAt.size === 0) return;
    const until = clock.now();
    try {
      await store.transaction((tx) => raiseAlert(tx, { event: 'degraded', since, until }, until));
    } catch (cause) {
      log.error({ reason: failureText(cause) }, 'alert was not queued');
    }
  }

  /** All channels at once; one that fails is tried again at the next look. */
  async #tell(alert: Alert, toldAt: Map<string, number>): Promise<void> {
    const { clock, channels, log } = this.#deps;
    const now = clock.now();
    const { severity } = alertTexts(alert);
    const message = { seq: 0, severity, body: JSON.stringify(factsOf(alert)), raisedAt: now, earlier: 0 };
    const due = [...channels()].filter(
      ([name]) => Math.abs(now - (toldAt.get(name) ?? Number.NEGATIVE_INFINITY)) >= repeatAfter,
    );
    const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(sendLimit)]);
    await Promise.all(
      due.map(async ([name, channel]) => {
        try {
          await channel.send([message], signal);
          toldAt.set(name, now);
        } catch (cause) {
          log.warn({ channel: name, reason: failureText(cause) }, 'alert was not delivered');
        }
      }),
    );
  }
}
