import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom } from '../../platform/clock.ts';
import { printTable } from '../../platform/command-line.ts';
import { openSqlite } from '../../platform/sqlite.ts';
import { Vault } from '../../platform/vault/vault.ts';
import type { SeenInterface } from '../../wireguard/calls/hub-figures.ts';
import { HubMetrics } from '../../wireguard/calls/metrics.ts';
import type { LiveInterface } from '../../wireguard/drivers/driver.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { PeerRegister } from '../../wireguard/hub/peer-register.ts';
import { insertInterface } from '../../wireguard/store/hub-interface.ts';
import { type HubDatabase, migrations, type PeerKind } from '../../wireguard/store/schema.ts';
import { testInterface } from '../wireguard/hub-store.ts';
import { blocking, type Piece, pause } from './wghub-figures.ts';

interface Case {
  readonly peers: number;
  readonly kind: PeerKind;
  /** How many of them have figures of their own. */
  readonly most: number;
  /** Routes that were called, each of which was answered with each of `STATUSES`. */
  readonly routes: number;
}

interface Result extends Case {
  readonly bytes: number;
  /** The middle one of the scrapes, and the worst. */
  readonly millis: number;
  readonly longest: number;
  readonly worst: Piece;
}

const SCRAPES = 30;
const CASES: readonly Case[] = [
  { peers: 10, kind: 'spoke', most: 200, routes: 10 },
  { peers: 1_000, kind: 'spoke', most: 200, routes: 10 },
  { peers: 10_000, kind: 'spoke', most: 200, routes: 10 },
  { peers: 10_000, kind: 'spoke', most: 10_000, routes: 10 },
  { peers: 10_000, kind: 'device', most: 200, routes: 10 },
  // every route there is, by somebody who tries what each of them answers
  { peers: 10_000, kind: 'spoke', most: 200, routes: 60 },
];
const STATUSES = [200, 400, 401, 404, 429];

/** `npm run bench -- scrape`: what a scrape of a hub's metrics takes of its thread, and in how long pieces. */
export async function benchScrape(json: boolean): Promise<void> {
  const results: Result[] = [];
  for (const one of CASES) results.push(await measure(one));
  if (json) {
    process.stdout.write(`${JSON.stringify(results)}\n`);
    return;
  }
  const ms = (value: number): string => value.toFixed(1);
  printTable(
    process,
    ['PEERS', 'OF THEIR OWN', 'ROUTES', 'KIB', 'MS', 'LONGEST PIECE MS', 'WORST OF 30: MS', 'PIECE MS'],
    results.map(({ peers, kind, most, routes, bytes, millis, longest, worst }) => [
      `${peers} ${kind}s`,
      String(Math.min(peers, most)),
      String(routes),
      String(Math.round(bytes / 1024)),
      ...[millis, longest, worst.millis, worst.longest].map(ms),
    ]),
  );
}

async function measure({ peers, kind, most, routes }: Case): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), 'lk-bench-scrape-'));
  const store = await openSqlite<HubDatabase>(join(folder, 'hub.db'), { migrations, create: true });
  const seal = Vault.create(systemRandom);
  await store.transaction((tx) => insertInterface(tx, facts, seal, systemClock.now()));
  const tell = () => Promise.resolve(true);
  const register = new PeerRegister(facts, { store, seal, now: systemClock.now, random: systemRandom, tell });
  const keys: string[] = [];
  while (keys.length < peers) {
    const orders = Array.from({ length: Math.min(500, peers - keys.length) }, (_, at) => ({
      ...{ name: `machine ${keys.length + at}`, kind },
    }));
    const made = await Promise.all(orders.map((order) => register.create(order, COMMAND)));
    keys.push(...made.map(({ peer }) => peer.publicKey));
  }
  let round = 0;
  // an interface on which everybody has talked since the last look
  const live = (): LiveInterface =>
    ({ peers: new Map(keys.map((key) => [key, { rx: round * 1000, tx: round * 2000 }])) }) as unknown as LiveInterface;
  const look = (): SeenInterface =>
    ({
      ...{ hub: { facts }, last: { at: systemClock.now(), live: live() } },
      ...{ comparison: null, comparedAt: null },
    }) as unknown as SeenInterface;
  const watches = new Map([[facts.name, look()]]);
  const metrics = new HubMetrics();
  metrics.show({ store, watches, most, now: systemClock.now, certificateEnd: () => null });
  for (let route = 0; route < routes; route++) {
    for (const status of STATUSES) metrics.answered({ method: 'GET', route: `/api/route/${route}`, status, millis: 3 });
  }
  const pieces: Piece[] = [];
  let bytes = 0;
  for (round = 1; round <= SCRAPES + 5; round++) {
    watches.set(facts.name, look());
    await pause(20);
    const piece = await blocking(async () => {
      bytes = Buffer.byteLength(await metrics.text());
    });
    if (round > 5) pieces.push(piece); // compiled
  }
  metrics.stop();
  await store.close();
  rmSync(folder, { recursive: true });
  const middle = (of: (piece: Piece) => number): number =>
    pieces.map(of).sort((a, b) => a - b)[Math.floor(pieces.length / 2)] ?? Number.NaN;
  const worst = (of: (piece: Piece) => number): number => Math.max(...pieces.map(of));
  return {
    ...{ peers, kind, most, routes, bytes },
    millis: middle(({ millis }) => millis),
    longest: middle(({ longest }) => longest),
    worst: { millis: worst(({ millis }) => millis), longest: worst(({ longest }) => longest) },
  };
}

const facts = testInterface({
  networks: ['10.96.0.0/12', 'fd42:4242:1::/64'],
  addresses: ['10.96.0.1/12', 'fd42:4242:1::1/64'],
});
