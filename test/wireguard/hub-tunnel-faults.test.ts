import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { run } from '../../platform/run.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { answers, bringUp, HubNetwork, type Machine, machinesObstacle } from '../harness/hub-network.ts';
import { HubProcess, type MadeDevice } from '../harness/hub-process.ts';

const obstacle = machinesObstacle();
const isThorough = process.env.LATCHKEY_THOROUGH === '1';
const LOOK_SECONDS = isThorough ? 10 : 1;
const PATIENCE = { timeout: 45_000, interval: 100 };
const INTERFACE = ['--interface', 'wg0', '--network', '10.77.0.0/24', '--network6', 'fd77::/64'];
const HUB = '10.77.0.1';
/** Nobody waits longer for an answer, whatever hangs; what it is really is printed. */
const DEADLINE_MS = 20_000;

describe.skipIf(obstacle !== null)(`a hub under which something fails${why(obstacle)}`, () => {
  const cleanup = new Cleanup();
  const unguard = cleanup.guard();
  const folder = mkdtempSync(join(tmpdir(), 'lk-faults-'));
  const disk = join(folder, 'disk');
  let network: HubNetwork;
  let hub: HubProcess;
  let laptop: Machine;
  let made: MadeDevice;

  beforeAll(async () => {
    cleanup.add(folder, () => rmSync(folder, { recursive: true }));
    mkdirSync(disk);
    await run(['mount', '-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', disk], { timeoutMs: 10_000 });
    cleanup.add(disk, () => run(['umount', disk], { timeoutMs: 10_000 }).then(() => undefined));
    network = await HubNetwork.build(cleanup);
    hub = new HubProcess(await network.machine('hub', 1), join(disk, 'hub'), join(folder, 'hub.key'), cleanup);
    await hub.init(INTERFACE);
    hub.configure({ lookSeconds: LOOK_SECONDS });
    await hub.start();
    laptop = await network.machine('laptop', 101);
    made = await hub.device('laptop');
    await bringUp(laptop, made.config, cleanup);
    expect(await answers(laptop, HUB)).toBe(true);
  });
  afterAll(async () => {
    unguard();
    await cleanup.run();
  });

  const isAsStored = async (): Promise<void> => expect(await hub.differences()).toEqual([]);
  const order = (name: string) => hub.call('POST', '/api/create-peer', { user_id: 'test', device_name: name });
  /** What a refused request must leave as it is. */
  async function whatIsThere(): Promise<unknown> {
    const { opened } = await hub.side();
    return opened.store.read(async (db) => ({
      peers: await db.selectFrom('peer').select(['id', 'status', 'public_key', 'addresses']).orderBy('id').execute(),
      free: await db.selectFrom('free_range').selectAll().orderBy('first').execute(),
      audit: await db.selectFrom('audit').select('seq').where('body', 'like', '%"peer_%').execute(),
    }));
  }

  test('while the interface hangs changes are answered and committed, and are on it when it goes on', async () => {
    const gone = await hub.device('to be removed');
    await hub.machine.signal('wireguard-go', 'SIGSTOP');
    const [created, removed] = await Promise.all([
      order('while it hung'),
      hub.call('POST', '/api/remove-peer', { public_key: gone.public_key }),
    ]);
    for (const { took } of [created, removed]) expect(took).toBeLessThan(DEADLINE_MS);
    report('interface hangs: a new device is answered', created.took);
    expect(created).toMatchObject({ status: 201, body: { live: false } });
    expect(removed.status).toBe(200);
    await hub.machine.signal('wireguard-go', 'SIGCONT');
    const began = performance.now();
    await vi.waitFor(isAsStored, PATIENCE);
    tell('goes on: interface equals store', began);
    expect((await hub.dump()).peers.has(created.body.public_key)).toBe(true);
    expect((await hub.dump()).peers.has(gone.public_key)).toBe(false);
    expect(await answers(laptop, HUB)).toBe(true);
  }, 90_000);

  test('while the interface hangs the hub ends soon when it is told to, and starts again', async () => {
    await hub.machine.signal('wireguard-go', 'SIGSTOP');
    const waiting = order('while it stops');
    await new Promise((done) => setTimeout(done, 1500)); // a look hangs too by now
    const began = performance.now();
    await hub.stop();
    const took = performance.now() - began;
    report('interface hangs: stopped', took);
    expect(took).toBeLessThan(DEADLINE_MS);
    expect(await waiting).toMatchObject({ status: 201, body: { live: false } });
    if (isThorough) {
      const restarted = performance.now();
      await hub.start(); // serves all the same, when it has waited for it
      tell('interface hangs: started, serves', restarted);
      expect(hub.output()).toContain('wg0 could not be built yet');
      expect((await hub.call('GET', '/api/health')).status).toBe(503);
      await hub.machine.signal('wireguard-go', 'SIGCONT');
    } else {
      await hub.machine.signal('wireguard-go', 'SIGCONT');
      await hub.start();
    }
    await vi.waitFor(isAsStored, PATIENCE);
  }, 90_000);

  test('while another process holds the database changes are refused, and nothing is half done', async () => {
    const before = await whatIsThere();
    const other = new DatabaseSync(join(hub.data, 'hub.db'));
    other.exec('begin immediate');
    const { status, body, took } = await order('one');
    expect({ status, code: body.code }).toEqual({ status: 503, code: 'DEGRADED' });
    expect(took).toBeLessThan(DEADLINE_MS);
    report('database held: refused', took);
    other.exec('rollback');
    other.close();
    expect(await whatIsThere()).toEqual(before);
    await isAsStored();
    await hub.device('after that');
    await isAsStored();
  }, 90_000);

  test('a disk that is full refuses new devices, leaves the tunnel as it is, and goes on when there is room', async () => {
    const filling = join(disk, 'filling');
    for (let size = 2 ** 20; size >= 1024; ) {
      try {
        writeFileSync(filling, Buffer.alloc(size), { flag: 'a' });
      } catch {
        size /= 2;
      }
    }
    // pages that the database has already may take a few more
    let before = await whatIsThere();
    let answer = await order('full');
    for (let tries = 0; answer.status === 201 && tries < 150; tries++) {
      before = await whatIsThere();
      answer = await order(`full ${tries}`);
    }
    expect(answer).toMatchObject({ status: 503, body: { code: 'DEGRADED' } });
    expect(await whatIsThere()).toEqual(before);
    await isAsStored();
    expect(await answers(laptop, HUB)).toBe(true);
    rmSync(filling);
    await vi.waitFor(async () => expect((await order('room again')).status).toBe(201), PATIENCE);
    await isAsStored();
  }, 90_000);

  test('an API inside of the tunnel is there when the machine has started anew, as the tunnel is made first', async () => {
    await hub.stop();
    await hub.closeSide();
    await hub.machine.halt();
    hub.machine = await network.machine('hub', 1);
    hub.configure({ listen: { host: HUB, port: 8090 } });
    await hub.start();
    expect(hub.output()).toContain(`serving http://${HUB}:8090`);
    await isAsStored();
    await vi.waitFor(async () => expect(await answers(laptop, HUB)).toBe(true), PATIENCE);
  }, 90_000);
});

/** For the table in the README. */
function tell(what: string, began: number): void {
  report(what, performance.now() - began);
}

function report(what: string, millis: number): void {
  process.stdout.write(`      ${what} after ${(millis / 1000).toFixed(1)} s\n`);
}

function why(reason: string | null): string {
  return reason === null ? '' : ` (${reason})`;
}
