import type { LinkMeans } from '../links/link-choice.ts';
import type { LinkRights } from '../links/link-trouble.ts';
import { type Finding, findingsAbout } from './finding.ts';

/** Pure: whether this machine lets a hub make interfaces at all. */
export function machineFindings(means: LinkMeans, { mayMakeLinks, tun }: LinkRights): Finding[] {
  const { ok, unknown, fault } = findingsAbout(null);
  const found: Finding[] = [];
  const why = 'no interface can be made';
  if (!means.programs.includes('ip')) found.push(fault('ip', 'is not installed', why, 'apt-get install iproute2'));
  found.push(
    mayMakeLinks
      ? ok('rights', 'may make interfaces')
      : unknown(
          'rights',
          'who asks may neither make nor look at interfaces',
          'run wghub doctor as the hub runs, or as root',
        ),
  );
  const inUserSpace = means.programs.filter((name) => name.endsWith('-go'));
  if (means.kernel !== true && inUserSpace.length > 0 && tun !== null && mayMakeLinks) {
    const fix = 'modprobe tun; in a container hand it the device: --device /dev/net/tun';
    found.push(fault('tun', `/dev/net/tun cannot be opened (${tun})`, `${inUserSpace.join(' and ')} need it`, fix));
  }
  return found;
}
