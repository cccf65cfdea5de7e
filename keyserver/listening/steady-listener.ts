import type { Identity } from '../../platform/listening/identity.ts';
import type { Listener } from '../../platform/listening/listen.ts';
import type { Log } from '../../platform/log.ts';
import type { AddressPlace } from '../../wireguard/interface-address.ts';

export interface SteadyDeps {
  /** Listens at the address; throws when that cannot be. */
  readonly open: (identity: Identity | null, authorities: string | null) => Promise<Listener>;
  /** Where the address stands now. */
  readonly place: () => AddressPlace;
  readonly log: Log;
}

/** How often the address is looked for, in milliseconds; no call waits for it. */
const lookEvery = 2_000;

/**
 * A listener for as long as its address is on loopback or in a tunnel. When the interface goes away it closes, and listens
 * again when it is back; when the address turns up on an interface that is no tunnel, nothing is served there.
 */
export class SteadyListener implements Listener {
  readonly port: number;
  readonly #deps: SteadyDeps;
  readonly #timer: NodeJS.Timeout;
  #current: Listener | null;
  #identity: Identity | null;
  #authorities: string | null;
  #looking: Promise<void> = Promise.resolve();
  #stopped = false;
  /** What was logged last, so that a lasting state is told once. */
  #told = '';

  private constructor(deps: SteadyDeps, first: Listener, identity: Identity | null, authorities: string | null) {
    this.#deps = deps;
    this.#current = first;
    this.port = first.port;
    this.#identity = identity;
    this.#authorities = authorities;
    // not unref()ed: while nothing listens, this alone keeps the process alive
    this.#timer = setInterval(() => void this.look(), lookEvery);
  }

  /** The first time it has to work: throws what `open` throws. */
  static async open(deps: SteadyDeps, identity: Identity | null, authorities: string | null): Promise<SteadyListener> {
    return new SteadyListener(deps, await deps.open(identity, authorities), identity, authorities);
  }

  get isListening(): boolean {
    return this.#current !== null;
  }

  setIdentity(identity: Identity, authorities: string | null): void {
    this.#identity = identity;
    this.#authorities = authorities;
    this.#current?.setIdentity(identity, authorities);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#looking;
    await this.#current?.stop();
    this.#current = null;
  }

  /** One look at the address; the timer's, or a test's. Looks follow each other. */
  look(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#look());
    return this.#looking;
  }

  async #look(): Promise<void> {
    if (this.#stopped) return;
    const place = this.#deps.place();
    const isGood = place.kind === 'loopback' || place.kind === 'wireguard';
    if (!isGood && this.#current !== null) {
      const closing = this.#current.stop(); // takes nothing new from here on
      this.#current = null;
      this.#tell(`stopped listening: ${wordsOf(place)}`);
      await closing;
    } else if (isGood && this.#current === null) {
      await this.#again();
    } else if (!isGood) {
      this.#tell(`not listening: ${wordsOf(place)}`);
    }
  }

  async #again(): Promise<void> {
    try {
      this.#current = await this.#deps.open(this.#identity, this.#authorities);
      this.#tell('listening again');
    } catch (cause) {
      this.#tell(`not listening: ${(cause as Error).message}`);
    }
  }

  #tell(words: string): void {
    if (words.slice(words.indexOf(':')) !== this.#told.slice(this.#told.indexOf(':'))) this.#deps.log.warn(words);
    this.#told = words;
  }
}

function wordsOf(place: AddressPlace): string {
  if (place.kind === 'other') return `its address is on ${place.interface}, which is not a WireGuard interface`;
  return 'its address is on no interface';
}
