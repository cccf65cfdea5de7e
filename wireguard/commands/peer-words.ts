import { showTime } from '../../platform/command-io.ts';
import type { InterfaceFacts } from '../store/interface-facts.ts';
import type { Peer } from '../store/peers.ts';
import { type FixedColumn, FixedTable } from './fixed-table.ts';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `0 B`, `1.5 KiB`, `12 MiB`: three digits at the most. */
export function bytesText(count: number): string {
  let [value, unit] = [count, 0];
  while (value >= 999.5 && unit < UNITS.length - 1) [value, unit] = [value / 1024, unit + 1];
  const digits = unit === 0 || value >= 9.95 ? Math.round(value) : Math.round(value * 10) / 10;
  return `${digits} ${UNITS[unit]}`;
}

/** How long ago that was, in the largest unit that fits: `8 s`, `3 min`, `5 h`, `12 d`; `never` for `null`. */
export function ageText(at: number | null, now: number): string {
  if (at === null) return 'never';
  const seconds = Math.max(0, Math.floor((now - at) / 1000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 90 * 60) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** An address without the length it has in full. */
export function bareAddress(address: string): string {
  return address.replace(/\/(32|128)$/, '');
}

/** Columns of 80, two blanks between each: status, handshake, what was received and sent; name and address share the rest. */
const FIXED = { status: 8, handshake: 9, rx: 8, tx: 8 } as const;
const SHARED = 35;
/** Of `255.255.255.255`; of `fd42:4242:1::ffff:ffff` where there is IPv6 only. */
const ADDRESS = { 4: 15, 6: 22 } as const;

/** The lines of a table that fits 80 columns, the first of them its header. Where several interfaces are shown, names are shorter. */
export class PeerTable {
  readonly #table: FixedTable;
  readonly #isMixed: boolean;
  readonly #now: number;

  constructor(interfaces: readonly Pick<InterfaceFacts, 'name' | 'networks'>[], now: number) {
    this.#isMixed = interfaces.length > 1;
    this.#now = now;
    this.#table = new FixedTable([
      ...whoColumns(interfaces, SHARED),
      { label: 'STATUS', width: FIXED.status },
      { label: 'HANDSHAKE', width: FIXED.handshake },
      { label: 'RX', width: FIXED.rx },
      { label: 'TX', width: FIXED.tx },
    ]);
  }

  header(): string {
    return this.#table.header();
  }

  row({ interface: on, name, addresses, status, lastHandshake, rx, tx }: Peer): string {
    const cells = [name, bareAddress(addresses[0] ?? ''), status, ageText(lastHandshake, this.#now)];
    return this.#table.row([...(this.#isMixed ? [on] : []), ...cells, bytesText(rx), bytesText(tx)]);
  }
}

/** The first columns of a list of peers, `width` together: interface where there are several, name, and address. */
export function whoColumns(
  interfaces: readonly Pick<InterfaceFacts, 'name' | 'networks'>[],
  width: number,
): FixedColumn[] {
  const isMixed = interfaces.length > 1;
  const address = ADDRESS[interfaces.every(({ networks }) => networks.some(isIPv4Network)) ? 4 : 6];
  const first = Math.max(...interfaces.map(({ name }) => name.length), 'IFACE'.length);
  const name = Math.max(8, width - address - (isMixed ? first + 2 : 0));
  return [
    ...(isMixed ? [{ label: 'IFACE', width: first }] : []),
    { label: 'NAME', width: name, isCut: true },
    { label: 'ADDRESS', width: address },
  ];
}

function isIPv4Network(network: string): boolean {
  return !network.includes(':');
}

/** One peer, a line for each fact. */
export function peerText(peer: Peer, now: number): string {
  const heard = peer.lastHandshake === null ? 'never' : `${ageText(peer.lastHandshake, now)} ago`;
  const lines: [string, string][] = [
    ['name', peer.name],
    ['id', peer.id],
    ['interface', peer.interface],
    ['kind', peer.kind + (peer.platform === null ? '' : `, ${peer.platform}`)],
    ['owner', peer.owner ?? '-'],
    ['status', peer.status],
    ['addresses', peer.addresses.map(bareAddress).join(', ')],
    ['networks', peer.extraNetworks.join(', ') || '-'],
    ['public key', peer.publicKey],
    ['preshared', peer.isPreshared ? 'yes' : 'no'],
    ['keepalive', peer.keepalive === 0 ? 'off' : `${peer.keepalive} s`],
    ['endpoint', peer.endpoint ?? '-'],
    ['handshake', heard],
    ['traffic', `${bytesText(peer.rx)} received, ${bytesText(peer.tx)} sent`],
    ['created', showTime(peer.createdAt)],
    ['expires', showTime(peer.expiresAt)],
    ...(Object.keys(peer.metadata).length === 0
      ? []
      : [['metadata', plainAscii(JSON.stringify(peer.metadata))] as [string, string]]),
  ];
  return lines.map(([label, value]) => `${label.padEnd(10)} ${value}\n`).join('');
}

/** Programs may put anything there, and a terminal obeys some of it. */
function plainAscii(json: string): string {
  return json.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** `office (10.0.1.3 on wg0)` */
export function peerWords({ name, addresses, interface: on }: Peer): string {
  return `${name} (${addresses.map(bareAddress).join(', ')} on ${on})`;
}
