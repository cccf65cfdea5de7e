import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { auditHashAt, readAudit, verifyAudit } from '../../platform/audit-chain.ts';
import { postgresMissing, TestPostgres } from '../harness/postgres.ts';
import { type Answer, call, HonestClient } from './honest-client.ts';
import { masterKeyId } from './made-server.ts';
import { type FleetServer, ServerFleet } from './server-fleet.ts';
import { keepStateIn } from './test-store.ts';

/** How long servers are killed under load, which keeps every core busy; LATCHKEY_SERVERS_SECONDS asks for longer. */
const seconds = Number(process.env.LATCHKEY_SERVERS_SECONDS ?? (process.env.LATCHKEY_THOROUGH === '1' ? '30' : '10'));
/** Fewer would show nothing, however slow the machine. */
const fewestKills = 3;
const clientCount = 6;
const policy = { ratePerHour: 1_000_000_000, burst: 1_000_000, lockout: false };

/** A release a client holds in its hands. */
interface Receipt {
  readonly link: string;
  readonly seq: number;
  readonly hash: string;
}

interface Seen {
  readonly seq: number;
  readonly head: string;
}

/** Clients that go from one server to another whenever one does not answer, and now and then for no reason. */
class RoamingLoad {
  readonly receipts: Receipt[] = [];
  readonly surprises: string[] = [];
  /** What the last exchange that brought no key was told. */
  lastRefusal = '';
  /** How often an exchange went on at another server than the one that answered before. */
  moves = 0;
  /** Releases that were sent to another server than the open. */
  strays = 0;
  readonly #servers: readonly FleetServer[];
  readonly #clients: readonly HonestClient[];
  readonly #seen = new Map<HonestClient, Seen>();
  #stopped = false;

  constructor(servers: readonly FleetServer[], clients: readonly HonestClient[]) {
    this.#servers = servers;
    this.#clients = clients;
  }

