import type { LiveInterface } from '../drivers/driver.ts';
import { trafficAfter } from '../peers/traffic.ts';

/** Bytes that all peers of an interface have moved while somebody looked on. They only grow, whoever comes and goes. */
export class InterfaceTraffic {
  #before: LiveInterface | null = null;
  #rx = 0;
  #tx = 0;

  get rx(): number {
    return this.#rx;
  }

  get tx(): number {
    return this.#tx;
  }

  /** Takes up what another look showed; what the first one shows was moved before, and does not count. */
  *steps(live: LiveInterface | null): Generator<undefined, void> {
    const before = this.#before;
    if (live === null || live === before) return;
    this.#before = live;
    if (before === null) return;
    let known = { rx: this.#rx, tx: this.#tx, seenRx: 0, seenTx: 0 };
    for (const [key, peer] of live.peers) {
      const seen = before.peers.get(key);
      known = trafficAfter({ ...known, seenRx: seen?.rx ?? 0, seenTx: seen?.tx ?? 0 }, peer);
      yield;
    }
    [this.#rx, this.#tx] = [known.rx, known.tx];
  }
}
