import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { verifyAudit } from '../../platform/audit-chain.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { answers, bringUp, HubNetwork, type Machine, machinesObstacle } from '../harness/hub-network.ts';
import { HubProcess, type MadeDevice } from '../harness/hub-process.ts';
import { postgresMissing, TestPostgres } from '../harness/postgres.ts';
import { eventsOf } from './made-hub.ts';

const obstacle = machinesObstacle() ?? postgresMissing();
const isThorough = process.env.LATCHKEY_THOROUGH === '1';
const PATIENCE = { timeout: 60_000, interval: 100 };
const FIRST = '10.77.0.1';
const SECOND = '10.78.0.1';
/** Nobody waits longer for an answer; what it is really is printed. */
const DEADLINE_MS = 20_000;

describe.skipIf(obstacle !== null)(`two hubs on two machines, and one PostgreSQL${why(obstacle)}`, () => {
  const cleanup = new Cleanup();
  const unguard = cleanup.guard();
  const folder = mkdtempSync(join(tmpdir(), 'lk-two-hubs-'));
  let postgres: TestPostgres;
  let network: HubNetwork;
  let [here, there]: HubProcess[] = [];
  let laptop: Machine;
  let phone: Machine;
  let onLaptop: MadeDevice;

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
    const database = ['--database-url-file', join(folder, 'url')];
    writeFileSync(join(folder, 'url'), `${url}\n`, { mode: 0o600 });
    network = await HubNetwork.build(cleanup);
    const key = join(folder, 'hub.key');
    here = new HubProcess(await network.machine('hub1', 1), join(folder, 'here'), key, cleanup);
    there = new HubProcess(await network.machine('hub2', 2), join(folder, 'there'), key, cleanup, 'wg1');
    await here.init(['--interface', 'wg0', '--network', '10.77.0.0/24', '--name', 'one', ...database]);
    here.configure({ lookSeconds: 1, interfaces: ['wg0'] });
    const facts = ['--network', '10.78.0.0/24', '--endpoint', `${there.machine.address}:51821`];
    await here.command(['interface', 'add', 'wg1', ...facts, '--keyfile', key]);
    const vault = ['--vault', join(here.data, 'vault.json'), '--keyfile', key];
    await there.command(['join', '--name', 'two', '--interfaces', 'wg1', ...vault, ...database]);
    there.configure({ lookSeconds: 1 });
    await Promise.all([here.start(), there.start()]);
    [laptop, phone] = await Promise.all([network.machine('laptop', 101), network.machine('phone', 102)]);
  });
  afterAll(async () => {
    unguard();
    await cleanup.run();
  });

  test('each builds its own interface, and not the other’s', async () => {
    const { here, there } = hubs();
    expect((await here.machine.run('wg', 'show', 'interfaces')).trim()).toBe('wg0');
    expect((await there.machine.run('wg', 'show', 'interfaces')).trim()).toBe('wg1');
  });

  test('a device that is made at one hub reaches the other hub, whose interface it is on, and is gone when it is removed', async () => {
    const { here, there } = hubs();
    const began = performance.now();
    onLaptop = await here.device('laptop', 'wg1');
    report('made at the other hub: on the interface, and answered', began);
    expect(onLaptop.live).toBe(true);
    await bringUp(laptop, onLaptop.config, cleanup);
    expect(await answers(laptop, SECOND)).toBe(true);
    report('made at the other hub: first ping', began);
    const onPhone = await there.device('phone', 'wg0');
    await bringUp(phone, onPhone.config, cleanup);
    expect(await answers(phone, FIRST)).toBe(true);
    const removed = await there.call('POST', '/api/remove-peer', { public_key: onPhone.public_key });
    expect(removed.status).toBe(200);
    expect((await here.dump()).peers.has(onPhone.public_key)).toBe(false);
    expect(await answers(phone, FIRST)).toBe(false);
    expect([await here.differences(), await there.differences()]).toEqual([[], []]);
  }, 90_000);

  test('a hub that is killed leaves its tunnels up, starts again at once, and has what was made meanwhile', async () => {
    const { here, there } = hubs();
    await there.kill();
    const meanwhile = await here.device('meanwhile', 'wg1');
    expect(meanwhile.live).toBe(false);
    expect(await answers(laptop, SECOND)).toBe(true);
    const began = performance.now();
    await there.start();
    report('killed and started again: serves', began);
    expect((await there.dump()).peers.has(meanwhile.public_key)).toBe(true);
    expect(await there.heard()).toContain(onLaptop.public_key);
    expect(await answers(laptop, SECOND)).toBe(true);
  }, 90_000);

  test('a database that restarts under both refuses changes meanwhile, and cuts nobody off', async () => {
    const { here, there } = hubs();
    await postgres.kill();
    const order = { user_id: 'test', device_name: 'refused', interface: 'wg1' };
    const refused = await here.call('POST', '/api/create-peer', order);
    process.stdout.write(`      PostgreSQL down: refused after ${(refused.took / 1000).toFixed(1)} s\n`);
    expect(refused).toMatchObject({ status: 503, body: { code: 'DEGRADED' } });
    expect(refused.took).toBeLessThan(DEADLINE_MS);
    expect(await answers(laptop, SECOND)).toBe(true);
    await postgres.resume();
    const began = performance.now();
    await vi.waitFor(async () => expect((await here.device('after it', 'wg1')).live).toBe(true), PATIENCE);
    report('PostgreSQL up again: made at one hub, on the interface of the other', began);
    for (const hub of [here, there]) {
      await hub.closeSide();
      await vi.waitFor(async () => expect(await hub.differences()).toEqual([]), PATIENCE);
    }
    expect(await answers(laptop, SECOND)).toBe(true);
    expect((await here.machine.run('wg', 'show', 'interfaces')).trim()).toBe('wg0');
    const { opened } = await here.side();
    await opened.store.read((db) => verifyAudit(db, opened.auditKey));
  }, 90_000);

  // it waits for twenty seconds first
  test.skipIf(!isThorough)(
    'a hub whose interface another keeps does not start, and says who has it',
    async () => {
      const { here, there } = hubs();
      await here.stop();
      here.configure({ interfaces: ['wg0', 'wg1'] });
      await expect(here.start()).rejects.toThrow(/wg1 is kept by two, which is running/);
      expect((await here.machine.run('wg', 'show', 'interfaces')).trim()).toBe('wg0');
      expect(await answers(laptop, SECOND)).toBe(true);
      expect(await there.differences()).toEqual([]);
    },
    90_000,
  );

  test('one that stands by takes over when the machine of the other loses its power, and calls the devices', async () => {
    const { here, there } = hubs();
    await here.stop();
    here.configure({ interfaces: ['wg0', 'wg1'], standBy: true });
    await here.start();
    expect((await here.machine.run('wg', 'show', 'interfaces')).trim()).toBe('wg0');
    await there.closeSide();
    await there.machine.halt();
    const began = performance.now();
    await vi.waitFor(async () => expect(await answers(laptop, SECOND)).toBe(true), PATIENCE);
    report('machine without power: the other hub answers its devices', began);
    expect((await here.machine.run('wg', 'show', 'interfaces')).split(/\s+/).sort().join(' ').trim()).toBe('wg0 wg1');
    expect((await here.device('made there now', 'wg1')).live).toBe(true);
  }, 90_000);

  test.skipIf(!isThorough)(
    'and the first one waits when it is back, so that no two have one key',
    async () => {
      const { here, there } = hubs();
      there.machine = await network.machine('hub2', 2);
      there.configure({ standBy: true });
      await there.start();
      expect((await there.machine.run('wg', 'show', 'interfaces')).trim()).toBe('');
      expect((await there.device('made at who waits', 'wg1')).live).toBe(true);
      expect(await answers(laptop, SECOND)).toBe(true);
      const { opened } = await here.side();
      const events = await eventsOf(opened);
      expect(events.filter((event) => /interface_(taken|given)/.test(event))).toEqual(['interface_taken_over']);
    },
    90_000,
  );

  test.skipIf(!isThorough)(
    'a hub that stood still gives up what was taken over meanwhile, and its interface with it',
    async () => {
      const { here, there } = hubs();
      const began = performance.now();
      here.signal('SIGSTOP');
      const shown = async (hub: HubProcess) => (await hub.machine.run('wg', 'show', 'interfaces')).split(/\s+/);
      await vi.waitFor(async () => expect(await shown(there)).toContain('wg1'), PATIENCE);
      report('hub stands still: the other has taken over', began);
      here.signal('SIGCONT');
      await vi.waitFor(async () => expect(await shown(here)).not.toContain('wg1'), PATIENCE);
      await vi.waitFor(async () => expect(await answers(laptop, SECOND)).toBe(true), PATIENCE);
      report('and goes on: gave its interface up', began);
      expect(await shown(here)).toContain('wg0');
    },
    180_000,
  );
});

/** For the table in the README. */
function report(what: string, began: number): void {
  process.stdout.write(`      ${what} after ${((performance.now() - began) / 1000).toFixed(1)} s\n`);
}

function why(reason: string | null): string {
  return reason === null ? '' : ` (${reason})`;
}
