import { cpus, loadavg } from 'node:os';
import { printTable } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { run } from '../../platform/run.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { tunnelObstacle } from '../harness/namespaces.ts';
import { sweepStale } from '../harness/stale.ts';
import type { Spread } from './wghub-figures.ts';
import { makeHubPlace } from './wghub-place.ts';
import { answerOf, startHub } from './wghub-process.ts';

const SPOKES = 1_000;
const AT_ONCE = 50;

/** What the client of `wghub-spokes-load.ts` saw. */
export interface SpokeLoad {
  readonly steps: Readonly<Record<'token' | 'script' | 'register', Spread>>;
  readonly millis: Readonly<Record<'token' | 'script' | 'register', number>>;
  /** How often each race of a hundred was won. */
  readonly winners: { readonly script: number; readonly register: number };
}

/**
 * `npm run bench -- spokes`: a real hub with a real wireguard-go interface in a namespace of its own, and a thousand spokes that join by
 * tokens, fifty at a time: each asks for a token, fetches its script and registers a key of its own.
 */
export async function benchSpokes(json: boolean): Promise<void> {
  const obstacle = tunnelObstacle();
  if (obstacle !== null) throw new LatchkeyError('cannot_run', obstacle, { hint: 'apt-get install wireguard-tools' });
  const machine = `${cpus().length} cores, load ${loadavg()[0]?.toFixed(2)}, node ${process.version}`;
  process.stderr.write(`${machine}\n`);
  await sweepStale();
  const cleanup = new Cleanup();
  const unguard = cleanup.guard();
  try {
    const place = await makeHubPlace(cleanup);
    const hub = await startHub(place, cleanup);
    const { port, token } = place;
    const order = { port, token, spokes: SPOKES, atOnce: AT_ONCE };
    const load = (await answerOf(place, 'wghub-spokes-load.ts', order)) as SpokeLoad;
    const { stdout } = await run(place.inside(['wg', 'show', place.interface, 'peers']), { timeoutMs: 20_000 });
    const live = stdout.toString('utf8').trim().split('\n').length;
    await hub.stop();
    if (json) process.stdout.write(`${JSON.stringify({ machine, ...load, live })}\n`);
    else print(load, live);
  } finally {
    for (const failure of await cleanup.run()) process.stderr.write(`not cleaned up: ${failure}\n`);
    unguard();
  }
}

function print({ steps, millis, winners }: SpokeLoad, live: number): void {
  const row = (name: string, step: keyof SpokeLoad['steps']): string[] => {
    const { p50, p99, max, count } = steps[step];
    const rate = (count / millis[step]) * 1000;
    return [name, p50.toFixed(1), p99.toFixed(1), max.toFixed(0), rate.toFixed(0)];
  };
  printTable(
    process,
    [`${SPOKES} spokes, ${AT_ONCE} at a time`, 'p50 ms', 'p99 ms', 'max ms', 'a second'],
    [
      row('a token made', 'token'),
      row('its script fetched', 'script'),
      row('registered, on the interface', 'register'),
    ],
  );
  process.stdout.write(
    `${live} peers are on the interface; of 100 who fetched one script ${winners.script} got it, of 100 who registered with one token ${winners.register} did\n`,
  );
}
