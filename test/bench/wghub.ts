import { connect } from 'node:net';
import { cpus, loadavg } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { printTable } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { run } from '../../platform/run.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { tunnelObstacle } from '../harness/namespaces.ts';
import { findProgram } from '../harness/programs.ts';
import { sweepStale } from '../harness/stale.ts';
import { type Spread, spreadOf } from './wghub-figures.ts';
import type { Inside } from './wghub-inside.ts';
import { fill, type HubPlace, makeHubPlace } from './wghub-place.ts';
import { benchPool, type PoolFigures } from './wghub-pool.ts';
import type { Probe } from './wghub-probe.ts';
import { answerOf, startHub } from './wghub-process.ts';

interface Extent {
  readonly sizes: readonly number[];
  /** Peers made in each way at each size. */
  readonly samples: number;
  /** Peers made in the naive ways: with the file written whole, and with wg-quick. */
  readonly naive: { readonly plain: number; readonly quick: number };
  /** Comparisons and looks. */
  readonly rounds: number;
  /** How long the steady stream of requests lasts: with a whole comparison in it, which is once a minute, or only a look. */
  readonly seconds: number;
  readonly allocations: number;
}

const WHOLE: Extent = {
  sizes: [10, 1_000, 10_000],
  samples: 300,
  naive: { plain: 15, quick: 3 },
  rounds: 5,
  seconds: 75,
  allocations: 1_000_000,
};
const QUICK: Extent = {
  sizes: [10, 10_000],
  samples: 100,
  naive: { plain: 5, quick: 1 },
  rounds: 3,
  seconds: 12,
  allocations: 100_000,
};

/** What the client saw. */
interface Load {
  readonly calls: Readonly<Record<'device' | 'removed' | 'peer' | 'page' | 'devices', Spread>>;
  readonly stream: Readonly<Partial<Record<'device' | 'removed' | 'page', Spread>>>;
}

interface Size {
  readonly peers: number;
  readonly inside: Inside;
  readonly naive: { readonly plain: Spread; readonly quick: Spread };
  /** From the start of the process to its first answer: with an interface to be made, and with one that runs on. */
  readonly startMs: { readonly built: number; readonly found: number };
  readonly load: Load;
  readonly probe: Probe;
}

const say = (text: string): void => void process.stderr.write(`${text}\n`);

/**
 * `npm run bench -- wghub`: a real hub with a real wireguard-go interface in a network namespace of its own and SQLite on disk, with
 * ten, a thousand and ten thousand peers; beside it, in the same run and on the same interface, the naive way.
 */
export async function benchWghub(json: boolean, isQuick: boolean): Promise<void> {
  const obstacle = tunnelObstacle() ?? (findProgram('wg-quick') === null ? 'wg-quick is not installed' : null);
  if (obstacle !== null) throw new LatchkeyError('cannot_run', obstacle, { hint: 'apt-get install wireguard-tools' });
  const extent = isQuick ? QUICK : WHOLE;
  const machine = `${cpus().length} cores, load ${loadavg()[0]?.toFixed(2)}, node ${process.version}`;
  say(machine);
  await sweepStale();
  const cleanup = new Cleanup();
  const unguard = cleanup.guard();
  try {
    const place = await makeHubPlace(cleanup);
    const sizes: Size[] = [];
    for (const peers of extent.sizes) sizes.push(await measure(place, peers, extent, cleanup));
    say(`pool: ${extent.allocations} allocations`);
    const pool = await benchPool(extent.allocations);
    if (json) process.stdout.write(`${JSON.stringify({ machine, sizes, pool })}\n`);
    else print(sizes, pool);
  } finally {
    for (const failure of await cleanup.run()) say(`not cleaned up: ${failure}`);
    unguard();
  }
}

async function measure(place: HubPlace, peers: number, extent: Extent, cleanup: Cleanup): Promise<Size> {
  say(`${peers} peers`);
  await fill(place, peers);
  const { data, keyfile } = place;
  const isLargest = peers === extent.sizes.at(-1);
  const { samples, rounds } = extent;
  const inside = (await answerOf(place, 'wghub-inside.ts', { data, keyfile, samples, rounds })) as Inside;
  const naive = {
    plain: await naiveWay(place, 'plain', extent.naive.plain),
    quick: await naiveWay(place, 'quick', extent.naive.quick),
  };
  await place.removeInterface();
  const first = await startHub(place, cleanup);
  await first.stop();
  const hub = await startHub(place, cleanup);
  try {
    const { port, token } = place;
    const seconds = isLargest ? extent.seconds : 0;
    await askProbe(hub.probe);
    const load = (await answerOf(place, 'wghub-load.ts', { port, token, samples, seconds })) as Load;
    const probe = await askProbe(hub.probe);
    return { peers, inside, naive, startMs: { built: first.millis, found: hub.millis }, load, probe };
  } finally {
    await hub.stop();
  }
}

