import { createServer } from 'node:net';

/**
 * Loaded into a hub's process before it starts: tells at a socket how long its thread was in one piece with something else since the
 * last question, and how much memory it has. One timer a millisecond is all that it costs.
 */
export interface Probe {
  readonly longest: number;
  readonly residentMiB: number;
}

const path = process.env.WGHUB_PROBE;
if (path !== undefined && process.argv[1]?.endsWith('wireguard/main.ts') === true) {
  let last = performance.now();
  let longest = 0;
  setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last - 1);
    last = now;
  }, 1).unref();
  createServer((line) => {
    const probe: Probe = { longest, residentMiB: process.memoryUsage.rss() / 2 ** 20 };
    longest = 0;
    line.end(`${JSON.stringify(probe)}\n`);
  })
    .listen(path)
    .unref();
}
