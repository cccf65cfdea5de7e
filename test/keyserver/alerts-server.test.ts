import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { afterEach, describe, expect, test } from 'vitest';
import { checkAudit } from '../../keyserver/alerts/audit-watch.ts';
import { addChannel, newChannel } from '../../keyserver/alerts/channel-book.ts';
import { DegradedWatch } from '../../keyserver/alerts/degraded-watch.ts';
import type { AlertBacklog } from '../../keyserver/alerts/server-alerts.ts';
import { findClient, resetClient } from '../../keyserver/clients/client-admin.ts';
import { databaseFile, killFile } from '../../keyserver/data-directory.ts';
import { killAll, killClient, reviveAll } from '../../keyserver/kill-switch.ts';
import { Metrics } from '../../keyserver/metrics.ts';
import { openServerData } from '../../keyserver/server-data.ts';
import type { OutboxChannel } from '../../platform/alert-delivery.ts';
import { AlertDelivery } from '../../platform/alert-delivery.ts';
import { schedule } from '../../platform/alert-outbox.ts';
import { type LoggedMessage, readOutbox } from '../../platform/alert-report.ts';
import { systemRandom } from '../../platform/clock.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { guardStore } from '../../platform/guarded-store.ts';
import { createLog } from '../../platform/log.ts';
import { keyfileMethod } from '../../platform/vault/unseal.ts';
import { unsealVault } from '../../platform/vault/vault-file.ts';
import { BackgroundProcess } from '../harness/background-process.ts';
import { projectProgram } from '../harness/keyserver-process.ts';
import { AlertReceiver } from './alert-receiver.ts';
import { call, type HonestClient } from './honest-client.ts';
import { type MadeServer, makeServer, masterKeyId } from './made-server.ts';
import { RunningServer } from './running-server.ts';
import { makeTestData } from './test-data.ts';

/** Planted in the channel's secret; in no log, no list and no message. */
const canary = { path: '/canary-path-b5d1', token: 'canary-token-77aa' };

let cleanup: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const undo of cleanup.reverse()) await undo();
  cleanup = [];
});

async function receiver(): Promise<AlertReceiver> {
  const made = await AlertReceiver.start();
  cleanup.push(() => made.stop());
  return made;
}

/** A server that runs, and a webhook that hears of its alerts. */
async function runningServer(wanted: Partial<Parameters<typeof RunningServer.start>[0]> = {}) {
  const web = await receiver();
  const server = await RunningServer.start({ clients: 1, ...wanted });
  cleanup.push(() => server.remove());
  await addWebhook(server.made, web, (work) => server.beside(work));
  return { web, server };
}

async function addWebhook(made: MadeServer, web: AlertReceiver, beside: RunningServer['beside']): Promise<void> {
  const vault = await unsealVault(made.data, keyfileMethod(made.keyfile), systemRandom);
  const config = { kind: 'webhook', ca: null, secretAt: null } as const;
  const secret = { url: web.url(canary.path), token: canary.token };
  const channel = newChannel('hook', 'info', config, secret, vault);
  await beside((tx) => addChannel(tx, channel, Date.now()));
}

/** The one alert of an event, waited for. */
async function heard(web: AlertReceiver, event: string): Promise<Record<string, unknown>> {
  const { body } = await web.waitForText(`"event":"${event}"`);
  return (body.alerts as Record<string, unknown>[])[0] ?? {};
}

/** What was raised since the clients were enrolled, which is the first thing to be told of. */
const sinceEnrolment = (messages: readonly LoggedMessage[], clients = 1): LoggedMessage[] => messages.slice(clients);
const log = async (server: RunningServer): Promise<LoggedMessage[]> =>
  sinceEnrolment(await server.beside((tx) => readOutbox(tx, 100)));
const eventsOf = (messages: readonly LoggedMessage[]): string[] =>
  messages.map((message) => (JSON.parse(message.body) as { event: string }).event);

/** A line from another address of this machine. */
function fromElsewhere(server: RunningServer): { port: number; agent: Agent } {
  const agent = new Agent({ ca: server.made.ca, servername: 'localhost', localAddress: '127.0.0.2' });
  cleanup.push(async () => agent.destroy());
  return { port: server.port, agent };
}

const open = (line: { port: number; agent: Agent }, client: HonestClient, more: object = {}) =>
  call(line, 'POST', '/v1/open', { ...client.openHeaders(), ...more }, client.openBody());

