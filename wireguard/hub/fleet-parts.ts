import type { PostgresAddress } from '../../platform/postgres-url.ts';
import type { HubMetrics } from '../calls/metrics.ts';
import type { HubConfig } from '../data/hub-config.ts';
import { linkMeans } from '../links/link-means.ts';
import { removeLink } from '../links/linux-link.ts';
import type { HubInterface } from '../store/hub-interface.ts';
import type { HubParts } from './hub.ts';
import { HubWatch, type WatchParts } from './hub-watch.ts';
import { makeHub } from './make-hub.ts';

/** What the interfaces of a hub are kept with. */
export interface FleetParts
  extends Omit<HubParts, 'onFacts'>,
    Omit<WatchParts, 'onComparison' | 'onForeign' | 'lookMs'> {
  readonly config: Pick<HubConfig, 'name' | 'driver' | 'lookSeconds' | 'interfaces' | 'standBy'>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly metrics: Pick<HubMetrics, 'compared' | 'foundForeign'>;
  /** Where other hubs may be at work too; `null` for SQLite, which has one hub. */
  readonly postgres: PostgresAddress | null;
  /** How long a start waits for an interface that another hub keeps, in milliseconds: a machine that lost its power keeps its claim for a while. */
  readonly claimMs?: number;
  /** How often the hub looks after interfaces that it does not keep. */
  readonly strollMs?: number;
}

/** What keeps an interface from now on; it is not built yet. */
export async function makeWatch(
  parts: FleetParts,
  facts: HubInterface,
  onFacts: (name: string) => void,
): Promise<HubWatch> {
  const { config, env, store, now, log, metrics } = parts;
  const means = config.driver === 'memory' ? null : () => linkMeans(env);
  const hub = await makeHub(facts, means, { ...parts, onFacts });
  const onForeign = metrics.foundForeign.bind(metrics);
  const onComparison = metrics.compared.bind(metrics);
  const lookMs = config.lookSeconds * 1000;
  return new HubWatch(hub, { store, now, log, onComparison, onForeign, lookMs });
}

/** Takes an interface away from this machine. False when that could not be done. */
export async function takeDown({ config, onTrouble }: FleetParts, name: string): Promise<boolean> {
  if (config.driver === 'memory') return true;
  try {
    await removeLink({ name });
    return true;
  } catch (error) {
    onTrouble(error);
    return false;
  }
}
