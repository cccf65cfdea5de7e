import type { Clock, RandomBytes } from '../platform/clock.ts';
import { DenialLog } from '../platform/denials.ts';
import { guardStore } from '../platform/guarded-store.ts';
import { startHousekeeping } from '../platform/housekeeping.ts';
import { createHttpApp, type Route } from '../platform/http-app.ts';
import { listen } from '../platform/listening/listen.ts';
import type { Log } from '../platform/log.ts';
import { RateLimiter } from '../platform/rate.ts';
import type { Store } from '../platform/store.ts';
import type { Vault } from '../platform/vault/vault.ts';
import { placeOf } from '../wireguard/interface-address.ts';
import { adminPages } from './admin/admin-area.ts';
import { ServerAlerts } from './alerts/server-alerts.ts';
import { enrolmentRoute } from './calls/enrolment-route.ts';
import { protocolRoutes } from './calls/routes.ts';
import { Sessions } from './calls/sessions.ts';
import { Authorities } from './certificates/authorities.ts';
import { CertificateKeeper } from './certificates/keeper.ts';
import { redeemGrant } from './clients/grant.ts';
import { CodeBook } from './code-book.ts';
import type { Custody } from './custody.ts';
import { isKillFilePresent, killFileLook } from './data-directory.ts';
import { Health } from './health.ts';
import { SteadyListener } from './listening/steady-listener.ts';
import { Metrics } from './metrics.ts';
import { metricsRoute } from './metrics-route.ts';
import { loadOwnTime, type OwnTime } from './presence/own-time.ts';
import { startOwnWatch } from './presence/own-watch.ts';
import { isConnectedTo } from './presence/probe.ts';
import type { Database } from './schema.ts';
import type { ServerData } from './server-data.ts';
import { loadAuditKey, serverIdentity } from './server-secrets.ts';

export interface KeyServer {
  /** The port it listens on. */
  readonly port: number;
  /** Takes up at once what commands changed beside it about certificates; without it that takes some seconds. */
  refresh(): Promise<void>;
  /** Ends the requests under way and signs the audit log; the store stays open. */
  stop(): Promise<void>;
}

export interface KeyServerDeps {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly log: Log;
}

/** Serves an opened data directory with its unsealed vault, at the address in its config. */
export async function startKeyServer(data: ServerData, vault: Vault, deps: KeyServerDeps): Promise<KeyServer> {
  const { config } = data;
  const auditKey = await data.store.read((tx) => loadAuditKey(tx, vault, data.auditKey));
  const ownTime = await data.store.read((tx) => loadOwnTime(tx, deps.clock.now()));
  const alerts = alertsFor(data, vault, deps);
  const authorities = await Authorities.load(data.store, deps.clock);
  const custody = custodyFor(data, vault, alerts.store, authorities, ownTime, deps);
  custody.metrics.watchAlerts(() => alerts.backlog());
  const health = healthFor(custody);
  const pages = adminPages(custody, config, health);
  const app = createHttpApp({
    routes: routesFor(custody, health, data),
    areas: [pages.area],
    log: deps.log,
    requestId: () => deps.random(8).toString('hex'),
  });
  const isTls = config.transport === 'tls';
  const shared = config.database !== null;
  const now = deps.clock.now();
  const identity = isTls ? await serverIdentity(data.store, vault, config.hosts, now, deps.random, shared) : null;
  const listener = await SteadyListener.open(
    {
      open: (served, trusted) => listen(config.listen, served, trusted, app),
      place: () => placeOf(config.listen.host),
      log: deps.log,
    },
    identity,
    authorities.bundle,
  );
  const housekeeping = startHousekeeping(custody, auditKey);
  const keeper = new CertificateKeeper({
    custody,
    hosts: config.hosts,
    shared,
    directory: data.directory,
    listener: isTls ? listener : null,
  });
  keeper.start();
  await alerts.start();
  const watch = startOwnWatch(custody, () => isConnectedTo(config.probe));
  return {
    port: listener.port,
    refresh: () => keeper.look(),
    stop: async () => {
      await listener.stop();
      await pages.stop();
      await keeper.stop();
      await watch.stop();
      await housekeeping.stop();
      await alerts.stop();
    },
  };
}

function alertsFor(data: ServerData, vault: Vault, { clock, random, log }: KeyServerDeps): ServerAlerts {
  return new ServerAlerts({
    store: guardStore(data.store, data.databaseFile, clock),
    vault: () => vault,
    clock,
    random,
    log,
    server: data.config.url,
    auditKey: data.auditKey,
    killFile: () => isKillFilePresent(data.directory),
  });
}

function custodyFor(
  data: ServerData,
  vault: Vault,
  store: Store<Database>,
  authorities: Authorities,
  ownTime: OwnTime,
  { clock, random, log }: KeyServerDeps,
): Custody {
  const sessions = new Sessions(random);
  return {
    store,
    vault: () => vault,
    clock,
    random,
    log,
    limiter: new RateLimiter(),
    sessions,
    codeBook: new CodeBook(random),
    denials: new DenialLog(),
    metrics: new Metrics(() => sessions.size),
    authorities,
    ownTime,
    approvalPage: (approval) => `${data.config.url}/admin/approvals/${approval}`,
    killFile: killFileLook(data.directory),
    redeemGrant,
  };
}

function healthFor(custody: Custody): Health {
  const { store, clock, killFile } = custody;
  return new Health({ store, clock, isSealed: () => custody.vault() === null, killFile });
}

/** Every route of the server but those of its pages. */
function routesFor(custody: Custody, health: Health, { config }: ServerData): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/health',
      bodyLimit: 0,
      handler: async () => {
        const status = await health.status();
        return { status: status === 'ok' ? 200 : 503, body: { status } };
      },
    },
    metricsRoute(custody.metrics, config.metrics),
    enrolmentRoute(custody),
    ...protocolRoutes(custody),
  ];
}
