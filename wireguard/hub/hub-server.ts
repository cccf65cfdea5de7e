import type { Clock, RandomBytes } from '../../platform/clock.ts';
import { DenialLog } from '../../platform/denials.ts';
import { startHousekeeping } from '../../platform/housekeeping.ts';
import { createHttpApp } from '../../platform/http-app.ts';
import { listen } from '../../platform/listening/listen.ts';
import type { Log } from '../../platform/log.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { openAccess } from '../access/open-access.ts';
import type { Desk } from '../calls/desk.ts';
import { HubMetrics } from '../calls/metrics.ts';
import { problemMembers } from '../calls/problem.ts';
import { hubRoutes } from '../calls/routes.ts';
import { doorbellFile, type HubData, loadAuditKey } from '../data/hub-data.ts';
import { linkMeans } from '../links/link-means.ts';
import { listInterfaces } from '../store/hub-interface.ts';
import { hangDoorbell } from './doorbell.ts';
import { hubReport } from './hub-report.ts';
import { HubWatch } from './hub-watch.ts';
import { makeHub } from './make-hub.ts';

export interface HubServer {
  /** The port of its API. */
  readonly port: number;
  /** Names of interfaces that could not be built yet; they are tried again each minute. */
  readonly unbuilt: readonly string[];
  /** Ends the requests under way and signs the audit log. Interfaces stay up, so that nobody is cut off; the store stays open. */
  stop(): Promise<void>;
}

export interface HubServerDeps {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Builds the interfaces of an opened data directory and serves its API, at the address in its config. */
export async function startHub(data: HubData, vault: Vault, deps: HubServerDeps): Promise<HubServer> {
  const { config, store } = data;
  const { clock, random, log } = deps;
  const auditKey = await loadAuditKey(data, vault);
  const metrics = new HubMetrics();
  const hubs = await watchesOf(data, vault, metrics, deps);
  const denials = new DenialLog();
  const desk: Desk = {
    config,
    store,
    vault,
    clock,
    random,
    log,
    denials,
    metrics,
    hubs,
    access: openAccess({ config, store, vault, clock, random, log, denials }),
  };
  const app = createHttpApp({
    routes: hubRoutes(desk),
    log,
    requestId: () => random(8).toString('hex'),
    onAnswer: (answer) => metrics.answered(answer),
    problemMembers,
  });
  const listener = await listen(config.listen, null, '', app);
  const unbuilt: string[] = [];
  for (const [name, watch] of hubs) if (!(await watch.start())) unbuilt.push(name);
  const housekeeping = startHousekeeping({ store, clock, log, denials }, auditKey);
  const unhang = await hangDoorbell(
    doorbellFile(data.directory),
    async ({ interface: name, publicKeys }) => {
      const hub = hubs.get(name)?.hub;
      return (await (publicKeys.length === 0 ? hub?.refresh() : hub?.tell(publicKeys))) ?? false;
    },
    () => hubReport(hubs.values()),
  );
  return {
    port: listener.port,
    unbuilt,
    stop: async () => {
      await unhang();
      await listener.stop();
      await desk.access.stop();
      for (const watch of hubs.values()) await watch.stop();
      await housekeeping.stop();
    },
  };
}

async function watchesOf(
  { config, store }: HubData,
  vault: Vault,
  metrics: HubMetrics,
  { clock, random, log, env }: HubServerDeps,
): Promise<ReadonlyMap<string, HubWatch>> {
  const now = (): number => clock.now();
  const means = config.driver === 'memory' ? null : await linkMeans(env);
  const onTrouble = (error: unknown): void => {
    log.error({ code: (error as { code?: string }).code }, 'interface was not told of a change');
  };
  const parts = { store, seal: vault, now, random, policy: config.foreign, onTrouble };
  const watches = new Map<string, HubWatch>();
  for (const facts of await store.read((db) => listInterfaces(db, vault))) {
    const hub = makeHub(facts, config, means, parts);
    const onComparison = metrics.compared.bind(metrics);
    watches.set(facts.name, new HubWatch(hub, { store, now, log, onComparison }));
  }
  return watches;
}
