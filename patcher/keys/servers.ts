import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import type { Occ } from '../actions/action.ts';
import type { Facts } from '../facts.ts';
import type { Progress } from '../progress.ts';
import { checkServerUrl } from './enroll.ts';
import { remoteKey } from './remote-key.ts';

export interface ServersOrder {
  /** `https://…`, the preferred one first; all that there shall be. */
  readonly urls: readonly string[];
  /** Takes those too where nobody answers now; never one that is someone else's. */
  readonly unchecked: boolean;
}

export interface ServersReport {
  readonly urls: readonly string[];
  readonly changed: boolean;
  /** Those that did not prove themselves. */
  readonly unchecked: readonly string[];
}

interface ServersDeps {
  readonly occ: Occ;
  readonly progress: Progress;
}

const MAX_URLS = 8;

/** Where an enrolled server asks for its keys, the preferred address first. Throws `not_enrolled` (exit 3). */
export async function listServers(facts: Facts, deps: ServersDeps): Promise<ServersReport> {
  refuseUnable(facts);
  return old(() => remoteKey(deps.occ).servers());
}

/**
 * Has an enrolled server ask there from now on, with the credentials it has. Each address proves itself before anything
 * is changed: by the pinned authority, and by a heartbeat, which moves no link. Throws `not_enrolled` (exit 3), or under the
 * app's code why the first that does not is refused; nothing was changed then.
 */
export async function setServers(facts: Facts, order: ServersOrder, deps: ServersDeps): Promise<ServersReport> {
  const urls = order.urls.map((url) => checkServerUrl(url).replace(/\/$/, ''));
  if (urls.length === 0 || urls.length > MAX_URLS || new Set(urls).size < urls.length) {
    throw new LatchkeyError('invalid_url', `"--url" must be given 1 to ${MAX_URLS} times, each with another address`, {
      exit: 2,
      field: 'url',
    });
  }
  refuseUnable(facts);
  deps.progress.step(`ask from now on at ${urls.join(', ')}`);
  return old(() => remoteKey(deps.occ).servers({ urls, unchecked: order.unchecked }));
}

function refuseUnable({ app, enrolment }: Facts): void {
  if (!app.enabled || app.files === null) {
    throw new LatchkeyError('app_not_loaded', 'the app is not installed or switched off', {
      exit: 3,
      hint: 'run: ncpatch apply',
    });
  }
  if (enrolment !== null) return;
  throw new LatchkeyError('not_enrolled', 'the server is not enrolled at a key server', {
    exit: 3,
    hint: 'run: ncpatch enroll',
  });
}

/** An app of before there was this command fails as an occ that does not know it. */
async function old(ask: () => Promise<ServersReport>): Promise<ServersReport> {
  try {
    return await ask();
  } catch (error) {
    const said = isLatchkeyError(error, 'occ_failed') ? `${error.extra?.stdout ?? ''}${error.extra?.stderr ?? ''}` : '';
    if (!/remotekey:servers"? is not defined/i.test(said)) throw error;
    throw new LatchkeyError('app_too_old', 'the app on the server does not know how to change its key servers', {
      exit: 3,
      hint: 'run "ncpatch apply", which brings it up to date',
      cause: error,
    });
  }
}
