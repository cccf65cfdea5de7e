import { CONFINED } from '../../platform/confinement.ts';
import { scriptText } from '../../platform/script-text.ts';
import { formatEndpoint } from '../config/endpoint.ts';
import { shQuote } from '../installers/quote.ts';
import { SHARED_PARTS } from '../installers/render.ts';

export type PairPlatform = 'linux' | 'macos';

/** What one end of a pair of machines is told. Nothing in it is secret: each end makes its own key, and keeps it. */
export interface PairValues {
  /** What the interface is called on both ends. */
  readonly interface: string;
  /** IPv4, `10.71.203.0/30`. What was made for one network is not touched by the script of another. */
  readonly network: string;
  readonly ownAddress: string;
  readonly otherAddress: string;
  /** UDP port that this end is dialled at; `null` where it dials. */
  readonly listen: number | null;
  /** Where the other end is dialled; `null` where this one is. */
  readonly endpoint: { readonly host: string; readonly port: number } | null;
  /** TCP port that the other end asks at this one, which a firewall here has to let in; `null` where it asks nothing. */
  readonly serves: number | null;
  /** Its address may change without a word to anybody, as at home: it sends something all the time, and so the other end learns of it. */
  readonly mayMove?: boolean;
}

const own = new URL('templates/', import.meta.url);
const templates = new Map<PairPlatform, string>();

/**
 * The script for one end of a pair, for the stdin of a POSIX shell as root: `sh -s -- MODE`. Modes are `look` (changes nothing), `key`, `up
 * OTHER_KEY`, `wait SECONDS`, `settle`, `undo` (what was not settled) and `down`. Its stdout is for programs, see pair-answers.ts. Same bytes
 * for the same values.
 */
export function pairScript(platform: PairPlatform, values: PairValues): string {
  const template = templates.get(platform) ?? filled(platform);
  templates.set(platform, template);
  const { network, ownAddress, otherAddress, listen, endpoint, serves } = values;
  const assignments = [
    ['TUNNEL', values.interface],
    ['NETWORK', network],
    ['ADDRESS', `${ownAddress}/${network.split('/')[1]}`],
    ['OTHER', otherAddress],
    ['LISTEN', String(listen ?? '')],
    ['ENDPOINT', endpoint === null ? '' : formatEndpoint(endpoint)],
    ['SERVES', String(serves ?? '')],
    ['KEEPALIVE', endpoint === null && values.mayMove !== true ? '' : '25'],
  ] as const;
  const lines = assignments.map(([name, value]) => `${name}=${shQuote(value)}`);
  return template.replace(/^# @@values@@$/m, () => lines.join('\n'));
}

/** A template with all its parts, those of the spokes' installers among them. */
function filled(name: string): string {
  return scriptText(new URL(`${name}.sh`, own), {
    folders: { part: SHARED_PARTS, own },
    lines: { confined: CONFINED },
  });
}
