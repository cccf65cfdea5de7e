import type { Log } from '../../platform/log.ts';
import type { Store } from '../../platform/store.ts';
import type { HubDatabase } from '../store/schema.ts';
import { markTokenUsed } from './api-tokens.ts';

/** So exact is the time of a token's last use, ms. */
const grain = 60_000;

/** Tells the store when tokens were used: after the answer is on its way, and once a minute for each at the most. */
export class LastUse {
  readonly #store: Store<HubDatabase>;
  readonly #log: Log;
  readonly #noted: Map<string, number> = new Map();
  #running: Promise<void> = Promise.resolve();

  constructor(store: Store<HubDatabase>, log: Log) {
    this.#store = store;
    this.#log = log;
  }

  note({ id, usedAt }: { readonly id: string; readonly usedAt: number | null }, now: number): void {
    const known = this.#noted.get(id) ?? usedAt;
    if (known !== null && Math.abs(now - known) < grain) return;
    this.#noted.set(id, now);
    this.#running = this.#running.then(async () => {
      try {
        await this.#store.transaction((tx) => markTokenUsed(tx, id, now));
      } catch (cause) {
        const { name, message } = cause as Error;
        this.#log.error({ name, message }, 'last use of a token was not noted');
      }
    });
  }

  /** Resolves when everything noted is in the store. */
  settled(): Promise<void> {
    return this.#running;
  }
}
