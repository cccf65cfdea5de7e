import type { Area } from '../../platform/http-app.ts';
import { isWithin } from '../../platform/listening/network.ts';
import { networksFor } from '../../platform/listening/networks.ts';
import { SessionBook } from '../../platform/session-book.ts';
import type { Config } from '../config.ts';
import type { Custody } from '../custody.ts';
import type { Health } from '../health.ts';
import { approvalRoutes } from './approval-routes.ts';
import { custodyRoutes } from './custody-routes.ts';
import { AdminDoor } from './door.ts';
import { HeardBook } from './heard.ts';
import { loadStyle } from './layout.ts';
import { loginRoutes } from './login-routes.ts';
import { OwnOrigin } from './own-origin.ts';
import type { Site } from './site.ts';
import { switchRoutes } from './switch-routes.ts';
import { Timeline } from './timeline.ts';
import { sessionLimits } from './visits.ts';

const noteEvery = 60_000;

export interface AdminPages {
  readonly area: Area;
  /** Ends what they do by themselves. */
  stop(): Promise<void>;
}

/**
 * The pages of the key server, below `/admin` on its one listener. They are there for the sources in `config.admin.from` and
 * for nobody else. Whether such a peer has to show an administrator's certificate as well would be decided in `admits`
 * too: it is given the socket.
 */
export function adminPages(custody: Custody, config: Config, health: Health): AdminPages {
  const { clock, random, store } = custody;
  const style = loadStyle();
  const site: Site = {
    custody,
    style,
    health,
    origin: new OwnOrigin(config),
    sessions: new SessionBook(random, sessionLimits),
    door: new AdminDoor(custody),
    timeline: new Timeline(store),
    startedAt: clock.now(),
  };
  const networks = adminNetworks(config);
  const routes = [
    style.route,
    ...loginRoutes(site),
    ...approvalRoutes(site),
    ...custodyRoutes(site),
    ...switchRoutes(site),
  ];
  const heard = startHeard(custody);
  return {
    area: { prefix: '/admin', admits: ({ source }) => isWithin(source, networks), routes },
    stop: async () => {
      await heard.stop();
      await site.timeline.settled();
    },
  };
}

/**
 * From where the pages may be asked for: what the config says, else the network of the listen address. Where that is a single
 * address its network is not known, and without a word in the config there are no pages.
 */
function adminNetworks({ admin, listen, transport }: Config): readonly string[] {
  if (transport !== 'tls') return []; // the session cookie travels over TLS alone
  if (admin.from !== null) return admin.from;
  try {
    return networksFor(undefined, listen.host);
  } catch {
    return [];
  }
}

/** Notes each minute who was heard. */
function startHeard({ store, clock, log }: Custody): { stop(): Promise<void> } {
  const book = new HeardBook();
  let running: Promise<void> = Promise.resolve();
  const note = async (): Promise<void> => {
    try {
      await book.note(store, clock.now());
    } catch (cause) {
      const { name, message } = cause as Error;
      log.error({ name, message }, 'it was not noted who was heard');
    }
  };
  const timer = setInterval(() => {
    running = running.then(note);
  }, noteEvery);
  timer.unref();
  return {
    stop: async () => {
      clearInterval(timer);
      await running;
      await note();
    },
  };
}
