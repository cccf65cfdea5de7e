import { setTimeout as delay } from 'node:timers/promises';
import { AlertDelivery, failureText, type OutboxChannel } from '../../platform/alert-delivery.ts';
import { wakeAfterCommit } from '../../platform/alert-outbox.ts';
import { channelHealth } from '../../platform/alert-report.ts';
import type { Clock, RandomBytes } from '../../platform/clock.ts';
import type { Log } from '../../platform/log.ts';
import type { Store } from '../../platform/store.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import type { Database } from '../schema.ts';
import { checkAudit } from './audit-watch.ts';
import { listChannels, openChannel, type StoredChannel } from './channel-book.ts';
import { DegradedWatch } from './degraded-watch.ts';
import { raiseAlert } from './raise.ts';
import { recordAlive, recordStart, recordStop } from './server-run.ts';

const minute = 60_000;
/** The first look at the whole audit log waits until a restart is over. */
const auditFirst = 10 * minute;
const auditEvery = 24 * 60 * minute;

export interface ServerAlertsDeps {
  /** The store as requests see it. */
  readonly store: Store<Database>;
  readonly vault: () => Vault | null;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly log: Log;
  /** The server's URL. */
  readonly server: string;
  /** The public half of the key that signs the audit log, PEM. */
  readonly auditKey: string;
  /** Whether the file KILL is there. */
  readonly killFile: () => boolean;
}

/** How many alerts did not reach their channel. */
export interface AlertBacklog {
  readonly waiting: number;
  readonly givenUp: number;
}

/** The alerts of a running server: brings out what is queued, and looks for what nothing else would notice. */
export class ServerAlerts {
  /** To be used in place of the one given: raised alerts go out at once, and a failing disk is told of. */
  readonly store: Store<Database>;
  readonly #deps: ServerAlertsDeps;
  readonly #delivery: AlertDelivery;
  readonly #degraded: DegradedWatch;
  readonly #stopped = new AbortController();
  readonly #work: Promise<void>[] = [];
  #timers: NodeJS.Timeout[] = [];
  #channels: readonly StoredChannel[] = [];
  #killFileSeen = false;

  constructor(deps: ServerAlertsDeps) {
    this.#deps = deps;
    const { clock, random, log } = deps;
    this.#degraded = new DegradedWatch({
      store: deps.store,
      clock,
      log,
      channels: () => this.#opened(),
      sleep: (ms, signal) => delay(ms, undefined, { signal, ref: false }).catch(() => undefined),
    });
    this.store = wakeAfterCommit(this.#degraded.watched(deps.store), () => this.#delivery.wake());
    const channels = async () => {
      await this.#readChannels();
      return this.#opened();
    };
    this.#delivery = new AlertDelivery({ store: this.store, clock, random, log, channels });
  }

  async start(): Promise<void> {
    await this.#attempt('start was not recorded', async () => {
      await this.#readChannels();
      await this.store.transaction((tx) => recordStart(tx, this.#deps.server, this.#deps.clock.now()));
    });
    this.#delivery.start();
    await this.#lookAtKillFile();
    const daily = (): void => this.#run('audit log was not checked', () => this.#checkAudit());
    this.#timers = [
      setInterval(() => this.#run('alerts were not looked after', () => this.#eachMinute()), minute),
      setInterval(daily, auditEvery),
      setTimeout(daily, auditFirst),
    ];
    for (const timer of this.#timers) timer.unref();
  }

  /** What waits and what was given up, on all channels. */
  async backlog(): Promise<AlertBacklog> {
    const health = await this.#deps.store.read(channelHealth);
    const sum = (of: (one: (typeof health)[number]) => number): number => health.reduce((all, one) => all + of(one), 0);
    return { waiting: sum((one) => one.waiting), givenUp: sum((one) => one.givenUp) };
  }

  /** Before the store is closed. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#stopped.abort();
    await Promise.all(this.#work);
    await this.#delivery.stop();
    await this.#degraded.stop();
    const { server, clock } = this.#deps;
    await this.#attempt('stop was not recorded', () =>
      this.#deps.store.transaction((tx) => recordStop(tx, server, clock.now())),
    );
  }

  async #eachMinute(): Promise<void> {
    const { server, clock } = this.#deps;
    await this.#readChannels();
    await this.store.transaction((tx) => recordAlive(tx, server, clock.now()));
    await this.#lookAtKillFile();
  }

  /** A file has no transaction to be noticed in. */
  async #lookAtKillFile(): Promise<void> {
    const there = this.#deps.killFile();
    if (there === this.#killFileSeen) return;
    const now = this.#deps.clock.now();
    await this.#attempt('alert was not queued', async () => {
      await this.store.transaction((tx) =>
        there
          ? raiseAlert(tx, { event: 'killed', client: null, by: 'file', reason: null }, now)
          : raiseAlert(tx, { event: 'revived', client: null, by: 'file' }, now),
      );
      this.#killFileSeen = there;
    });
  }

  async #checkAudit(): Promise<void> {
    const { auditKey, clock } = this.#deps;
    await checkAudit(this.store, auditKey, () => clock.now(), this.#stopped.signal);
  }

  async #readChannels(): Promise<void> {
    this.#channels = await this.#deps.store.read(listChannels);
  }

  #opened(): Map<string, OutboxChannel> {
    const { vault, server } = this.#deps;
    return new Map(this.#channels.map((channel) => [channel.name, openChannel(channel, vault, server)]));
  }

  #run(what: string, work: () => Promise<unknown>): void {
    if (this.#stopped.signal.aborted) return;
    const running = this.#attempt(what, work).finally(() => {
      this.#work.splice(this.#work.indexOf(running), 1);
    });
    this.#work.push(running);
  }

  async #attempt(what: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (cause) {
      this.#deps.log.error({ reason: failureText(cause) }, what);
    }
  }
}
