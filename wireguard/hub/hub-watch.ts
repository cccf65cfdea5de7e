import { appendAudit } from '../../platform/audit-chain.ts';
import type { Log } from '../../platform/log.ts';
import type { Store } from '../../platform/store.ts';
import type { LiveInterface } from '../drivers/driver.ts';
import type { WireGuardKey } from '../keys.ts';
import { isOtherDevice } from '../reconcile/difference.ts';
import type { Comparison } from '../reconcile/reconciler.ts';
import { expiredPeers } from '../store/peers.ts';
import type { HubDatabase } from '../store/schema.ts';
import { HUB } from './actor.ts';
import { HandshakeTracker } from './handshake-tracker.ts';
import type { Hub } from './hub.ts';

const USUAL_LOOK_MS = 10_000;
/** How many times as long as it takes to tell of itself: a program with ten thousand peers does nothing else meanwhile. */
const LEFT_ALONE = 100;
const MOST_RESTS = 3;
/** How often the whole of it is compared with the store when looks show nothing strange. */
const COMPARE_MS = 60_000;
/** How long a stop waits for a look under way, whose database may not answer. */
const STOP_MS = 2_000;
/** How many keys one record names. */
const NAMED = 20;

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
  /** Told of strangers on the interface, once for each time that they come. */
  readonly onForeign?: (name: string, count: number) => void;
  /** How long the interface is left alone between two looks, in milliseconds; ten seconds unless told. */
  readonly lookMs?: number;
}

/**
 * Keeps one interface what the store says for as long as the hub runs: made so at the start, then looked at every few seconds, off the
 * path of every request. It is compared with the store each minute, and at once when a look finds it gone, with other peers than
 * the store's, or when it could not be told of a change. What goes wrong is logged and tried again.
 */
export class HubWatch {
  readonly isElsewhere = false;
  readonly hub: Hub;
  readonly #parts: WatchParts;
  readonly #tracker: HandshakeTracker;
  #last: LookResult;
  #comparison: Comparison | null = null;
  #comparedAt: number | null = null;
  #foreign: ReadonlySet<WireGuardKey> = new Set();
  #timer: NodeJS.Timeout | undefined;
  #turning: Promise<void> = Promise.resolve();
  #isStopped = false;
  #tellingMs = 0;

  constructor(hub: Hub, parts: WatchParts) {
    this.hub = hub;
    this.#parts = parts;
    this.#tracker = new HandshakeTracker(parts.store, hub.facts.name);
    this.#last = { at: parts.now(), live: null };
  }

  /** Makes the interface what the store says and goes on from there. False when it could not be made: it is tried again with each look. */
  async start(): Promise<boolean> {
    const isBuilt = await this.#compare(() => this.hub.begin(), 'interface was not built');
    if (isBuilt) await this.look();
    this.#rest();
    return isBuilt;
  }

  /** Ends at once, also when the interface hangs. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.hub.driver.abandon?.();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, STOP_MS);
    });
    await Promise.race([this.#turning, late]);
    clearTimeout(timer);
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

  /** One round: a look, and a comparison when there is reason for one. */
  async turn(): Promise<void> {
    const isStrange = await this.look();
    // by the wall clock: timers stand still while a machine sleeps, and what it wakes up with is anybody's guess
    const isDue = Math.abs(this.#parts.now() - (this.#comparedAt ?? 0)) >= COMPARE_MS;
    if (this.#isStopped || !(isStrange || isDue || !this.hub.reconciler.isSettled)) return;
    if ((await this.tidy()) && this.#last.live === null) await this.look();
  }

  /** The next round begins when this one is over, however long it took. */
  #rest(): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(
      () => {
        this.#turning = this.turn().then(() => this.#rest());
      },
      restAfter(this.#tellingMs, this.#parts.lookMs ?? USUAL_LOOK_MS),
    ).unref();
  }

  /** Asks the interface how its peers are, and writes that down. True when the interface is not as it should be. */
  look(): Promise<boolean> {
    return this.hub.reconciler.beside((heard) => this.#lookBeside(heard));
  }

  /** Peers that were changed meanwhile are not strange, whatever is seen of them. */
  async #lookBeside(heard: ReadonlySet<WireGuardKey>): Promise<boolean> {
    const { now } = this.#parts;
    const isThere = await this.#attempt('interface was not looked at', async () => {
      const begun = performance.now();
      const live = await this.hub.driver.read();
      this.#tellingMs = performance.now() - begun;
      this.#last = { at: now(), live };
    });
    if (!isThere) this.#last = { at: now(), live: null };
    const { live } = this.#last;
    if (live === null) return true;
    let isStrange = isOtherDevice(this.hub.facts, live);
    await this.#attempt('handshakes were not written down', async () => {
      const { missing, unwanted } = await this.#tracker.take(live, now());
      const known = this.hub.policy === 'adopt' ? this.#foreign : new Set();
      isStrange ||= missing.some((key) => !heard.has(key));
      isStrange ||= unwanted.some((key) => !known.has(key) && !heard.has(key));
    });
    return isStrange;
  }

  /** Takes off whose time is over, and compares the whole interface. False when that could not be done. */
  async tidy(): Promise<boolean> {
    const { store, now } = this.#parts;
    await this.#attempt('expired peers were not removed', async () => {
      const expired = await store.read((db) => expiredPeers(db, this.hub.facts.name, now()));
      for (const id of expired) await this.hub.peers.remove(id, HUB);
    });
    return this.#compare(() => this.hub.compare(), 'interface was not compared');
  }

  #compare(work: () => Promise<Comparison>, otherwise: string): Promise<boolean> {
    return this.#attempt(otherwise, async () => {
      const start = performance.now();
      const comparison = await work();
      const { name } = this.hub.facts;
      this.#comparison = comparison;
      this.#comparedAt = this.#parts.now();
      this.#parts.onComparison(name, comparison, performance.now() - start);
      const { outcome, changed, foreign } = comparison;
      if (outcome !== 'settled') this.#parts.log.info({ interface: name, outcome, changed }, 'interface was changed');
      const before = this.#foreign;
      this.#foreign = new Set(foreign);
      await this.#tellOfForeign(foreign.filter((key) => !before.has(key)));
    });
  }

  async #tellOfForeign(keys: readonly WireGuardKey[]): Promise<void> {
    if (keys.length === 0) return;
    const { log, now, onForeign, store } = this.#parts;
    const { name } = this.hub.facts;
    const about = { interface: name, count: keys.length, peers: keys.slice(0, NAMED), policy: this.hub.policy };
    log.warn(about, 'foreign peers were found');
    onForeign?.(name, keys.length);
    await store.transaction((tx) =>
      appendAudit(tx, { time: now(), event: 'foreign_peers_found', detail: { by: HUB.name, ...about } }),
    );
  }

  async #attempt(what: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      const { code: problem, message: reason } = error as { code?: string; message?: string };
      this.#parts.log.error({ interface: this.hub.facts.name, problem, reason }, what);
      return false;
    }
  }
}

/**
 * How long an interface is left alone that took so long to tell of itself, at the least `usual` and at the most thrice that, since one
 * that hung for a while took long too; all in milliseconds.
 */
export function restAfter(tellingMs: number, usual: number): number {
  return Math.max(usual, Math.min(tellingMs * LEFT_ALONE, MOST_RESTS * usual));
}
