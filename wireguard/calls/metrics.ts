import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Comparison } from '../reconcile/reconciler.ts';
import { LIVING_STATUSES, type PeerCounts } from '../store/peer-counts.ts';
import { PLATFORMS, type Platform } from '../store/schema.ts';

/** What monitoring may know of a hub. Labels are bounded: routes, not paths; interfaces, not peers. */
export class HubMetrics {
  readonly registry: Registry = new Registry();
  readonly #requests: Histogram<'method' | 'route' | 'status'>;
  readonly #comparisons: Histogram<'interface' | 'outcome'>;
  readonly #foreign: Gauge<'interface'>;
  readonly #foundForeign: Counter<'interface'>;
  readonly #created: Counter<'kind'>;
  readonly #tokens: Counter;
  readonly #registered: Counter<'platform'>;

  constructor() {
    const registers = [this.registry];
    this.#requests = new Histogram({
      name: 'wireguard_api_request_duration_seconds',
      help: 'Time from a request to its answer, by method, route and status.',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2],
      registers,
    });
    this.#comparisons = new Histogram({
      name: 'wireguard_reconcile_duration_seconds',
      help: 'Time of a whole comparison of interface and store, by how it ended.',
      labelNames: ['interface', 'outcome'],
      buckets: [0.001, 0.01, 0.1, 0.5, 1, 3, 10],
      registers,
    });
    this.#foreign = new Gauge({
      name: 'wireguard_foreign_peers',
      help: 'Peers on the interface that nobody asked for, at the last comparison.',
      labelNames: ['interface'],
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
      help: 'Peers made since the start, by kind.',
      labelNames: ['kind'],
      registers,
    });
    this.#tokens = new Counter({
      name: 'wireguard_tokens_generated_total',
      help: 'Install tokens made since the start.',
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
      { method: route === null ? 'other' : method, route: route ?? 'none', status: String(status) },
      millis / 1000,
    );
  }

  compared(name: string, { outcome, foreign }: Comparison, millis: number): void {
    this.#comparisons.observe({ interface: name, outcome }, millis / 1000);
    this.#foreign.set({ interface: name }, foreign.length);
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

  /** Peers by interface and status, counted when somebody reads the metrics and not when something changes. */
  countPeersBy(count: () => Promise<ReadonlyMap<string, PeerCounts>>): void {
    new Gauge({
      name: 'wireguard_peers',
      help: 'Peers that are not deleted, by interface and status.',
      labelNames: ['interface', 'status'],
      registers: [this.registry],
      async collect() {
        const counts = await count();
        this.reset(); // an interface may be gone
        for (const [name, byStatus] of counts) {
          for (const status of LIVING_STATUSES) this.set({ interface: name, status }, byStatus[status]);
        }
      },
    });
  }

  /** The Prometheus text. */
  text(): Promise<string> {
    return this.registry.metrics();
  }
}
