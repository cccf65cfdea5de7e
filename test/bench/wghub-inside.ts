import { closeSync, fsyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { systemClock, systemRandom } from '../../platform/clock.ts';
import type { LiveInterface } from '../../wireguard/drivers/driver.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { HandshakeTracker } from '../../wireguard/hub/handshake-tracker.ts';
import type { Hub } from '../../wireguard/hub/hub.ts';
import { makeHub } from '../../wireguard/hub/make-hub.ts';
import { linkMeans } from '../../wireguard/links/link-means.ts';
import { listInterfaces } from '../../wireguard/store/hub-interface.ts';
import { blocking, millisOf, type Piece, pause, type Spread, spreadOf } from './wghub-figures.ts';
import { withPlace } from './wghub-place.ts';

/** What is measured in a process of its own, inside of the hub's network namespace, on the parts that a hub is made of. */
interface Order {
  readonly data: string;
  readonly keyfile: string;
  readonly samples: number;
  /** Times that whole things are done: comparisons, looks. */
  readonly rounds: number;
}

/** What is printed. */
export interface Inside {
  /** What every commit waits for at the least: a few pages written to the same disk and synced. */
  readonly disk: Spread;
  readonly rebuild: Piece;
  readonly create: Spread;
  readonly remove: Spread;
  readonly page: Spread;
  readonly idle: Piece;
  readonly compare: readonly Piece[];
  readonly read: readonly Piece[];
  readonly quiet: readonly Piece[];
  readonly lively: readonly Piece[];
}

const order = JSON.parse(readFileSync(0, 'utf8')) as Order;

async function createAndRemove(hub: Hub): Promise<{ create: number; remove: number }> {
  let id = '';
  const create = await millisOf(async () => {
    const made = await hub.peers.create({ name: 'bench', owner: 'bench', kind: 'device', presharedKey: true }, COMMAND);
    if (!made.live) throw new Error('the interface was not told');
    id = made.peer.id;
  });
  return { create, remove: await millisOf(() => hub.peers.remove(id, COMMAND)) };
}

function syncs(folder: string, count: number): Spread {
  const path = join(folder, 'synced');
  const file = openSync(path, 'w');
  const pages = Buffer.alloc(32_768, 1);
  const samples: number[] = [];
  for (let number = 0; number < count; number++) {
    const begun = performance.now();
    writeSync(file, pages);
    fsyncSync(file);
    samples.push(performance.now() - begun);
  }
  closeSync(file);
  rmSync(path);
  return spreadOf(samples);
}

/** As an interface shows itself when every peer has talked since the last look. */
function talked(live: LiveInterface, round: number): LiveInterface {
  const peers = [...live.peers.values()].map((peer) => ({
    ...peer,
    endpoint: '203.0.113.7:40000',
    lastHandshake: systemClock.now() - 1000,
    rx: round * 1000,
    tx: round * 2000,
  }));
  return { ...live, peers: new Map(peers.map((peer) => [peer.publicKey, peer])) };
}

async function times<T>(count: number, work: (round: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let round = 1; round <= count; round++) results.push(await work(round));
  return results;
}

const results: Inside = await withPlace(order, async (data, seal) => {
  const { store, config } = data;
  const [facts] = await store.read((db) => listInterfaces(db, seal));
  if (facts === undefined) throw new Error('the hub has no interface');
  const parts = { store, seal, now: systemClock.now, random: systemRandom, policy: config.foreign };
  const onTrouble = (error: unknown): never => {
    throw error;
  };
  const hub = await makeHub(facts, () => linkMeans(process.env), { ...parts, onTrouble });
  const rebuild = await blocking(() => hub.reconciler.rebuild());
  await times(Math.min(100, order.samples), () => createAndRemove(hub)); // compiled
  const pairs = await times(order.samples, () => createAndRemove(hub));
  let mark: { createdAt: number; id: string } | null = null;
  const pages = await times(order.samples, () =>
    millisOf(async () => {
      const page = await hub.peers.list({}, mark, 100);
      mark = page.at(-1) ?? null;
    }),
  );
  const idle = await blocking(() => pause(500));
  const compare = await times(order.rounds, () => blocking(() => hub.reconciler.compare()));
  const read = await times(order.rounds, () => blocking(() => hub.driver.read()));
  const live = await hub.driver.read();
  const tracker = new HandshakeTracker(store, facts.name);
  const track = (shown: LiveInterface) => tracker.take(shown, systemClock.now());
  const quiet = await times(order.rounds, () => blocking(() => track(live)));
  const lively = await times(order.rounds, (round) => blocking(() => track(talked(live, round))));
  return {
    disk: syncs(dirname(order.data), order.samples),
    rebuild,
    create: spreadOf(pairs.map(({ create }) => create)),
    remove: spreadOf(pairs.map(({ remove }) => remove)),
    page: spreadOf(pages),
    idle,
    compare,
    read,
    quiet,
    lively,
  };
});
process.stdout.write(`${JSON.stringify(results)}\n`);