  async run(): Promise<void> {
    await Promise.all(this.#clients.map((client) => this.#drive(client)));
  }

  stop(): void {
    this.#stopped = true;
  }

  /** One exchange; true when it brought a key. */
  async exchange(client: HonestClient, server: FleetServer, releaser = server): Promise<boolean> {
    const seen = this.#seen.get(client) ?? null;
    const open = await call(server, 'POST', '/v1/open', client.openHeaders(), { ...client.openBody(), seen });
    if (!this.#expected(open)) return false;
    client.opened(String(open.body.next));
    const body = client.releaseBody(String(open.body.session), [masterKeyId]);
    const release = await call(releaser, 'POST', '/v1/release', client.headers(), body);
    if (!this.#expected(release)) return false;
    client.released();
    const { seq, hash } = release.body.head as { seq: number; hash: string };
    this.receipts.push({ link: client.state.current, seq, hash });
    this.#seen.set(client, { seq, head: hash });
    return true;
  }

  async #drive(client: HonestClient): Promise<void> {
    let server = this.#anyServer();
    while (!this.#stopped) {
      try {
        const stray = Math.random() < 0.05 ? this.#anyServer() : server;
        if (stray !== server) this.strays += 1;
        await this.exchange(client, server, stray);
        const beat = await call(server, 'POST', '/v1/heartbeat', client.headers(), client.heartbeatBody());
        if (this.#expected(beat) && beat.body.state !== 'ok') this.surprises.push(beat.text);
        if (Math.random() < 0.1) server = this.#anyServer();
      } catch {
        await delay(5); // the server is down: the line broke at some moment
        server = this.#anyServer();
        this.moves += 1;
      }
    }
  }

  #anyServer(): FleetServer {
    const server = this.#servers[Math.floor(Math.random() * this.#servers.length)];
    if (server === undefined) throw new RangeError('no server');
    return server;
  }

  /** True for 200. What else an honest client may be told: begin again, or that the database is away. */
  #expected(answer: Answer): boolean {
    if (answer.status === 200) return true;
    this.lastRefusal = answer.text;
    if (answer.body.code !== 'stale_message' && answer.body.code !== 'degraded')
      this.surprises.push(`${answer.status} ${answer.text}`);
    return false;
  }
}

interface Released {
  readonly event: string;
  readonly link?: string;
  readonly client?: string;
}

describe.skipIf(postgresMissing() !== null)('several key servers on one database', () => {
  let postgres: TestPostgres;
  let fleet: ServerFleet;
  beforeAll(async () => {
    postgres = await TestPostgres.start();
    keepStateIn(postgres);
  });
  afterAll(async () => {
    keepStateIn(null);
    await postgres.stop();
  });
  afterEach(() => fleet.remove());

  const clients = (): HonestClient[] => fleet.made.clients.map((credentials) => new HonestClient(credentials));
  const records = () =>
    fleet.beside(async ({ store, auditKey }) =>
      store.read(async (tx) => {
        await verifyAudit(tx, auditKey);
        return (await readAudit(tx, 0, 1_000_000)).map(({ body }) => JSON.parse(body) as Released);
      }),
    );

  test('that are killed at any moment release nothing twice or without a record, accuse nobody and leave nobody stuck', {
    timeout: seconds * 1000 + 120_000,
  }, async () => {
    fleet = await ServerFleet.make({ clients: clientCount, policy });
    await fleet.join();
    const { servers } = fleet;
    await Promise.all(servers.map((server) => server.start()));
    const roaming = clients();
    const load = new RoamingLoad(servers, roaming);
    const driving = load.run();
    const began = Date.now();
    const half = began + seconds * 500;
    const until = began + seconds * 1000;
    let kills = 0;
    let cuts = 0;
    try {
      while (Date.now() < until || kills < fewestKills || cuts === 0) {
        if (servers.length === 2 && Date.now() > half) await (await fleet.join()).start();
        if (Date.now() > half + cuts * 40_000) {
          cuts += 1;
          await postgres.kill();
          await delay(200);
          await postgres.resume();
        }
        const server = servers[Math.floor(Math.random() * servers.length)];
        await delay(Math.random() * 500);
        await server?.kill();
        kills += 1;
        await server?.start();
      }
    } finally {
      load.stop();
      await driving;
    }
    expect(load.surprises).toEqual([]);
    expect(servers.flatMap(({ ends }) => ends)).toEqual([]);
    const log = await records();
    const released = log.filter(({ event }) => event === 'key_released').map(({ link }) => link);
    expect(new Set(released).size).toBe(released.length);
    expect(released.length).toBeGreaterThanOrEqual(load.receipts.length);
    expect(new Set(load.receipts.map(({ link }) => link)).size).toBe(load.receipts.length);
    await fleet.beside(({ store }) =>
      store.read(async (tx) => {
        for (const { seq, hash } of load.receipts) expect(await auditHashAt(tx, seq)).toBe(hash);
      }),
    );
    const alarms = log.filter(({ event }) => event === 'fork_detected' || event === 'server_rollback_suspected');
    expect(alarms).toEqual([]);
    const last = servers.at(-1);
    for (const client of roaming) {
      const attempt = async () => (last !== undefined && (await load.exchange(client, last))) || load.lastRefusal;
      await expect.poll(attempt, { timeout: 10_000 }).toBe(true);
    }
    expect(load.surprises).toEqual([]);
    expect([servers.length, cuts > 0, load.moves > 0, load.strays > 0]).toEqual([3, true, true, true]);
    expect(kills).toBeGreaterThanOrEqual(fewestKills);
    expect(load.receipts.length).toBeGreaterThan(kills);
    process.stdout.write(
      `${seconds} s: ${kills} kills, ${cuts} of the database, ${load.moves} fail-overs, ${load.receipts.length} releases received, ${released.length} recorded, ${log.length} records\n`,
    );
  });

  describe('asked for the same thing at the same instant', () => {
    let first: FleetServer;
    let second: FleetServer;
    beforeEach(async () => {
      fleet = await ServerFleet.make({ clients: 8, policy: { ...policy, forkPolicy: 'alert' }, basic: true });
      second = await fleet.join();
      [first = second] = fleet.servers;
      await Promise.all([first.start(), second.start()]);
    });

    const open = async (client: HonestClient, server: FleetServer): Promise<Record<string, unknown>> => {
      const answer = await call(server, 'POST', '/v1/open', client.openHeaders(), client.openBody());
      expect(answer.status).toBe(200);
      return answer.body;
    };
    const statuses = (answers: readonly Answer[]): number[] => answers.map(({ status }) => status).sort();

    test('one release wins at the most, and the same bytes accuse nobody', async () => {
      const [client] = clients();
      if (client === undefined) throw new RangeError('no client');
      let wins = 0;
      for (let round = 0; round < 15; round++) {
        const opened = await open(client, first);
        client.opened(String(opened.next));
        const body = client.releaseBody(String(opened.session), [masterKeyId]);
        const send = (server: FleetServer) => call(server, 'POST', '/v1/release', client.headers(), body);
        const answers = await Promise.all(round % 2 === 0 ? [send(first), send(second)] : [send(second), send(first)]);
        const [low, high] = statuses(answers);
        expect([[200, 409].join(), [409, 409].join()]).toContain([low, high].join());
        if (low !== 200) continue; // the server without the session was faster: begin again at open
        wins += 1;
        client.released();
      }
      expect(wins).toBeGreaterThan(0);
      const log = await records();
      expect(log.filter(({ event }) => event === 'key_released')).toHaveLength(wins);
      expect(log.map(({ event }) => event)).not.toContain('fork_detected');
    });

    test('of two links that are both pending exactly one is released', async () => {
      for (const client of clients()) {
        const one = await open(client, first);
        const other = await open(client, second);
        const release = (server: FleetServer, opened: Record<string, unknown>) => {
          const body = { session: opened.session, link: opened.next, time: client.tick(), keys: [masterKeyId] };
          return call(server, 'POST', '/v1/release', client.headers(), body);
        };
        const answers = await Promise.all([release(first, one), release(second, other)]);
        expect(statuses(answers)[0]).toBe(200);
        expect(statuses(answers)[1]).not.toBe(200);
      }
      const released = (await records()).filter(({ event }) => event === 'key_released');
      expect(released.map(({ client }) => client)).toHaveLength(8);
    });

    test('a TOTP code of the basic profile is good at one of them', async () => {
      for (const client of clients()) {
        const headers = client.openHeaders();
        const answers = await Promise.all([first, second].map((server) => call(server, 'GET', '/key', headers)));
        expect(statuses(answers)).toEqual([200, 401]);
      }
    });
  });

  test('one server’s kill, revocation and new policy hold at the others at once', async () => {
    fleet = await ServerFleet.make({ clients: 2, policy });
    const second = await fleet.join();
    await second.start();
    const [client, other] = clients();
    expect((await client?.exchange(second, [masterKeyId]))?.status).toBe(200);
    await fleet.beside(({ store }) =>
      store.transaction(async (tx) => {
        const id = client?.credentials.clientId ?? '';
        await tx.updateTable('client').set({ state: 'revoked' }).where('id', '=', id).execute();
      }),
    );
    expect((await client?.exchange(second, [masterKeyId]))?.body).toMatchObject({ code: 'locked', reason: 'revoked' });
    expect((await other?.exchange(second, [masterKeyId]))?.status).toBe(200);
  });
});
