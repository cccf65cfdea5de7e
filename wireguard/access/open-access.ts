import type { Clock, RandomBytes } from '../../platform/clock.ts';
import type { DenialLog } from '../../platform/denials.ts';
import type { Log } from '../../platform/log.ts';
import type { Store } from '../../platform/store.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import type { HubConfig } from '../data/hub-config.ts';
import type { HubDatabase } from '../store/schema.ts';
import { type Access, unauthorized } from './caller.ts';

export interface AccessParts {
  readonly config: HubConfig;
  readonly store: Store<HubDatabase>;
  readonly vault: Vault;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly log: Log;
  readonly denials: DenialLog;
}

/** Who may ask this hub for something. */
export function openAccess(_parts: AccessParts): Access {
  return { callerOf: () => Promise.reject(unauthorized()) };
}
