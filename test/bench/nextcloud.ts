import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { printTable } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { run } from '../../platform/run.ts';
import { moveIn } from '../attacks/moving-in.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { downloadShared, sharePublicly, WebDav } from '../harness/nextcloud-client.ts';
import { instanceObstacle, NextcloudInstance } from '../harness/nextcloud-instance.ts';
import { listTrees, type NextcloudTree, treesFolder } from '../harness/nextcloud-tree.ts';
import { sweepStale } from '../harness/stale.ts';
import { aims, type Door, doors, type Medians, type Side, sides } from './nextcloud-aims.ts';

/** Enough for a median that stands still; a stock WebDAV request alone takes over a second. */
const rounds: Readonly<Record<Door, number>> = { dav: 21, session: 41, link: 21, occ: 15 };
const warmUps = 3;
const file = 'bench.txt';
const content = 'sixteen bytes..\n'.repeat(1024);

/** One instance, and how its file is read by each door; answers what came back. */
interface Contestant {
  readonly instance: NextcloudInstance;
  readonly read: Readonly<Record<Door, () => Promise<string>>>;
}

async function contestant(tree: NextcloudTree, side: Side, folder: string, cleanup: Cleanup): Promise<Contestant> {
  const instance = await NextcloudInstance.install(tree, { cleanup });
  if (side !== 'none') await instance.enableEncryption();
  await instance.serve();
  const { admin } = instance;
  const put = await new WebDav(instance.address, admin, { session: false }).put(file, content);
  if (put.status !== 201) throw new Error(`writing the file answered ${put.status}`);
  const link = await sharePublicly(instance.address, admin, `/${file}`);
  if (side === 'latchkey') await moveIn(instance, folder, cleanup);
  const session = new WebDav(instance.address, admin, { session: true });
  return {
    instance,
    read: {
      dav: async () => (await new WebDav(instance.address, admin, { session: false }).get(file)).text,
      session: async () => (await session.get(file)).text,
      link: async () => (await downloadShared(instance.address, link)).text,
      occ: async () => (await instance.occ(['files:get', `${admin.user}/files/${file}`, '-'])).stdout,
    },
  };
}

/** Milliseconds; what came back must be the file. */
async function timed(read: () => Promise<string>): Promise<number> {
  const began = performance.now();
  const text = await read();
  const took = performance.now() - began;
  if (text !== content) throw new Error(`the file came back as ${JSON.stringify(text.slice(0, 80))}`);
  return took;
}

function median(list: readonly number[]): number {
  return [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? Number.NaN;
}

/** One sample of each instance in turn, and each instance first as often as the others. */
async function measure(contestants: Readonly<Record<Side, Contestant>>, door: Door, say: (text: string) => void) {
  const samples: Record<Side, number[]> = { none: [], stock: [], latchkey: [] };
  for (let round = -warmUps; round < rounds[door]; round++) {
    for (let turn = 0; turn < sides.length; turn++) {
      const side = sides[(turn + round + warmUps) % sides.length] ?? 'none';
      const took = await timed(contestants[side].read[door]);
      if (round >= 0) samples[side].push(took);
    }
  }
  const medians = Object.fromEntries(sides.map((side) => [side, median(samples[side])])) as Medians;
  say(`${door}: ${sides.map((side) => `${side} ${medians[side].toFixed(0)} ms`).join(', ')}`);
  return { medians, samples };
}

/** The first request after PHP was started anew: the whole way to the key server and back. */
async function coldFill({ instance, read }: Contestant): Promise<number> {
  const took: number[] = [];
  for (let turn = 0; turn < 3; turn++) {
    await instance.restartServer();
    await instance.occ(['status']); // the disk's cache, not PHP's
    took.push(await timed(read.dav));
  }
  return median(took);
}

async function machine(): Promise<string> {
  const php = (await run(['php', '-r', 'echo PHP_VERSION;'], { timeoutMs: 10_000 })).stdout.toString();
  return `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), PHP ${php}, load ${loadavg()[0]?.toFixed(2)} before the run`;
}

/**
 * `npm run bench -- nextcloud`: the same release three times, without encryption, with stock encryption and with Latchkey
 * (moved to a real key server over TLS), read by four doors in turn.
 */
export async function benchNextcloud(json: boolean): Promise<void> {
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  const tree = listTrees().at(-1);
  const obstacle = tree === undefined ? `there is no release in ${treesFolder()}` : instanceObstacle();
  if (tree === undefined || obstacle !== null) {
    throw new LatchkeyError('cannot_run', obstacle ?? '', { hint: 'npm run test:nextcloud -- --download 33.0.1' });
  }
  await sweepStale();
  const cleanup = new Cleanup();
  const unguard = cleanup.guard();
  try {
    const folder = mkdtempSync(join(tmpdir(), `latchkey-life-${process.pid}-`));
    cleanup.add(folder, () => rmSync(folder, { recursive: true, force: true }));
    const words = `Nextcloud ${tree.version}, ${await machine()}`;
    say(words);
    const made: Partial<Record<Side, Contestant>> = {};
    for (const side of sides) made[side] = await contestant(tree, side, folder, cleanup);
    const contestants = made as Record<Side, Contestant>;
    const server = contestants.latchkey.instance.server;
    const results = [];
    for (const door of doors) results.push({ door, ...(await measure(contestants, door, say)) });
    const cold = { stock: await coldFill(contestants.stock), latchkey: await coldFill(contestants.latchkey) };
    const judged = results.map((result) => ({ ...result, aims: aims(result.door, result.medians) }));
    if (json) return void process.stdout.write(`${JSON.stringify({ machine: words, server, doors: judged, cold })}\n`);
    const rows = judged.map(({ door, medians: { none, stock, latchkey }, aims: all }) => [
      door,
      none.toFixed(0),
      stock.toFixed(0),
      latchkey.toFixed(0),
      (latchkey / none).toFixed(2),
      (stock / latchkey).toFixed(2),
      all.map(({ words: aim, met }) => `${aim}: ${met ? 'met' : 'MISSED'}`).join(', '),
    ]);
    const header = ['median ms', 'no encryption', 'stock', 'latchkey', 'latchkey/none', 'stock/latchkey', 'aim'];
    printTable(process, header, rows);
    say(
      `first WebDAV request after a restart of ${server}: ${cold.stock.toFixed(0)} ms stock, ${cold.latchkey.toFixed(0)} ms latchkey`,
    );
    if (judged.some((one) => one.aims.some((aim) => !aim.met))) process.exitCode = 1;
  } finally {
    for (const failure of await cleanup.run()) say(`not cleaned up: ${failure}`);
    unguard();
  }
}
