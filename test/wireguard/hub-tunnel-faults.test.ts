import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { run } from '../../platform/run.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { answers, bringUp, HubNetwork, type Machine, machinesObstacle } from '../harness/hub-network.ts';
import { HubProcess, type MadeDevice } from '../harness/hub-process.ts';
import { postgresMissing, TestPostgres } from '../harness/postgres.ts';

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

const without = obstacle ?? postgresMissing();

describe.skipIf(without !== null)(`two hubs on two machines, and one PostgreSQL${why(without)}`, () => {
  const cleanup = new Cleanup();
  const unguard = cleanup.guard();
  const folder = mkdtempSync(join(tmpdir(), 'lk-two-hubs-'));
  let postgres: TestPostgres;
  let [here, there]: HubProcess[] = [];
  let laptop: Machine;

  const hubs = () => {
    if (here === undefined || there === undefined) throw new Error('the hubs are not there');
    return { here, there };
  };

  beforeAll(async () => {
    cleanup.add(folder, () => rmSync(folder, { recursive: true }));
    postgres = await TestPostgres.start();
    cleanup.add('PostgreSQL', () => postgres.stop());
    // by its socket: what listens on loopback here, machines of another network do not reach
    const url = (await postgres.newDatabase()).replace('127.0.0.1', '').concat(`?host=${postgres.folder}`);
    writeFileSync(join(folder, 'url'), `${url}\n`, { mode: 0o600 });
    const network = await HubNetwork.build(cleanup);
    const key = join(folder, 'hub.key');
    here = new HubProcess(await network.machine('hub1', 1), join(folder, 'here'), key, cleanup);
    await here.init([...INTERFACE, '--database-url-file', join(folder, 'url')]);
    here.configure({ lookSeconds: LOOK_SECONDS });
    cpSync(here.data, join(folder, 'there'), { recursive: true });
    chmodSync(join(folder, 'there'), 0o700);
    there = new HubProcess(await network.machine('hub2', 2), join(folder, 'there'), key, cleanup);
    await Promise.all([here.start(), there.start()]);
    laptop = await network.machine('laptop', 101);
  });
  afterAll(async () => {
    unguard();
    await cleanup.run();
  });

  test('a device that one of them makes is soon on the interface of the other, and leaves it when it is removed', async () => {
    const { here, there } = hubs();
    const made = await here.device('laptop');
    await bringUp(laptop, made.config, cleanup);
    expect(await answers(laptop, HUB)).toBe(true);
    const began = performance.now();
    await vi.waitFor(async () => expect(await there.differences()).toEqual([]), PATIENCE);
    tell('made here: on the interface there', began);
    expect((await there.dump()).peers.has(made.public_key)).toBe(true);
    const other = await there.device('another');
    await vi.waitFor(async () => expect((await here.dump()).peers.has(other.public_key)).toBe(true), PATIENCE);
    const removed = performance.now();
    expect((await there.call('POST', '/api/remove-peer', { public_key: other.public_key })).status).toBe(200);
    await vi.waitFor(async () => expect((await here.dump()).peers.has(other.public_key)).toBe(false), PATIENCE);
    tell('removed there: off the interface here', removed);
    // by the other hub it was removed, and nobody came without one
    expect((await here.call('GET', '/api/metrics')).text).not.toMatch(/foreign_peers_found_total\{[^}]*\} [1-9]/);
  }, 90_000);

  test('a database that restarts under them refuses changes meanwhile, and cuts nobody off', async () => {
    const { here } = hubs();
    await postgres.kill();
    const refused = await here.call('POST', '/api/create-peer', { user_id: 'test', device_name: 'meanwhile' });
    report('PostgreSQL down: refused', refused.took);
    expect(refused.status).toBe(503);
    expect(refused.took).toBeLessThan(DEADLINE_MS);
    expect(await answers(laptop, HUB)).toBe(true);
    await postgres.resume();
    const began = performance.now();
    await vi.waitFor(async () => expect((await here.device('after it')).live).toBe(true), PATIENCE);
    tell('PostgreSQL up again: a device is made', began);
    await here.closeSide();
    await vi.waitFor(async () => expect(await here.differences()).toEqual([]), PATIENCE);
    expect(await answers(laptop, HUB)).toBe(true);
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
