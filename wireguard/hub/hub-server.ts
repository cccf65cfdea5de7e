import type { Clock, RandomBytes } from '../../platform/clock.ts';
import { DenialLog } from '../../platform/denials.ts';
import { guardStore } from '../../platform/guarded-store.ts';
import { startHousekeeping } from '../../platform/housekeeping.ts';
import { createHttpApp } from '../../platform/http-app.ts';
import { certificateEnd } from '../../platform/listening/identity.ts';
import { listen } from '../../platform/listening/listen.ts';
import { isWithin } from '../../platform/listening/network.ts';
import type { Log } from '../../platform/log.ts';
import type { Store } from '../../platform/store.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { limitedSource } from '../access/limited-source.ts';
import { openAccess } from '../access/open-access.ts';
import type { Desk } from '../calls/desk.ts';
import { HubMetrics } from '../calls/metrics.ts';
import { problemMembers } from '../calls/problem.ts';
import { hubRoutes } from '../calls/routes.ts';
import { doorbellFile, type HubData, loadAuditKey } from '../data/hub-data.ts';
import { sourceFor } from '../front/certificate-source.ts';
import { publicUrlOf } from '../front/public-url.ts';
import { TlsKeeper } from '../front/tls-keeper.ts';
import { installerKey } from '../spokes/installer-signing.ts';
import { InvitationLimit } from '../spokes/invitation-limit.ts';
import { TokenRefusals } from '../spokes/token-refusals.ts';
import { startSweeper } from '../spokes/token-sweeper.ts';
import type { HubDatabase } from '../store/schema.ts';
import { hangDoorbell } from './doorbell.ts';
import { ExportKeeper } from './export-keeper.ts';
import type { FleetParts } from './fleet-parts.ts';
import { HubFleet } from './hub-fleet.ts';
import { hubReport } from './hub-report.ts';

export interface HubServer {
  /** The port of its API. */
  readonly port: number;
  /** Names of interfaces that could not be built yet; they are tried again with each look. */
  readonly unbuilt: readonly string[];
  /** Ends the requests under way and signs the audit log. Interfaces stay up, so that nobody is cut off; the store stays open. */
  stop(): Promise<void>;
}

export interface HubServerDeps {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** How long it waits for interfaces of other hubs; the usual unless told. */
  readonly waits?: Pick<FleetParts, 'claimMs' | 'strollMs'>;
}

/** Builds the interfaces of an opened data directory and serves its API, at the address in its config. */
export async function startHub(data: HubData, vault: Vault, deps: HubServerDeps): Promise<HubServer> {
  const { config } = data;
  const { clock, random, log } = deps;
  const store = guardStore(data.store, data.databaseFile, clock);
  const metrics = new HubMetrics();
  const fleet = await HubFleet.of({
    ...{ store, seal: vault, now: () => clock.now(), random, log, metrics, config, env: deps.env },
    ...{ policy: config.foreign, postgres: data.postgres, ...deps.waits },
    onTrouble: (error) => {
      // "code" is a field that the log hides: elsewhere it is that of an authenticator
      const { code: problem, message: reason } = error as { code?: string; message?: string };
      log.error({ problem, reason }, 'interface was not told of a change');
    },
  });
  const undo = [() => fleet.stop()];
  try {
    return await serve(data, vault, deps, { store, metrics, fleet, undo });
  } catch (error) {
    // what is left open would keep a process going that serves nobody
    for (const step of undo.reverse()) await step();
    throw error;
  }
}

interface Serving {
  readonly store: Store<HubDatabase>;
  readonly metrics: HubMetrics;
  readonly fleet: HubFleet;
  /** What has to be ended when the hub does not start after all. */
  readonly undo: (() => Promise<void>)[];
}

async function serve(
  data: HubData,
  vault: Vault,
  { clock, random, log }: HubServerDeps,
  { store, metrics, fleet, undo }: Serving,
): Promise<HubServer> {
  const { config } = data;
  const auditKey = await loadAuditKey(data, vault);
  const source = sourceFor({ config, directory: data.directory, store, vault, clock, random });
  const tls = source === null ? null : await TlsKeeper.open({ source, log, clock });
  const denials = new DenialLog();
  const limited = limitedSource(() => fleet.ownAddresses);
  let port = config.listen.port; // until the listener says which one it got
  const installers = {
    ...{ store, random, now: () => clock.now() },
    key: await installerKey(store, vault, clock.now()),
    address: (endpoint: string) => {
      return { url: publicUrlOf(config, port, endpoint), pin: tls?.pin ?? null, hubName: config.name };
    },
  };
  metrics.show({
    ...{ store, watches: fleet.watches, most: config.metrics.peers, now: () => clock.now() },
    certificateEnd: () => (tls === null ? null : certificateEnd(tls.identity.certificate)),
  });
  const desk: Desk = {
    config,
    store,
    vault,
    clock,
    random,
    log,
    denials,
    limited,
    metrics,
    hubs: fleet.served,
    access: openAccess({ config, store, vault, clock, random, log, denials, limited }),
    takeUp: (name) => fleet.refresh(name),
    installers,
    invitationLimit: new InvitationLimit(config.spokes.tokensPerHour, limited),
    tokenRefusals: new TokenRefusals({ store, clock, denials, limited }),
  };
  const app = createHttpApp({
    routes: hubRoutes(desk),
    log,
    requestId: () => random(8).toString('hex'),
    onAnswer: (answer) => metrics.answered(answer),
    challenge: 'Bearer',
    problemMembers,
    trustedProxies: config.proxies,
    corsOrigin: config.corsOrigin,
  });
  // usually the port comes first, which tells that another hub runs here; an address in the hub's own tunnel is made with the tunnel
  const early = isInside(config.listen.host, fleet) ? await fleet.start() : null;
  const listener = await listen(config.listen, tls?.identity ?? null, null, app, {
    oldestTls: config.tls?.oldest ?? '1.3',
    proxies: config.proxies,
  });
  undo.push(() => listener.stop());
  tls?.serve(listener);
  port = listener.port;
  const unbuilt = early ?? (await fleet.start());
  const exports =
    config.exportFolder === null
      ? null
      : new ExportKeeper({ store, seal: vault, log, folder: config.exportFolder, only: config.interfaces });
  exports?.start();
  const housekeeping = startHousekeeping({ store, clock, log, denials }, auditKey);
  const stopSweeper = startSweeper({ store, clock, log });
  const unhang = await hangDoorbell(
    doorbellFile(data.directory),
    (ring) => fleet.ring(ring),
    () => hubReport(fleet.watches.values()),
  );
  return {
    port: listener.port,
    unbuilt,
    stop: async () => {
      for (const { hub } of fleet.watches.values()) hub.driver.abandon?.(); // whoever waits for it is answered now
      metrics.stop();
      await unhang();
      await tls?.stop();
      await listener.stop();
      await desk.access.stop();
      await fleet.stop();
      await exports?.stop();
      await stopSweeper();
      await housekeeping.stop();
    },
  };
}

function isInside(host: string, { ownAddresses }: HubFleet): boolean {
  return isWithin(host, ownAddresses.map(alone));
}

/** The network of one address: `10.0.1.1/24` is `10.0.1.1/32`. */
function alone(address: string): string {
  return address.replace(/\/\d+$/, address.includes(':') ? '/128' : '/32');
}
