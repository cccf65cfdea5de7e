import type { Spoke } from '../spokes/spoke-json.ts';
import type { SpokeCounts } from '../spokes/spoke-list.ts';
import type { InterfaceFacts } from '../store/interface-facts.ts';
import { LIVING_STATUSES } from '../store/peer-counts.ts';
import { FixedTable } from './fixed-table.ts';
import { ageText, bareAddress, peerText, whoColumns } from './peer-words.ts';

/** Columns of 80: name and address share what the others leave. */
const SHARED = 34;
const RUNS = 21;

/** The lines of a list of spokes that fits 80 columns, the first of them its header. */
export class SpokeTable {
  readonly #table: FixedTable;
  readonly #isMixed: boolean;
  readonly #now: number;

  constructor(interfaces: readonly Pick<InterfaceFacts, 'name' | 'networks'>[], now: number) {
    this.#isMixed = interfaces.length > 1;
    this.#now = now;
    this.#table = new FixedTable([
      ...whoColumns(interfaces, SHARED),
      { label: 'STATUS', width: 8 },
      { label: 'HANDSHAKE', width: 9 },
      { label: 'RUNS', width: RUNS, isCut: true },
    ]);
  }

  header(): string {
    return this.#table.header();
  }

  row({ peer, proxmox }: Spoke): string {
    const { interface: on, name, addresses, status, lastHandshake } = peer;
    // of a node it is better known where it belongs
    const cluster = proxmox?.clusterName == null ? null : `Proxmox ${proxmox.clusterName}`;
    const runs = cluster ?? (proxmox === null ? peer.platform : `Proxmox, alone`) ?? '-';
    const cells = [name, bareAddress(addresses[0] ?? ''), status, ageText(lastHandshake, this.#now), runs];
    return this.#table.row([...(this.#isMixed ? [on] : []), ...cells]);
  }
}

/** `3 spokes: 1 pending, 2 active, 0 inactive, 0 disabled` */
export function countWords(counts: SpokeCounts): string {
  const each = LIVING_STATUSES.map((status) => `${counts[status]} ${status}`).join(', ');
  return `${counts.total} ${counts.total === 1 ? 'spoke' : 'spokes'}: ${each}`;
}

/** One spoke, a line for each fact. */
export function spokeText({ peer, proxmox }: Spoke, now: number): string {
  if (proxmox === null) return peerText(peer, now);
  const { nodeName, clusterName, version } = proxmox;
  const where = clusterName === null ? 'alone' : `of the cluster ${clusterName}`;
  return `${peerText(peer, now)}proxmox    node ${nodeName}, ${where}${version === null ? '' : `, version ${version}`}\n`;
}
