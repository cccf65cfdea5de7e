import { certificateEnd, type Identity } from '../../platform/listening/identity.ts';
import type { Listener } from '../../platform/listening/listen.ts';
import type { Log } from '../../platform/log.ts';
import { certificateFacts } from './certificate-facts.ts';
import type { CertificateSource } from './certificate-source.ts';

/** How soon a certificate that was replaced is served, ms. */
const lookEvery = 5_000;
const day = 86_400_000;
/** With less left something should have replaced it. */
const warnBelow = 14 * day;

export interface TlsKeeperDeps {
  readonly source: CertificateSource;
  readonly log: Log;
  readonly clock: { now(): number };
}

/**
 * Serves new connections with the newest certificate there is, without a restart; those that are open stay as they are. What cannot
 * be served with is told once, and the one before goes on.
 */
export class TlsKeeper {
  readonly #deps: TlsKeeperDeps;
  #identity: Identity;
  #mark: string;
  #listener: Pick<Listener, 'setIdentity'> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> = Promise.resolve();
  #warnedAt = Number.NEGATIVE_INFINITY;

  private constructor(deps: TlsKeeperDeps, identity: Identity, mark: string) {
    this.#deps = deps;
    this.#identity = identity;
    this.#mark = mark;
    this.#warn();
  }

  /** The first time it has to work: throws what the source throws. */
  static async open(deps: TlsKeeperDeps): Promise<TlsKeeper> {
    const mark = await deps.source.mark();
    return new TlsKeeper(deps, await deps.source.read(), mark);
  }

  get identity(): Identity {
    return this.#identity;
  }

  /** What clients have to know the hub by: `tlsPin`, for the certificate that is served. */
  get pin(): string | null {
    return this.#deps.source.isOwn ? certificateFacts(this.#identity.certificate).pin : null;
  }

  /** Looks every few seconds from now on. */
  serve(listener: Pick<Listener, 'setIdentity'>): void {
    this.#listener = listener;
    this.#timer = setInterval(() => void this.look(), lookEvery);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#listener = null;
    await this.#looking;
  }

  /** One look; the timer's, or a test's. Looks follow each other. */
  look(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#look());
    return this.#looking;
  }

  async #look(): Promise<void> {
    const { source, log } = this.#deps;
    const mark = await source.mark().catch(() => 'not to be seen');
    if (mark !== this.#mark) {
      this.#mark = mark;
      try {
        this.#take(await source.read());
      } catch (error) {
        // "code" is a field that the log hides: elsewhere it is that of an authenticator
        const { code: problem, message: reason } = error as { code?: string; message?: string };
        log.error({ problem, reason }, 'certificate was not taken');
      }
    }
    this.#warn();
  }

  #take(next: Identity): void {
    const isSame = next.certificate === this.#identity.certificate && next.privateKey.equals(this.#identity.privateKey);
    if (isSame) return;
    this.#listener?.setIdentity(next, null);
    this.#identity = next;
    const { hosts, until, sha256 } = certificateFacts(next.certificate);
    this.#deps.log.info({ hosts, until: new Date(until).toISOString(), sha256 }, 'certificate was replaced');
  }

  #warn(): void {
    const { log, clock } = this.#deps;
    const now = clock.now();
    const until = certificateEnd(this.#identity.certificate);
    if (until - now > warnBelow || now - this.#warnedAt < day) return;
    this.#warnedAt = now;
    log.warn({ until: new Date(until).toISOString() }, 'certificate ends soon');
  }
}
