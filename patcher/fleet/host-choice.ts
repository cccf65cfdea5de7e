import { LatchkeyError } from '../../platform/errors.ts';
import type { Host } from './inventory.ts';

/** Which hosts of the inventory are meant; nothing is meant by itself. */
export interface HostWish {
  readonly all?: boolean;
  /** Names with commas between them. */
  readonly only?: string;
  /** Labels with commas between them; a host with any of them is meant. */
  readonly label?: string;
}

/** Pure: the hosts that are meant, in the order of the inventory. A name or label that no host has is refused (exit 2). */
export function chooseHosts(hosts: readonly Host[], wish: HostWish): Host[] {
  const given = [wish.all === true ? 'all' : null, wish.only, wish.label].filter((entry) => typeof entry === 'string');
  if (given.length !== 1) {
    throw new LatchkeyError(
      'usage',
      'exactly one of "--all", "--only NAME,…" and "--label LABEL,…" must say which hosts',
      {
        exit: 2,
      },
    );
  }
  if (wish.only !== undefined) return matching(hosts, wish.only, '--only', (host) => [host.name]);
  if (wish.label !== undefined) return matching(hosts, wish.label, '--label', (host) => host.labels);
  return [...hosts];
}

function matching(
  hosts: readonly Host[],
  list: string,
  option: string,
  wordsOf: (host: Host) => readonly string[],
): Host[] {
  const wanted = list.split(',').map((word) => word.trim());
  for (const word of wanted) {
    if (hosts.some((host) => wordsOf(host).includes(word))) continue;
    const known = [...new Set(hosts.flatMap(wordsOf))];
    throw new LatchkeyError('host_unknown', `"${option}" names what no host of the inventory has`, {
      exit: 2,
      field: option,
      hint: known.length === 0 ? 'no host has a label' : `there are: ${known.join(', ')}`,
    });
  }
  return hosts.filter((host) => wordsOf(host).some((word) => wanted.includes(word)));
}
