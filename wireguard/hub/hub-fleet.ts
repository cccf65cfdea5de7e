import type { HubMetrics } from '../calls/metrics.ts';
import type { HubConfig } from '../data/hub-config.ts';
import { linkMeans } from '../links/link-means.ts';
import { removeLink } from '../links/linux-link.ts';
import { type HubInterface, listInterfaces } from '../store/hub-interface.ts';
import type { HubParts } from './hub.ts';
import { HubWatch, type WatchParts } from './hub-watch.ts';
import { makeHub } from './make-hub.ts';

export interface FleetParts extends HubParts, Omit<WatchParts, 'onComparison' | 'onForeign' | 'lookMs'> {
  readonly config: Pick<HubConfig, 'driver' | 'lookSeconds'>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly metrics: Pick<HubMetrics, 'compared' | 'foundForeign'>;
}

/**
 * The interfaces of a running hub, which may become more or fewer while it runs: what they are is in the store, and a ring at the
 * doorbell says that it is another thing now.
 */
export class HubFleet {
  readonly #parts: FleetParts;
  readonly #watches = new Map<string, HubWatch>();
  #busy: Promise<unknown> = Promise.resolve();

  private constructor(parts: FleetParts) {
    this.#parts = parts;
  }

  /** Every interface of the store, none of them built yet. */
  static async of(parts: FleetParts): Promise<HubFleet> {
    const fleet = new HubFleet(parts);
    for (const facts of await fleet.#stored()) await fleet.#add(facts);
    return fleet;
  }

  /** By the interface's name; it changes with the interfaces. */
  get watches(): ReadonlyMap<string, HubWatch> {
    return this.#watches;
  }

  /** Builds them all. Answers the names of those that could not be built yet. */
  async start(): Promise<string[]> {
    const unbuilt: string[] = [];
    for (const [name, watch] of this.#watches) if (!(await watch.start())) unbuilt.push(name);
    return unbuilt;
  }

  /** Interfaces stay up, so that nobody is cut off. */
  async stop(): Promise<void> {
    await this.#busy;
    for (const watch of this.#watches.values()) await watch.stop();
  }

  /**
   * Takes up what the store says of one interface: builds one that is new, takes away one that is gone, compares one that
   * is there. False when that could not be done yet, or when nobody knows the name.
   */
  refresh(name: string): Promise<boolean> {
    const done = this.#busy.then(() => this.#refresh(name));
    this.#busy = done.catch(() => undefined);
    return done;
  }

  async #refresh(name: string): Promise<boolean> {
    const watch = this.#watches.get(name);
    const facts = (await this.#stored()).find((one) => one.name === name);
    if (facts === undefined) return watch === undefined ? false : this.#remove(name, watch);
    return watch === undefined ? (await this.#add(facts)).start() : watch.hub.refresh();
  }

  async #add(facts: HubInterface): Promise<HubWatch> {
    const { config, env, store, now, log, metrics } = this.#parts;
    const means = config.driver === 'memory' ? null : () => linkMeans(env);
    const hub = await makeHub(facts, means, this.#parts);
    const onForeign = metrics.foundForeign.bind(metrics);
    const onComparison = metrics.compared.bind(metrics);
    const lookMs = config.lookSeconds * 1000;
    const watch = new HubWatch(hub, { store, now, log, onComparison, onForeign, lookMs });
    this.#watches.set(facts.name, watch);
    return watch;
  }

  async #remove(name: string, watch: HubWatch): Promise<boolean> {
    this.#watches.delete(name);
    await watch.stop();
    if (this.#parts.config.driver === 'memory') return true;
    try {
      await removeLink({ name });
      return true;
    } catch (error) {
      this.#parts.onTrouble(error);
      return false;
    }
  }

  #stored(): Promise<HubInterface[]> {
    return this.#parts.store.read((db) => listInterfaces(db, this.#parts.seal));
  }
}
