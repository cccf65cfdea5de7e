import { readFileSync } from 'node:fs';
import { writeFileAtomic } from '../../platform/files.ts';
import type { Listener } from '../../platform/listening/listen.ts';
import { raiseAlert } from '../alerts/raise.ts';
import type { Custody } from '../custody.ts';
import { authorityFile } from '../data-directory.ts';
import { serverIdentity } from '../server-secrets.ts';
import { certificateOutlook, fewestDays } from './outlook.ts';
import { liveCertificates } from './records.ts';
import { areListsStale, lastListChange, readListSources, writeRevocationLists } from './revocations.ts';

/** How soon what a command did beside the server is served, ms. */
const lookEvery = 5_000;
const hour = 3_600_000;

export interface KeeperDeps {
  readonly custody: Custody;
  readonly hosts: readonly string[];
  /** Other servers on the same database show the same certificate. */
  readonly shared?: boolean;
  /** The data directory. */
  readonly directory: string;
  /** `null` where no TLS is spoken. */
  readonly listener: Pick<Listener, 'setIdentity'> | null;
}

/**
 * What a running server does about certificates by itself: it serves with the newest certificate of its own, and renews
 * that in time; it keeps `ca.pem` and the revocation lists as the database has them; it tells of what ends soon.
 */
export class CertificateKeeper {
  readonly #deps: KeeperDeps;
  #served: string | null = null;
  #lookedDeeplyAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> = Promise.resolve();

  constructor(deps: KeeperDeps) {
    this.#deps = deps;
  }

  /** Looks at once and then every few seconds; a failure is logged and tried again. */
  start(): void {
    this.#timer = setInterval(() => this.#begin(), lookEvery);
    this.#timer.unref();
    this.#begin();
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#looking;
  }

  /** One look; throws what goes wrong. */
  async look(): Promise<void> {
    const { custody, directory } = this.#deps;
    const now = custody.clock.now();
    const deep = Math.abs(now - this.#lookedDeeplyAt) >= hour;
    await custody.authorities.refresh();
    await this.#serveNewest(deep);
    keepFile(authorityFile(directory), custody.authorities.bundle);
    await this.#keepLists();
    if (!deep) return;
    await this.#warn(now);
    this.#lookedDeeplyAt = now;
  }

  #begin(): void {
    this.#looking = this.#looking
      .then(() => this.look())
      .catch((cause: unknown) => {
        const { name, message } = cause as Error;
        this.#deps.custody.log.error({ name, message }, 'certificates could not be looked after');
      });
  }

  async #serveNewest(deep: boolean): Promise<void> {
    const { custody, hosts, listener, shared } = this.#deps;
    const vault = custody.vault();
    if (listener === null || vault === null) return;
    const newest = await custody.store.read(async (tx) => (await liveCertificates(tx, 'server'))[0]?.pem ?? '');
    const { bundle } = custody.authorities;
    if (!deep && this.#served === newest + bundle) return;
    const identity = await serverIdentity(custody.store, vault, hosts, custody.clock.now(), custody.random, shared);
    if (this.#served === identity.certificate + bundle) return;
    listener.setIdentity(identity, bundle);
    this.#served = identity.certificate + bundle;
  }

  async #keepLists(): Promise<void> {
    const { custody, directory } = this.#deps;
    const vault = custody.vault();
    const now = custody.clock.now();
    const changedAt = await custody.store.read(lastListChange);
    if (vault === null || !areListsStale(directory, changedAt, now)) return;
    await writeRevocationLists(directory, await custody.store.read((tx) => readListSources(tx, vault, now)), now);
  }

  async #warn(now: number): Promise<void> {
    const { custody } = this.#deps;
    const outlook = await custody.store.read((tx) => certificateOutlook(tx, now));
    custody.metrics.certificateDays(fewestDays(outlook));
    const ending = outlook.filter(({ verdict, endsAt }) => verdict !== 'ok' && endsAt !== null);
    if (ending.length === 0) return;
    await custody.store.transaction(async (tx) => {
      for (const { purpose, client, endsAt } of ending) {
        if (purpose === 'admin' || endsAt === null) continue;
        await raiseAlert(tx, { event: 'certificate_expiring', client, purpose, endsAt }, now);
      }
    });
  }
}

/** Writes a public file anew when it holds something else. */
function keepFile(path: string, text: string): void {
  let present: string | null = null;
  try {
    present = readFileSync(path, 'utf8');
  } catch {
    // written below
  }
  if (present !== text) writeFileAtomic(path, text, { mode: 0o644 });
}
