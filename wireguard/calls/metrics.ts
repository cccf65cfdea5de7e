import { readFileSync } from 'node:fs';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Comparison } from '../reconcile/reconciler.ts';
import { PEER_KINDS, PLATFORMS, type Platform } from '../store/schema.ts';
import { HubScrape, type ScrapedHub } from './hub-scrape.ts';
import { registerProcessMetrics } from './process-metrics.ts';

/** Methods that are told by name; others are answered 405 and could be dozens. */
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS'];

/**
 * What monitoring may know of a hub. Labels are bounded: routes, not paths; interfaces, and as many peers as the config says. What is
 * counted here begins at zero with each start, as Prometheus expects of counters; what is of the store does not.
 */
export class HubMetrics {
  readonly registry: Registry = new Registry();
  readonly #requests: Histogram<'method' | 'route' | 'status'>;
  readonly #comparisons: Histogram<'interface' | 'outcome'>;
  readonly #foundForeign: Counter<'interface'>;
  readonly #created: Counter<'kind'>;
  readonly #tokens: Counter;
  readonly #registered: Counter<'platform'>;
  #hub: HubScrape | null = null;
  #stop: () => void = () => undefined;

  constructor() {
    const registers = [this.registry];
    new Gauge({
      name: 'wireguard_build_info',
      help: 'Which version of the hub runs, by which Node.js.',
      labelNames: ['version', 'node'],
      registers,
    }).set({ version, node: process.version }, 1);
    this.#requests = new Histogram({
      name: 'wireguard_api_request_duration_seconds',
      help: 'Time from a request to its answer, by method, route and status.',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
      registers,
    });
    this.#comparisons = new Histogram({
      name: 'wireguard_reconcile_duration_seconds',
      help: 'Time of a whole comparison of interface and store, by how it ended.',
      labelNames: ['interface', 'outcome'],
      buckets: [0.001, 0.01, 0.1, 0.5, 1, 3, 10],
      registers,
    });
    this.#foundForeign = new Counter({
      name: 'wireguard_foreign_peers_found_total',
      help: 'Peers that came to the interface without the hub, since the start.',
      labelNames: ['interface'],
      registers,
    });
    this.#created = new Counter({
      name: 'wireguard_peers_created_total',
      help: 'Peers made by calls since the start, by kind; those of commands are not counted.',
      labelNames: ['kind'],
      registers,
    });
    for (const kind of PEER_KINDS) this.#created.inc({ kind }, 0);
    this.#tokens = new Counter({
      name: 'wireguard_tokens_generated_total',
      help: 'Install tokens made by calls since the start; those of commands are not counted.',
      registers,
    });
    this.#registered = new Counter({
      name: 'wireguard_spokes_registered_total',
      help: 'Spokes that registered with a token since the start, by what their script was for.',
      labelNames: ['platform'],
      registers,
    });
    for (const platform of PLATFORMS) this.#registered.inc({ platform }, 0);
  }

  answered({
    method,
    route,
    status,
    millis,
  }: {
    method: string;
    route: string | null;
    status: number;
    millis: number;
  }): void {
    this.#requests.observe(
      {
        method: route !== null && status !== 405 && METHODS.includes(method) ? method : 'other',
        route: route ?? 'none',
        status: String(status),
      },
      millis / 1000,
    );
  }

  compared(name: string, { outcome }: Comparison, millis: number): void {
    this.#comparisons.observe({ interface: name, outcome }, millis / 1000);
    this.#foundForeign.inc({ interface: name }, 0); // a counter that is there with its first find was never seen to grow
  }

  foundForeign(name: string, count: number): void {
    this.#foundForeign.inc({ interface: name }, count);
  }

  created(kind: string): void {
    this.#created.inc({ kind });
  }

  tokenMade(): void {
    this.#tokens.inc();
  }

  spokeRegistered(platform: Platform): void {
    this.#registered.inc({ platform });
  }

  /** From now on its interfaces and its store are told of too, and the process. */
  show(hub: ScrapedHub): void {
    this.#hub = new HubScrape(hub);
    this.#stop = registerProcessMetrics(this.registry);
  }

  /** Ends what it does by itself. */
  stop(): void {
    this.#stop();
  }

  /** The Prometheus text. */
  async text(): Promise<string> {
    return (await this.registry.metrics()) + ((await this.#hub?.text()) ?? '');
  }
}

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
