import type { Clock, RandomBytes } from '../../platform/clock.ts';
import type { DenialLog } from '../../platform/denials.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import type { Store } from '../../platform/store.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import type { LimitedSource } from '../access/limited-source.ts';
import type { HubAccess } from '../access/open-access.ts';
import type { HubConfig } from '../data/hub-config.ts';
import type { HubWatch } from '../hub/hub-watch.ts';
import { interfaceElsewhere, type ServedInterface } from '../hub/served-interfaces.ts';
import type { InvitationLimit } from '../spokes/invitation-limit.ts';
import type { InvitationParts } from '../spokes/invitations.ts';
import type { TokenRefusals } from '../spokes/token-refusals.ts';
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
  readonly limited: LimitedSource;
  readonly metrics: HubMetrics;
  /** Every interface of the store by name, also those that other hubs keep; first the hub's own. */
  readonly hubs: ReadonlyMap<string, ServedInterface>;
  /** Makes an interface that was stored. False when that could not be done yet. */
  readonly takeUp: (name: string) => Promise<boolean>;
  readonly installers: InvitationParts;
  readonly invitationLimit: InvitationLimit;
  readonly tokenRefusals: TokenRefusals;
}

/** The interface of that name, whichever hub keeps it; without a name the first of the hub's own. Throws `interface_unknown` (404). */
export function hubOf({ hubs }: Pick<Desk, 'hubs'>, name?: string): ServedInterface {
  const found = name === undefined ? hubs.values().next().value : hubs.get(name);
  if (found !== undefined) return found;
  throw hubs.size === 0
    ? new LatchkeyError('interface_unknown', 'the hub has no interface yet', {
        status: 404,
        hint: 'POST /api/hub/initialize makes it; on the hub, wghub interface add',
      })
    : new LatchkeyError('interface_unknown', 'there is no such interface', { status: 404, field: 'interface' });
}

/** The same, when this hub keeps it, for what only its keeper knows. Throws `interface_elsewhere` (421). */
export function ownHubOf(desk: Pick<Desk, 'hubs'>, name?: string): HubWatch {
  const found = hubOf(desk, name);
  if (!found.isElsewhere) return found;
  throw interfaceElsewhere();
}