describe('a running server', () => {
  test('tells of a fork with both sides, and of no secret of either', async () => {
    const { web, server } = await runningServer();
    const host = server.client();
    await host.exchange(server, [masterKeyId]);
    const thief = host.copy();
    await host.exchange(server, [masterKeyId]);
    const answer = await open(fromElsewhere(server), thief);
    expect(answer.body.reason).toBe('fork');
    const fork = await heard(web, 'fork');
    expect(fork).toMatchObject({
      severity: 'critical',
      facts: {
        client: { id: host.credentials.clientId, name: 'client-0' },
        call: 'open',
        locked: true,
        now: { source: '127.0.0.2' },
        before: { source: '127.0.0.1', releasedAt: expect.any(Number) },
      },
    });
    expect(web.received[0]?.headers.authorization).toBe(`Bearer ${canary.token}`);
    await server.stop();
    const { token, totpSecret, link, grant } = host.credentials;
    const secrets = [
      token,
      totpSecret,
      link,
      grant,
      host.state.current,
      thief.state.current,
      canary.path,
      canary.token,
    ];
    const said = web.received.map((one) => one.text).join() + server.log.join() + JSON.stringify(await log(server));
    for (const secret of secrets) expect(said).not.toContain(secret);
    const stored = await server.beside((tx) => tx.selectFrom('alert_channel').selectAll().executeTakeFirstOrThrow());
    const row = `${JSON.stringify(stored)}${Buffer.from(stored.secret_sealed ?? []).toString('latin1')}`;
    expect(row).not.toContain('canary');
  });

  test('tells once of a source that is not the client’s', async () => {
    const { web, server } = await runningServer({ networks: ['127.0.0.1/32'] });
    const elsewhere = fromElsewhere(server);
    expect((await open(elsewhere, server.client())).status).toBe(403);
    expect(await heard(web, 'source_refused')).toMatchObject({ facts: { source: '127.0.0.2', call: 'open' } });
    expect((await open(elsewhere, server.client())).status).toBe(403);
    expect(eventsOf(await log(server))).toEqual(['source_refused']);
    expect(web.received).toHaveLength(1);
  });

  test('tells of the first wait of a lock-out, known client or not', async () => {
    const { web, server } = await runningServer();
    const host = server.client();
    const wrong = { 'X-Auth-Token': 'A'.repeat(43) };
    for (let count = 0; count < 7; count++) await open(server, host, wrong);
    expect(await heard(web, 'lockout')).toMatchObject({
      facts: { client: { name: 'client-0' }, source: '127.0.0.1', call: 'open' },
    });
    for (let count = 0; count < 7; count++) {
      await call(server, 'POST', '/v1/enroll', {}, { code: 'A'.repeat(43) });
    }
    await web.waitForText('wrong credentials again and again"');
    expect(eventsOf(await log(server))).toEqual(['lockout', 'lockout']);
  });

  test('tells nothing of a lock-out where there is none', async () => {
    const { server } = await runningServer({ policy: { lockout: false } });
    for (let count = 0; count < 7; count++) await open(server, server.client(), { 'X-Auth-Token': 'A'.repeat(43) });
    expect(await log(server)).toEqual([]);
  });

  test('tells that it was set back', async () => {
    const { web, server } = await runningServer();
    const host = server.client();
    const seen = { seq: 999, head: 'f'.repeat(64) };
    await call(server, 'POST', '/v1/open', host.openHeaders(), { ...host.openBody(), seen });
    expect(await heard(web, 'server_rollback_suspected')).toMatchObject({
      severity: 'critical',
      facts: { seen: 999, head: expect.any(Number), source: '127.0.0.1' },
    });
  });

  test('tells of what was done on the command line: kills, revivals, resets, enrolments', async () => {
    const { web, server } = await runningServer();
    const now = server.now();
    const { code } = await server.beside(async (tx) => {
      await killAll(tx, 'burglary', now);
      await killAll(tx, 'again', now);
      await reviveAll(tx, now);
      await killClient(tx, await findClient(tx, 'client-0'), null, now);
      return resetClient(tx, await findClient(tx, 'client-0'), false, now, systemRandom);
    });
    const answer = await call(server, 'POST', '/v1/enroll', {}, { code, name: 'web-1' });
    expect(answer.status).toBe(201);
    expect(await heard(web, 'client_enrolled')).toMatchObject({ facts: { host: 'web-1', source: '127.0.0.1' } });
    await web.waitForText('"event":"client_reset"');
    await web.waitForText('"event":"revived"');
    await web.waitForText('the kill switch of client-0');
    const messages = await log(server);
    expect(eventsOf(messages)).toEqual(['killed', 'revived', 'killed', 'client_reset', 'client_enrolled']);
    expect(JSON.stringify(messages)).not.toContain(code);
    expect(web.received.map((one) => one.text).join()).not.toContain(code);
  });

  test('tells of a file KILL, once', async () => {
    const { web, server } = await runningServer();
    await server.stop();
    writeFileSync(killFile(server.made.data), '');
    await server.resume();
    expect(await heard(web, 'killed')).toMatchObject({ facts: { client: null, by: 'file' } });
    expect(eventsOf(await log(server))).toEqual(['killed']);
    rmSync(killFile(server.made.data));
  });

  test('tells straight from memory that it cannot write, because it cannot queue', async () => {
    const { web, server } = await runningServer();
    await server.stop();
    await server.resume(); // it keeps in memory where to tell
    const database = databaseFile(server.made.data);
    renameSync(database, `${database}.away`);
    server.skew = 1_000; // the files are looked at ten times a second
    expect((await open(server, server.client())).body.code).toBe('degraded');
    expect(await heard(web, 'degraded')).toMatchObject({ severity: 'critical', facts: { until: null } });
    renameSync(`${database}.away`, database);
    expect(eventsOf(await log(server))).toEqual([]);
  });

  test('keeps and logs what could not be delivered', async () => {
    const { web, server } = await runningServer();
    web.behaviour = 500;
    const host = server.client();
    await call(server, 'POST', '/v1/open', host.openHeaders(), {
      ...host.openBody(),
      seen: { seq: 999, head: 'f'.repeat(64) },
    });
    await web.waitFor(1);
    await server.stop();
    expect((await log(server))[0]?.deliveries).toMatchObject([
      { state: 'waiting', error: 'the receiver answered 500' },
    ]);
    expect(server.log.join()).toContain('alert was not delivered');
    expect(server.log.join()).not.toMatch(/canary/);
  });
});

