import { type Finding, findingsAbout, someOf } from './finding.ts';

/** The peers of one interface as the store has them. */
export interface PeerLook {
  readonly interface: string;
  readonly directory: string;
  readonly isHubRunning: boolean;
  /** Addresses of the pool, and how many of them nobody has. */
  readonly poolSize: number;
  readonly poolFree: number;
  /** Names of peers that were made a day ago or more and never shook hands. */
  readonly neverHeard: readonly string[];
  /** Names of peers whose time is over and who are still there. */
  readonly expired: readonly string[];
}

/** A pool that is fuller has to be seen to. */
const FULL_SHARE = 0.9;

/** Pure: what of an interface's peers has to be seen to. */
export function peerFindings(look: PeerLook): Finding[] {
  const about = findingsAbout(look.interface);
  const { poolSize, poolFree, neverHeard, expired, directory, isHubRunning } = look;
  const used = poolSize - poolFree;
  const share = poolSize === 0 ? 1 : used / poolSize;
  const filled = `${used} of ${poolSize} addresses taken`;
  const more = `wghub interface add, or wghub peer list --data ${directory} and remove who is gone`;
  const found: Finding[] = [
    poolFree === 0
      ? about.fault('pool', filled, 'no peer can be made', more)
      : share > FULL_SHARE
        ? about.warn('pool', filled, 'soon no peer can be made', more)
        : about.ok('pool', filled),
  ];
  if (neverHeard.length > 0) {
    const words = `${neverHeard.length} made a day ago or more never shook hands: ${someOf(neverHeard)}`;
    const why = 'a configuration did not reach its device, or the port is closed on the way';
    found.push(
      about.warn('silent peers', words, why, `nft list ruleset; wghub peer remove --data ${directory} who needs none`),
    );
  }
  if (expired.length > 0) {
    const fix = isHubRunning
      ? 'see the log of the hub: it takes them off each minute'
      : `wghub start --data ${directory}`;
    const words = `${expired.length} whose time is over: ${someOf(expired)}`;
    found.push(about.warn('expired peers', words, 'they still have access until a hub runs', fix));
  }
  return found;
}
