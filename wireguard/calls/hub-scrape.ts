import { inTurns } from '../../platform/in-turns.ts';
import type { Store } from '../../platform/store.ts';
import type { HubDatabase } from '../store/schema.ts';
import { expositionSteps } from './exposition.ts';
import {
  certificateFamilies,
  interfaceFamilies,
  readFigures,
  type SeenInterface,
  type StoreFigures,
  storeFamilies,
  trafficFamilies,
} from './hub-figures.ts';
import { InterfaceTraffic } from './interface-traffic.ts';

export interface ScrapedHub {
  readonly store: Pick<Store<HubDatabase>, 'read'>;
  /** By the interface's name; it changes with the interfaces. */
  readonly watches: ReadonlyMap<string, SeenInterface>;
  /** For how many peers there are figures of each alone. */
  readonly most: number;
  readonly now: () => number;
  /** When the certificate ends that it serves with, in milliseconds since 1970; `null` without TLS. */
  readonly certificateEnd: () => number | null;
  /** How long the database may take, in milliseconds; 5 s unless told. Monitoring itself waits ten, and then takes the hub for dead. */
  readonly patience?: number;
}

const PATIENCE_MS = 5000;

/** What a hub shows to monitoring of its interfaces and its store, asked when monitoring asks, off the path of every request. */
export class HubScrape {
  readonly #hub: ScrapedHub;
  readonly #startedAt: number;
  readonly #traffic = new Map<string, InterfaceTraffic>();
  #text: Promise<string> | null = null;
  #reading: Promise<StoreFigures | null> | null = null;

  constructor(hub: ScrapedHub) {
    this.#hub = hub;
    this.#startedAt = hub.now();
  }

  /** The Prometheus text. Who asks meanwhile gets the same. */
  text(): Promise<string> {
    this.#text ??= this.#make().finally(() => {
      this.#text = null;
    });
    return this.#text;
  }

  async #make(): Promise<string> {
    const { watches, now, certificateEnd } = this.#hub;
    const seen = new Map([...watches].sort(([a], [b]) => (a < b ? -1 : 1)));
    const names = [...seen.keys()];
    await this.#takeTraffic(seen);
    const figures = await this.#figures(names);
    return inTurns(
      expositionSteps([
        ...interfaceFamilies([...seen.values()], now(), this.#startedAt),
        ...trafficFamilies(this.#traffic),
        ...certificateFamilies(certificateEnd()),
        ...storeFamilies(figures, names),
      ]),
    );
  }

  async #takeTraffic(seen: ReadonlyMap<string, SeenInterface>): Promise<void> {
    for (const name of this.#traffic.keys()) if (!seen.has(name)) this.#traffic.delete(name);
    for (const [name, { last }] of seen) {
      const traffic = this.#traffic.get(name) ?? new InterfaceTraffic();
      this.#traffic.set(name, traffic);
      await inTurns(traffic.steps(last.live));
    }
  }

  /** `null` when the database fails or takes too long: the other figures are wanted most then. It is not asked twice at once. */
  async #figures(names: readonly string[]): Promise<StoreFigures | null> {
    const { store, most, patience = PATIENCE_MS } = this.#hub;
    this.#reading ??= readFigures(store, names, most)
      .catch(() => null)
      .finally(() => {
        this.#reading = null;
      });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), patience);
    });
    const figures = await Promise.race([this.#reading, late]);
    clearTimeout(timer);
    return figures;
  }
}