/** On the hub's own interface, which has its peers; nobody looks at it meanwhile. */
async function naiveWay(place: HubPlace, how: 'plain' | 'quick', count: number): Promise<Spread> {
  const script = resolve(import.meta.dirname, 'wghub-naive.sh');
  const file = join(dirname(place.data), `${place.interface}.conf`);
  const argv = place.inside(['bash', script, place.interface, '10.96', file, String(count), how]);
  const { stdout } = await run(argv, { timeoutMs: 300_000 });
  const micros = stdout.toString('utf8').trim().split('\n').map(Number);
  if (micros.length !== count || micros.some(Number.isNaN)) throw new Error('the naive way failed');
  return spreadOf(micros.map((one) => one / 1000));
}

function askProbe(path: string): Promise<Probe> {
  return new Promise((resolved, failed) => {
    let text = '';
    connect(path)
      .on('data', (chunk: Buffer) => {
        text += chunk.toString('utf8');
      })
      .on('error', failed)
      .on('end', () => resolved(JSON.parse(text) as Probe));
  });
}

function print(sizes: readonly Size[], pool: Readonly<Record<'memory' | 'store', PoolFigures>>): void {
  const ms = (value: number | undefined): string => (value === undefined ? '' : value.toFixed(value < 10 ? 2 : 0));
  const spread = (name: string, of: (size: Size) => Spread | undefined): string[] => [
    name,
    ...sizes.map((size) => `${ms(of(size)?.p50)} / ${ms(of(size)?.p99)}`),
  ];
  printTable(
    process,
    ['p50 / p99 ms', ...sizes.map(({ peers }) => `${peers} peers`)],
    [
      spread('create a peer, in process', ({ inside }) => inside.create),
      spread('remove a peer, in process', ({ inside }) => inside.remove),
      spread('POST /api/create-peer, with QR code', ({ load }) => load.calls.device),
      spread('POST /api/peers', ({ load }) => load.calls.peer),
      spread('the naive way, the whole file written', ({ naive }) => naive.plain),
      spread('the naive way, wg-quick save', ({ naive }) => naive.quick),
      spread('the disk alone: 32 KiB written and synced', ({ inside }) => inside.disk),
      spread('a page of 100 peers, from the store', ({ inside }) => inside.page),
      spread('GET /api/peers, a page of 100', ({ load }) => load.calls.page),
      spread('GET /api/list-peers, a page of 100', ({ load }) => load.calls.devices),
    ],
  );
  const piece = ({ millis, longest }: { millis: number; longest: number }): string => `${ms(millis)} / ${ms(longest)}`;
  const middle = <T extends { readonly millis: number }>(all: readonly T[]): T =>
    [...all].sort((a, b) => a.millis - b.millis)[Math.floor(all.length / 2)] as T;
  const whole = (name: string, of: (inside: Inside) => { millis: number; longest: number }): string[] => [
    name,
    ...sizes.map(({ inside }) => piece(of(inside))),
  ];
  printTable(
    process,
    ['ms / longest in one piece', ...sizes.map(({ peers }) => `${peers} peers`)],
    [
      whole('interface built anew', ({ rebuild }) => rebuild),
      whole('whole comparison', ({ compare }) => middle(compare)),
      whole('reading the interface', ({ read }) => middle(read)),
      whole('status look, nobody talked', ({ quiet }) => middle(quiet)),
      whole('status look, everybody talked', ({ lively }) => middle(lively)),
      whole('nothing at all', ({ idle }) => idle),
    ],
  );
  for (const { peers, startMs, load, probe } of sizes) {
    say(
      `${peers} peers: wghub start took ${ms(startMs.built)} ms with an interface to be made, ${ms(startMs.found)} ms with one that ran on; ` +
        `${probe.residentMiB.toFixed(0)} MiB; its thread was busy for ${ms(probe.longest)} ms in one piece at the most`,
    );
    const { device, page } = load.stream;
    if (device !== undefined && page !== undefined)
      say(
        `  a steady stream, through looks and comparisons: ${device.count} devices p50 ${ms(device.p50)} p99 ${ms(device.p99)} max ${ms(device.max)} ms, ` +
          `pages p50 ${ms(page.p50)} p99 ${ms(page.p99)} max ${ms(page.max)} ms`,
      );
  }
  const largest = sizes.at(-1);
  if (largest !== undefined) {
    const times = (spread: Spread): string => (largest.naive.plain.p50 / spread.p50).toFixed(0);
    const { inside, load } = largest;
    say(
      `at ${largest.peers} peers faster than the naive way with the whole file written: in process ${times(inside.create)} times, with QR code ${times(load.calls.device)} times, POST /api/peers ${times(load.calls.peer)} times`,
    );
  }
  const micros = (value: number): string => value.toFixed(1);
  printTable(
    process,
    [`microseconds, of ${pool.store.allocations} addresses`, 'in memory', 'in the store'],
    (
      [
        ['an address, at the beginning', 'beginning'],
        ['in the middle', 'middle'],
        ['at the end', 'end'],
        ['given back, at random', 'frees'],
        ['taken after that, the lowest first', 'afterFrees'],
      ] as const
    ).map(([name, key]) => [name, micros(pool.memory[key]), micros(pool.store[key])]),
  );
}