describe('a server process', () => {
  const start = (made: MadeServer): Promise<BackgroundProcess> => {
    const argv = [...projectProgram('keyserver/main.ts'), 'start', '--data', made.data, '--keyfile', made.keyfile];
    return BackgroundProcess.start(argv as [string, ...string[]], { readyWhen: /^serving /m });
  };

  test('killed between taking an alert and sending it loses nothing: another one sends it again', async () => {
    const web = await receiver();
    const made = await makeServer({ clients: 1 });
    const data = await openServerData(made.data);
    cleanup.push(() => data.store.close());
    await addWebhook(made, web, (work) => data.store.transaction(work));
    await data.store.transaction((tx) => killAll(tx, 'burglary', Date.now()));
    web.behaviour = 'hang';
    const first = await start(made);
    cleanup.push(() => first.kill());
    await web.waitFor(1); // it is being sent, and nobody knows how that ended
    await first.kill();
    const outbox = async () => sinceEnrolment(await data.store.read((tx) => readOutbox(tx, 5)));
    expect((await outbox())[0]?.deliveries).toMatchObject([{ state: 'waiting', attempts: 1 }]);

    web.behaviour = 200;
    const second = await start(made); // finds that the first was not stopped in order
    cleanup.push(() => second.kill());
    const started = await web.waitForText('"event":"server_started"');
    expect(started.body.severity).toBe('warning');
    await second.stop();

    // the killed one's lease is over a minute later
    const secret = { url: web.url(canary.path), token: canary.token };
    const { channelOf } = await import('../../keyserver/alerts/channel.ts');
    const config = { kind: 'webhook', ca: null, secretAt: null } as const;
    const delivery = new AlertDelivery({
      store: data.store,
      clock: { now: () => Date.now() + schedule.lease },
      random: systemRandom,
      log: createLog({ level: 'silent' }),
      channels: async () => new Map([['hook', channelOf(config, () => secret, data.config.url)]]),
    });
    delivery.start();
    await delivery.idle();
    await delivery.stop();
    const tries = web.received.filter((one) => one.text.includes('"event":"killed"'));
    expect(tries).toHaveLength(2);
    expect(tries[1]?.body).toEqual(tries[0]?.body);
    expect((await outbox()).map((one) => one.deliveries[0]?.state)).toEqual(['sent', 'sent']);
    expect(first.output() + second.output()).not.toContain('canary');

    const third = await start(made); // the second was stopped in order
    await third.stop();
    expect(eventsOf(await outbox())).toEqual(['killed', 'server_started']);
  });
});

