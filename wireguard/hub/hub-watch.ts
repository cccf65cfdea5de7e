import type { Log } from '../../platform/log.ts';
import type { Store } from '../../platform/store.ts';
import type { LiveInterface } from '../drivers/driver.ts';
import type { Comparison } from '../reconcile/reconciler.ts';
import { expiredPeers } from '../store/peers.ts';
import type { HubDatabase } from '../store/schema.ts';
import { HUB } from './actor.ts';
import { trackHandshakes } from './handshake-tracker.ts';
import type { Hub } from './hub.ts';

/** How often the interface is asked how its peers are. */
const LOOK_MS = 10_000;
/** How often the whole of it is compared with the store. */
const COMPARE_MS = 60_000;

/** What the last look at an interface showed. */
export interface LookResult {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** `null` when the interface could not be asked. */
  readonly live: LiveInterface | null;
}

export interface WatchParts {
  readonly store: Store<HubDatabase>;
  readonly now: () => number;
  readonly log: Log;
  readonly onComparison: (name: string, comparison: Comparison, millis: number) => void;
}

/**
 * Keeps one interface what the store says for as long as the hub runs: built at the start, compared each minute, and looked at each
 * ten seconds, off the path of every request. What goes wrong is logged and tried again.
 */
export class HubWatch {
  readonly hub: Hub;
  readonly #parts: WatchParts;
  readonly #timers: NodeJS.Timeout[] = [];
  #last: LookResult;
  #comparison: Comparison | null = null;
  #comparedAt: number | null = null;
  #busy: Promise<unknown> = Promise.resolve();

  constructor(hub: Hub, parts: WatchParts) {
    this.hub = hub;
    this.#parts = parts;
    this.#last = { at: parts.now(), live: null };
  }

  /** Builds the interface and goes on from there. False when it could not be built: it is tried again each minute. */
  async start(): Promise<boolean> {
    const built = await this.#attempt('interface was not built', () =>
      this.#settle(() => this.hub.reconciler.rebuild()),
    );
    await this.look();
    this.#timers.push(
      setInterval(() => this.#next(() => this.look()), LOOK_MS).unref(),
      setInterval(() => this.#next(() => this.tidy()), COMPARE_MS).unref(),
    );
    return built;
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#busy;
  }

  get last(): LookResult {
    return this.#last;
  }

  get comparison(): Comparison | null {
    return this.#comparison;
  }

  /** When that was, in milliseconds since 1970; `null` before the first one. */
  get comparedAt(): number | null {
    return this.#comparedAt;
  }

  /** Asks the interface how its peers are, and writes that down. */
  async look(): Promise<void> {
    const { store, now } = this.#parts;
    const done = await this.#attempt('interface was not looked at', async () => {
      const live = await this.hub.driver.read();
      await trackHandshakes(store, this.hub.facts.name, live, now());
      this.#last = { at: now(), live };
    });
    if (!done) this.#last = { at: now(), live: null };
  }

  /** Takes off whose time is over, and compares the whole interface. */
  async tidy(): Promise<void> {
    const { store, now } = this.#parts;
    const { name } = this.hub.facts;
    await this.#attempt('expired peers were not removed', async () => {
      for (const id of await store.read((db) => expiredPeers(db, name, now()))) await this.hub.peers.remove(id, HUB);
    });
    await this.#attempt('interface was not compared', () => this.#settle(() => this.hub.reconciler.compare()));
  }

  async #settle(work: () => Promise<Comparison>): Promise<void> {
    const start = performance.now();
    const comparison = await work();
    const { name } = this.hub.facts;
    this.#comparison = comparison;
    this.#comparedAt = this.#parts.now();
    this.#parts.onComparison(name, comparison, performance.now() - start);
    const { outcome, changed, foreign } = comparison;
    if (foreign.length > 0)
      this.#parts.log.warn({ interface: name, peers: foreign.slice(0, 20) }, 'foreign peers were found');
    if (outcome !== 'settled') this.#parts.log.info({ interface: name, outcome, changed }, 'interface was changed');
  }

  #next(work: () => Promise<void>): void {
    this.#busy = this.#busy.then(work);
  }

  async #attempt(what: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      const { code, message } = error as { code?: string; message?: string };
      this.#parts.log.error({ interface: this.hub.facts.name, code, reason: message }, what);
      return false;
    }
  }
}
