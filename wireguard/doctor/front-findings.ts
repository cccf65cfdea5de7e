import { showTime } from '../../platform/command-io.ts';
import { type Finding, findingsAbout } from './finding.ts';

/** How a hub is reached, as far as its own machine can tell. */
export interface FrontLook {
  readonly now: number;
  readonly directory: string;
  readonly publicUrl: string | null;
  readonly proxies: readonly string[];
  /** `null` where the hub speaks no TLS by itself. */
  readonly certificate:
    | {
        readonly source: 'own' | 'files';
        readonly hosts: readonly string[];
        readonly until: number;
        /** Whether a browser takes it for the host of the public URL; `true` without one. */
        readonly isForUrl: boolean;
      }
    | { readonly source: 'own' | 'files'; readonly message: string; readonly hint: string }
    | null;
}

const DAY = 86_400_000;
const FEWEST_DAYS = 14;

const { ok, warn, fault } = findingsAbout(null);

/** Pure: what of a hub's door to the internet has to be seen to. */
export function frontFindings(look: FrontLook): Finding[] {
  return [...certificateFindings(look), ...urlFindings(look)];
}

function certificateFindings({ certificate, publicUrl, now, directory }: FrontLook): Finding[] {
  if (certificate === null) return [];
  const check = 'certificate';
  const { source } = certificate;
  if ('message' in certificate) {
    return [fault(check, certificate.message, 'the hub does not start without one', certificate.hint)];
  }
  const { hosts, until, isForUrl } = certificate;
  const fix = source === 'own' ? `wghub tls make --data ${directory}` : 'see why nobody renewed it: certbot renew';
  const end = showTime(until);
  if (until <= now) return [fault(check, `ended at ${end}`, 'nobody who checks it comes in', fix)];
  if (until - now < FEWEST_DAYS * DAY) {
    return [warn(check, `ends at ${end}`, 'nobody who checks it comes in from then on', fix)];
  }
  if (source === 'files' && !isForUrl) {
    const why = `"publicUrl" is ${publicUrl}, and installers check the name`;
    return [fault(check, `is for ${hosts.join(', ')}`, why, 'get one for the name that spokes call the hub by')];
  }
  return [ok(check, `${source === 'own' ? 'the hub’s own' : 'of another authority'}, until ${end}`)];
}

function urlFindings({ publicUrl, certificate, proxies }: FrontLook): Finding[] {
  if (publicUrl === null) return [];
  const { protocol, hostname } = new URL(publicUrl);
  const isHere = hostname === 'localhost' || hostname === '[::1]' || /^127\./.test(hostname);
  if (protocol === 'http:' && !isHere) {
    const why = 'whoever is on the way reads the tokens, and changes what spokes run as root';
    return [fault('public URL', 'is without TLS', why, 'wghub tls make, or a web server with TLS before the hub')];
  }
  if (protocol === 'https:' && certificate === null && proxies.length === 0) {
    const why =
      'a web server stands before the hub, and all of its clients count as one: they share limits and metrics';
    return [warn('proxies', 'none is believed', why, '"proxies": ["127.0.0.1/32"] in config.json, and a restart')];
  }
  return [ok('public URL', publicUrl)];
}
