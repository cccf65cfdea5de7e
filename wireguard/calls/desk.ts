import type { Clock, RandomBytes } from '../../platform/clock.ts';
import type { DenialLog } from '../../platform/denials.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import type { Store } from '../../platform/store.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import type { HubAccess } from '../access/open-access.ts';
import type { HubConfig } from '../data/hub-config.ts';
import type { HubWatch } from '../hub/hub-watch.ts';
import type { HubDatabase } from '../store/schema.ts';
import type { HubMetrics } from './metrics.ts';

/** Everything a handler of the hub's API is given. One object for the life of the process. */
export interface Desk {
  readonly config: HubConfig;
  readonly store: Store<HubDatabase>;
  readonly vault: Vault;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly log: Log;
  readonly access: HubAccess;
  readonly denials: DenialLog;
  readonly metrics: HubMetrics;
  /** By the interface's name. */
  readonly hubs: ReadonlyMap<string, HubWatch>;
}

/** The hub's interface of that name; without a name the only one, or the first by name. Throws `interface_unknown` (404). */
export function hubOf({ hubs }: Pick<Desk, 'hubs'>, name?: string): HubWatch {
  const found = name === undefined ? hubs.values().next().value : hubs.get(name);
  if (found !== undefined) return found;
  throw new LatchkeyError('interface_unknown', 'there is no such interface', { status: 404, field: 'interface' });
}
