export interface RouteParts {
  /** Networks behind peers that belong on the interface, as the store has them now. */
  readonly networks: () => Promise<readonly string[]>;
  /** Makes the machine's routes those. */
  readonly settle: (networks: readonly string[]) => Promise<void>;
  /** Told when that failed; the interface works all the same, and the next comparison tries again. */
  readonly onTrouble: (error: unknown) => void;
}

/** Has the machine send to an interface what is for networks behind its peers: the tunnel alone would never see such packets. */
export class RouteKeeper {
  readonly #parts: RouteParts;
  /** What was settled last; `null` before, and when it is not sure. */
  #settled: string | null = null;

  constructor(parts: RouteParts) {
    this.#parts = parts;
  }

  /** After a change of peers: looks whether other networks are behind them now, which costs one query, and acts only then. */
  async follow(): Promise<void> {
    const { networks, settle, onTrouble } = this.#parts;
    try {
      const wanted = await networks();
      if (wanted.join() === this.#settled) return;
      this.#settled = null;
      await settle(wanted);
      this.#settled = wanted.join();
    } catch (error) {
      onTrouble(error);
    }
  }

  /** Whatever was settled before: somebody may have taken routes away, or the interface is new. */
  async mend(): Promise<void> {
    this.#settled = null;
    await this.follow();
  }
}