describe('DegradedWatch', () => {
  const message = { level: 'debug' } as const;

  /** A store that fails as long as the database file is away, and a clock that runs only where the watch sleeps. */
  async function stage() {
    const at = await makeTestData();
    cleanup.push(() => at.remove());
    const path = databaseFile(at.data.directory);
    const store = guardStore(at.data.store, path, at.clock);
    const got: { readonly channel: string; readonly time: number }[] = [];
    const failing = new Set<string>();
    const lines: string[] = [];
    const channels = new Map<string, OutboxChannel>(
      ['mail', 'phone'].map((name) => [
        name,
        {
          send: async () => {
            if (failing.has(name)) throw new LatchkeyError('alert_not_sent', 'the receiver answered 500');
            got.push({ channel: name, time: at.clock.now() });
          },
        },
      ]),
    );
    const begin = at.clock.now();
    let rounds = 0;
    let onRound = (_round: number): void => undefined;
    const watch = new DegradedWatch({
      store,
      clock: at.clock,
      log: createLog({ ...message, destination: { write: (line: string) => void lines.push(line) } }),
      channels: () => channels,
      sleep: async (ms) => {
        at.clock.set(at.clock.now() + ms);
        onRound(rounds++);
      },
    });
    cleanup.push(() => watch.stop());
    return {
      at,
      store: watch.watched(store),
      watch,
      got,
      failing,
      lines,
      begin,
      breakIt: () => renameSync(path, `${path}.away`),
      mendIt: () => renameSync(`${path}.away`, path),
      each: (look: (round: number) => void) => {
        onRound = look;
      },
    };
  }

  const write = async (store: Awaited<ReturnType<typeof stage>>['store']) =>
    store.transaction((tx) => tx.selectFrom('client').select('id').execute()).catch(() => undefined);

  async function until(done: () => boolean): Promise<void> {
    while (!done()) await new Promise((resolve) => setImmediate(resolve));
  }

  test('says nothing of a failure that is over within three seconds', async () => {
    const s = await stage();
    s.breakIt();
    s.each(() => s.mendIt());
    s.at.clock.set(s.begin + 1_000);
    await write(s.store);
    await s.watch.stop();
    expect(s.got).toEqual([]);
    expect(await s.at.data.store.read((tx) => readOutbox(tx, 5))).toEqual([]);
  });

  test('tells each channel once an hour, tries a failing one again, and queues the end', async () => {
    const s = await stage();
    s.breakIt();
    s.failing.add('phone');
    const roundsAnHour = 3_600_000 / 30_000;
    let ended = false;
    s.each((round) => {
      if (round === 2) s.failing.clear();
      if (round === roundsAnHour + 3) {
        s.mendIt();
        ended = true;
      }
    });
    s.at.clock.set(s.begin + 1_000);
    const since = s.at.clock.now();
    await write(s.store);
    await write(s.store);
    await until(() => ended);
    let end: LoggedMessage | undefined;
    while (end === undefined) {
      await new Promise((resolve) => setImmediate(resolve));
      [end] = await s.at.data.store.read((tx) => readOutbox(tx, 5));
    }
    await s.watch.stop();
    const at = (channel: string) =>
      s.got.filter((one) => one.channel === channel).map((one) => (one.time - since) / 1000);
    expect(at('mail')).toEqual([3, 3603]);
    expect(at('phone')).toEqual([63, 3663]);
    expect(s.lines.filter((line) => line.includes('the store cannot be written'))).toHaveLength(1);
    expect(JSON.parse(end.body)).toMatchObject({ event: 'degraded', since, until: expect.any(Number) });
  });
});

describe('the metrics', () => {
  test('tell what waits and what was given up, and the rest when the store does not answer', async () => {
    const metrics = new Metrics();
    let answer = (): Promise<AlertBacklog> => Promise.resolve({ waiting: 3, givenUp: 1 });
    metrics.watchAlerts(() => answer());
    const text = await metrics.text();
    expect(text).toContain('latchkey_alerts{state="waiting"} 3');
    expect(text).toContain('latchkey_alerts{state="given_up"} 1');
    answer = () => Promise.reject(new Error('the disk is gone'));
    expect(await metrics.text()).not.toMatch(/latchkey_alerts\{/);
    expect(await metrics.text()).toContain('latchkey_forks_total 0');
  });
});

describe('checkAudit()', () => {
  test('finds a changed record and tells of it, once a day', async () => {
    const at = await makeTestData();
    cleanup.push(() => at.remove());
    await at.add();
    const { store, auditKey } = at.data;
    const now = (): number => at.clock.now();
    expect(await checkAudit(store, auditKey, now)).toBe(true);
    await store.transaction((tx) =>
      tx.updateTable('audit').set({ body: '{"event":"nothing"}' }).where('seq', '=', 2).execute(),
    );
    expect(await checkAudit(store, auditKey, now)).toBe(false);
    expect(await checkAudit(store, auditKey, now)).toBe(false);
    const messages = await store.read((tx) => readOutbox(tx, 5));
    expect(messages).toMatchObject([{ severity: 'critical', repeats: 1 }]);
    expect(JSON.parse(messages[0]?.body ?? '')).toMatchObject({ event: 'audit_broken', record: 2 });
  });
});
