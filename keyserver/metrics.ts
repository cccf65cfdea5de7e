import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { CallKind } from './gate.ts';

/** What monitoring may know: how often and how fast, by call, gate and code; never whose. */
export class Metrics {
  readonly registry: Registry = new Registry();
  readonly #calls: Counter<'call' | 'code'>;
  readonly #seconds: Histogram<'call'>;
  readonly #refusals: Counter<'gate' | 'code'>;
  readonly #forks: Counter;
  readonly #certificateDays: Gauge<'purpose'>;

  constructor(sessions: () => number = () => 0) {
    const registers = [this.registry];
    this.#calls = new Counter({
      name: 'latchkey_calls_total',
      help: 'Calls answered, by call and by ok or the code of the refusal.',
      labelNames: ['call', 'code'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'latchkey_call_seconds',
      help: 'Time from the parsed call to its answer.',
      labelNames: ['call'],
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2],
      registers,
    });
    this.#refusals = new Counter({
      name: 'latchkey_gate_refusals_total',
      help: 'Refusals by the gate that decided.',
      labelNames: ['gate', 'code'],
      registers,
    });
    this.#forks = new Counter({
      name: 'latchkey_forks_total',
      help: 'Copies of a client that were noticed.',
      registers,
    });
    this.#certificateDays = new Gauge({
      name: 'latchkey_certificate_days_left',
      help: 'Days until the first certificate in use ends, by what it is for: ca, server, client, admin.',
      labelNames: ['purpose'],
      registers,
    });
    new Gauge({
      name: 'latchkey_sessions',
      help: 'Opens that wait for their release.',
      registers,
      collect(): void {
        this.set(sessions());
      },
    });
  }

  called(call: CallKind, code: string, millis: number): void {
    this.#calls.inc({ call, code });
    this.#seconds.observe({ call }, millis / 1000);
  }

  refused(gate: string, code: string): void {
    this.#refusals.inc({ gate, code });
  }

  forked(): void {
    this.#forks.inc();
  }

  /** Alerts on their way, asked when monitoring asks. */
  watchAlerts(backlog: () => Promise<{ readonly waiting: number; readonly givenUp: number }>): void {
    new Gauge({
      name: 'latchkey_alerts',
      help: 'Alerts that wait for their channel, and that were given up after three days.',
      labelNames: ['state'],
      registers: [this.registry],
      async collect(): Promise<void> {
        const found = await backlog().catch(() => null); // the other figures are wanted most when the store is broken
        this.reset();
        if (found === null) return;
        this.set({ state: 'waiting' }, found.waiting);
        this.set({ state: 'given_up' }, found.givenUp);
      },
    });
  }

  /** Of each purpose the fewest days left. */
  certificateDays(days: ReadonlyMap<string, number>): void {
    this.#certificateDays.reset();
    for (const [purpose, left] of days) this.#certificateDays.set({ purpose }, left);
  }

  /** The Prometheus text. */
  text(): Promise<string> {
    return this.registry.metrics();
  }
}
