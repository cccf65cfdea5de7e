import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { Agent } from 'node:https';
import { dirname, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { openServerData } from '../../keyserver/server-data.ts';
import { auditHashAt, readAudit, verifyAudit } from '../../platform/audit-chain.ts';
import { type Answer, HonestClient } from './honest-client.ts';
import { type MadeServer, makeServer, masterKeyId } from './made-server.ts';

/** Kills in one run; LATCHKEY_CRASHES asks for more. */
const wantedCrashes = Number(process.env.LATCHKEY_CRASHES ?? '100');
/** The run in `npm test` ends after this long, however few kills it came to: its clients keep every core busy. */
const brief = process.env.LATCHKEY_THOROUGH === '1' ? 60_000 : 15_000;
const timeLimit = process.env.LATCHKEY_CRASHES === undefined ? brief : 1_200_000;
/** Fewer would show nothing, however slow the machine. */
const fewestCrashes = 10;
const clientCount = 8;
const project = resolve(import.meta.dirname, '..', '..');

/** A release a client holds in its hands. */
interface Receipt {
  readonly link: string;
  readonly seq: number;
  readonly hash: string;
}

class Load {
  readonly receipts: Receipt[] = [];
  readonly surprises: string[] = [];
  readonly #made: MadeServer;
  readonly #agent: Agent;
  readonly #clients: readonly HonestClient[];
  #stopped = false;

  constructor(made: MadeServer) {
    this.#made = made;
    this.#agent = new Agent({ ca: made.ca, keepAlive: true, servername: 'localhost' });
    this.#clients = made.clients.map((credentials) => new HonestClient(credentials));
  }

  /** All clients at once, each with one exchange under way, until `stop`; whatever breaks, they begin again. */
  async run(): Promise<void> {
    await Promise.all(this.#clients.map((client) => this.#drive(client)));
  }

  stop(): void {
    this.#stopped = true;
    this.#agent.destroy();
  }

  async #drive(client: HonestClient): Promise<void> {
    while (!this.#stopped) {
      try {
        this.#take(client, await client.exchange({ port: this.#made.port, agent: this.#agent }, [masterKeyId]));
      } catch {
        await delay(5); // the server is down: the line broke at some moment
      }
    }
  }

  #take(client: HonestClient, answer: Answer): void {
    if (answer.status === 200) {
      const { seq, hash } = answer.body.head as { seq: number; hash: string };
      this.receipts.push({ link: client.state.current, seq, hash });
    } else if (answer.body.code !== 'stale_message') {
      this.surprises.push(`${answer.status} ${answer.text}`);
    }
  }
}

function startServer(made: MadeServer): Promise<ChildProcess> {
  const argv = ['--disable-warning=ExperimentalWarning', resolve(project, 'keyserver/main.ts'), 'start'];
  const server = spawn(process.execPath, [...argv, '--data', made.data, '--keyfile', made.keyfile], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '', NODE_COMPILE_CACHE: resolve(project, '.cache/crash-test') },
  });
  return new Promise((done, failed) => {
    server.stdout?.once('data', () => done(server));
    server.once('exit', (code) => failed(new Error(`the server did not start again: exit ${code}`)));
  });
}

async function kill(server: ChildProcess): Promise<void> {
  server.removeAllListeners('exit');
  const gone = new Promise((done) => server.once('exit', done));
  server.kill('SIGKILL');
  await gone;
}

/** `audit verify`, and a record for each receipt that came in since. */
async function inspect(made: MadeServer, receipts: readonly Receipt[]): Promise<number> {
  const data = await openServerData(made.data);
  try {
    return await data.store.read(async (tx) => {
      const report = await verifyAudit(tx, data.auditKey);
      for (const { seq, hash } of receipts) expect(await auditHashAt(tx, seq)).toBe(hash);
      return report.records;
    });
  } finally {
    await data.store.close();
  }
}

test('a server killed at any moment starts again, passes audit verify, released nothing without a record and accuses nobody', {
  timeout: timeLimit + 120_000,
}, async () => {
  const policy = { ratePerHour: 1_000_000_000, burst: 1_000_000, lockout: false };
  const made = await makeServer({ clients: clientCount, policy });
  const load = new Load(made);
  const driving = load.run();
  const until = Date.now() + timeLimit;
  let crashes = 0;
  let checked = 0;
  try {
    while (crashes < fewestCrashes || (crashes < wantedCrashes && Date.now() < until)) {
      const server = await startServer(made);
      // each second one has released something, however slow the machine is
      const before = load.receipts.length;
      if (crashes % 2 === 1) await expect.poll(() => load.receipts.length, { timeout: 30_000 }).toBeGreaterThan(before);
      await delay(Math.random() * 250);
      await kill(server);
      crashes += 1;
      await delay(10); // answers already on their way
      const receipts = load.receipts.slice(checked);
      await inspect(made, receipts);
      checked += receipts.length;
    }
  } finally {
    load.stop();
    await driving;
  }
  expect(load.surprises).toEqual([]);
  expect(load.receipts.length).toBeGreaterThanOrEqual(Math.floor(crashes / 2));
  const data = await openServerData(made.data);
  const rows = await data.store.read((tx) => readAudit(tx, 0, 1_000_000));
  await data.store.close();
  const records = rows.map(({ body }) => JSON.parse(body) as { event: string; link?: string });
  expect(records.filter(({ event }) => event === 'key_released').length).toBeGreaterThanOrEqual(load.receipts.length);
  expect(records.filter(({ event }) => event === 'fork_detected')).toEqual([]);
  rmSync(dirname(made.data), { recursive: true, force: true });
});
