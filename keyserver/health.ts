import type { Clock } from '../platform/clock.ts';
import { isWritable } from '../platform/guarded-store.ts';
import type { Store } from '../platform/store.ts';
import { killedSince } from './kill-switch.ts';
import type { Database } from './schema.ts';

export type HealthStatus = 'ok' | 'sealed' | 'killed' | 'degraded';

/** How long one write to the disk answers for, in milliseconds: anybody may ask for the health. */
const probeEvery = 2_000;

/** Tells how the server is, without credentials and without a word more. */
export class Health {
  readonly #deps: HealthDeps;
  #probe: Promise<boolean> | null = null;
  #probedAt = 0;

  constructor(deps: HealthDeps) {
    this.#deps = deps;
  }

  async status(): Promise<HealthStatus> {
    if (this.#deps.isSealed()) return 'sealed';
    if (!(await this.#writable())) return 'degraded';
    if (this.#deps.killFile()) return 'killed';
    const since = await this.#deps.store.read(killedSince);
    return since === null ? 'ok' : 'killed';
  }

  #writable(): Promise<boolean> {
    const now = this.#deps.clock.now();
    if (this.#probe === null || Math.abs(now - this.#probedAt) >= probeEvery) {
      this.#probe = isWritable(this.#deps.store);
      this.#probedAt = now;
    }
    return this.#probe;
  }
}

export interface HealthDeps {
  readonly store: Store<Database>;
  readonly clock: Clock;
  readonly isSealed: () => boolean;
  readonly killFile: () => boolean;
}
