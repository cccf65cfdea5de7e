import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** How often it is looked whether the event loop is late. */
const LOOK_MS = 100;

/**
 * What the process takes of its machine, and how late its event loop is, registered from now on. Answers how that ends; nobody is
 * kept from ending by it.
 */
export function registerProcessMetrics(registry: Registry): () => void {
  const registers = [registry];
  const gauge = (name: string, help: string, value: () => number): Gauge =>
    new Gauge({
      ...{ name, help, registers },
      collect() {
        this.set(value());
      },
    });
  gauge('process_start_time_seconds', 'When the process started, Unix time.', () => performance.timeOrigin / 1000);
  gauge('process_resident_memory_bytes', 'Memory of the process.', () => process.memoryUsage.rss());
  gauge('nodejs_heap_used_bytes', 'Memory of its JavaScript objects.', () => process.memoryUsage().heapUsed);
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'Processor time that the process has used.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  const lag = new Histogram({
    name: 'nodejs_eventloop_lag_seconds',
    help: 'How late a timer of each 100 ms was: so long whoever asks waits before anything is done for them.',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
    registers,
  });
  let due = performance.now() + LOOK_MS;
  const timer = setInterval(() => {
    const now = performance.now();
    lag.observe(Math.max(0, now - due) / 1000);
    due = now + LOOK_MS;
  }, LOOK_MS).unref();
  return () => clearInterval(timer);
}
