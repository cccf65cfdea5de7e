import { LatchkeyError } from '../../platform/errors.ts';
import { type Driver, type LiveInterface, type LivePeer, sortedNetworks, type WantedPeer } from './driver.ts';

interface Live {
  privateKey: string | null;
  listenPort: number;
  fwMark: number;
  readonly peers: Map<string, LivePeer>;
}

/** An interface that is only remembered: for tests, and where no tunnel can be made. */
export class MemoryDriver implements Driver {
  readonly name = 'memory';
  #live: Live | null = {
    privateKey: null,
    listenPort: 0,
    fwMark: 0,
    peers: new Map(),
  };
  /** How many changes it was given. */
  changes = 0;

  async read(): Promise<LiveInterface> {
    return { ...this.#there(), peers: new Map(this.#there().peers) };
  }

  async apply(change: Parameters<Driver['apply']>[0]): Promise<void> {
    const { peers } = this.#there();
    this.changes += 1;
    for (const key of change.remove) peers.delete(key);
    for (const peer of change.set) put(peers, peer);
  }

  async replace(...[device, peers]: Parameters<Driver['replace']>): Promise<void> {
    const live = this.#there();
    this.changes += 1;
    Object.assign(live, { privateKey: device.privateKey, listenPort: device.listenPort, fwMark: device.fwMark });
    live.peers.clear();
    for (const peer of peers) put(live.peers, peer);
  }

  /** As when somebody deletes the interface. */
  destroy(): void {
    this.#live = null;
  }

  /** As when it is made again, empty. */
  create(): void {
    this.#live = { privateKey: null, listenPort: 0, fwMark: 0, peers: new Map() };
  }

  /** As when packets of a peer arrive. */
  heard(publicKey: string, seen: Pick<LivePeer, 'endpoint' | 'lastHandshake' | 'rx' | 'tx'>): void {
    const peer = this.#there().peers.get(publicKey);
    if (peer !== undefined) this.#there().peers.set(publicKey, { ...peer, ...seen });
  }

  #there(): Live {
    if (this.#live === null) throw new LatchkeyError('interface_down', 'the interface is not there', { status: 503 });
    return this.#live;
  }
}

/** WireGuard gives a network to one peer at a time: the last one it was set for. */
function put(peers: Map<string, LivePeer>, wanted: WantedPeer): void {
  const before = peers.get(wanted.publicKey);
  const allowedIPs = sortedNetworks(wanted.allowedIPs);
  for (const [key, other] of peers) {
    if (key === wanted.publicKey || !other.allowedIPs.some((network) => allowedIPs.includes(network))) continue;
    peers.set(key, { ...other, allowedIPs: other.allowedIPs.filter((network) => !allowedIPs.includes(network)) });
  }
  peers.set(wanted.publicKey, {
    ...(before ?? { lastHandshake: null, rx: 0, tx: 0 }),
    ...wanted,
    allowedIPs,
    endpoint: wanted.endpoint ?? before?.endpoint ?? null,
  });
}
