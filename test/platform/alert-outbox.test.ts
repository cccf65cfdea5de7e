import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { alerts } from '../../keyserver/migrations/003-alerts.ts';
import { AlertDelivery, type OutboxChannel } from '../../platform/alert-delivery.ts';
import {
  type Claim,
  claimNext,
  dueChannels,
  enqueue,
  giveUpChannel,
  type OutboxMessage,
  type OutboxTables,
  retryDelay,
  schedule,
  settleFailed,
  settleSent,
  wakeAfterCommit,
} from '../../platform/alert-outbox.ts';
import { channelHealth, readOutbox } from '../../platform/alert-report.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { createLog } from '../../platform/log.ts';
import { openSqlite } from '../../platform/sqlite.ts';
import type { Store } from '../../platform/store.ts';

const start = Date.UTC(2026, 10, 21, 9);
const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

let folder: string;
let path: string;
let store: Store<OutboxTables>;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-outbox-'));
  path = join(folder, 'outbox.db');
  store = await open();
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

const open = () => openSqlite<OutboxTables>(path, { migrations: { '003-alerts': alerts }, create: true });

const news = (body = 'news', severity = 'warning'): OutboxMessage => ({ severity, body, same: null });
const again = (topic: string, quiet = hour): OutboxMessage => ({ ...news(topic), same: { topic, quiet } });

const queue = (message: OutboxMessage, at = start, channels: readonly string[] = ['mail']) =>
  store.transaction((tx) => enqueue(tx, message, channels, at));
const claim = (at: number, channel = 'mail', from = store) => from.transaction((tx) => claimNext(tx, channel, at));
const sent = (taken: Claim, at: number) => store.transaction((tx) => settleSent(tx, taken, at));
const failed = (taken: Claim, at: number, delay = minute) =>
  store.transaction((tx) => settleFailed(tx, taken, 'no answer', delay, at));
const log = (count = 100) => store.read((tx) => readOutbox(tx, count));
const bodies = (taken: Claim | null) => taken?.messages.map((message) => message.body);

async function mustClaim(at: number, channel = 'mail'): Promise<Claim> {
  const taken = await claim(at, channel);
  if (taken === null) throw new Error('nothing was due');
  return taken;
}

describe('enqueue()', () => {
  test('leaves nothing when its transaction fails', async () => {
    const attempt = store.transaction(async (tx) => {
      await enqueue(tx, news(), ['mail'], start);
      throw new LatchkeyError('no', 'no');
    });
    await expect(attempt).rejects.toMatchObject({ code: 'no' });
    expect(await log()).toEqual([]);
    expect(await claim(start)).toBeNull();
  });

  test('queues one delivery for each channel, and keeps what nobody is to be told', async () => {
    await queue(news('for two'), start, ['mail', 'phone']);
    await queue(news('for none'), start, []);
    expect((await log()).map(({ body, deliveries }) => [body, deliveries.map((one) => one.channel)])).toEqual([
      ['for two', ['mail', 'phone']],
      ['for none', []],
    ]);
    expect(await store.read((tx) => dueChannels(tx, start))).toEqual(['mail', 'phone']);
  });

  test('counts the same thing within its quiet time, and the next message tells how often', async () => {
    expect(await queue(again('lock'))).toBe(true);
    expect(await queue(again('lock'), start + 1)).toBe(false);
    expect(await queue(again('lock'), start + hour - 1)).toBe(false);
    expect(await queue(again('lock'), start + hour)).toBe(true);
    const messages = await log();
    expect(messages.map(({ raisedAt, repeats, lastAt }) => ({ raisedAt, repeats, lastAt }))).toEqual([
      { raisedAt: start, repeats: 2, lastAt: start + hour - 1 },
      { raisedAt: start + hour, repeats: 0, lastAt: start + hour },
    ]);
    const first = await mustClaim(start + hour);
    await sent(first, start + hour);
    const second = await mustClaim(start + hour);
    expect([first.messages[0]?.earlier, second.messages[0]?.earlier]).toEqual([0, 2]);
  });

  test('counts no other thing, nothing that is always news, and nothing from a clock that was set back', async () => {
    await queue(again('one'));
    expect(await queue(again('two'))).toBe(true);
    expect(await queue(news())).toBe(true);
    expect(await queue(news())).toBe(true);
    expect(await queue(again('one'), start - 2 * hour)).toBe(true);
    expect(await log()).toHaveLength(5);
  });

  test('keeps the newest 10,000 messages', async () => {
    await store.transaction(async (tx) => {
      for (const seq of [1, 100, 101, 10_099]) {
        const counts = { topic: null, raised_at: start, last_at: start, repeats: 0, earlier: 0 };
        await tx
          .insertInto('outbox_message')
          .values({ seq, severity: 'info', body: `${seq}`, ...counts })
          .execute();
        const waiting = { state: 'waiting', attempts: 0, due_at: start, settled_at: null, error: null } as const;
        await tx
          .insertInto('outbox_delivery')
          .values({ seq, channel: 'mail', severity: 'info', ...waiting })
          .execute();
      }
    });
    await queue(news('10100'));
    expect((await log()).map((message) => message.seq)).toEqual([101, 10_099, 10_100]);
    const left = await store.read((tx) => tx.selectFrom('outbox_delivery').select('seq').orderBy('seq').execute());
    expect(left.map((row) => row.seq)).toEqual([101, 10_099, 10_100]);
  });
});

describe('a claim', () => {
  test('is nobody else’s until its lease is over, and then anybody’s', async () => {
    await queue(news());
    const mine = await mustClaim(start);
    expect(await claim(start)).toBeNull();
    expect(await claim(start + schedule.lease - 1)).toBeNull();
    const theirs = await mustClaim(start + schedule.lease);
    expect([mine.attempts, theirs.attempts]).toEqual([1, 2]);
  });

  test('is one server’s when two that share a database ask at once', async () => {
    const other = await open();
    for (let count = 0; count < 4; count++) await queue(news(`${count}`));
    const claims = await Promise.all(
      [store, other, store, other, store, other].map((from) => claim(start, 'mail', from)),
    );
    expect(claims.flatMap((taken) => bodies(taken) ?? []).sort()).toEqual(['0', '1', '2', '3']);
    await other.close();
  });

  test('of one channel leaves the others alone', async () => {
    await queue(news(), start, ['mail', 'phone']);
    await mustClaim(start, 'mail');
    expect(bodies(await claim(start, 'phone'))).toEqual(['news']);
    expect(await claim(start, 'pager')).toBeNull();
  });

  test('that went out is not due again', async () => {
    await queue(news());
    await sent(await mustClaim(start), start);
    expect(await claim(start + 100 * hour)).toBeNull();
    expect((await log())[0]?.deliveries).toMatchObject([
      { state: 'sent', attempts: 1, settled_at: start, error: null },
    ]);
  });
});

describe('a delivery that fails', () => {
  test('is tried again after 10 s, doubling to an hour, less up to a quarter by chance', () => {
    const delays = (byte: number) =>
      Array.from({ length: 12 }, (_, index) => retryDelay(index + 1, () => Buffer.from([byte])) / second);
    expect(delays(0)).toEqual([10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600]);
    for (const [index, delay] of delays(255).entries()) {
      const whole = delays(0)[index] ?? 0;
      expect(delay).toBeGreaterThanOrEqual(whole * 0.75);
      expect(delay).toBeLessThan(whole * 0.76);
    }
    expect(retryDelay(10_000, () => Buffer.from([0]))).toBe(hour);
  });

  test('waits for its time, and is visible with its reason', async () => {
    await queue(news());
    await failed(await mustClaim(start), start, 10 * second);
    expect(await claim(start + 10 * second - 1)).toBeNull();
    expect(await store.read(channelHealth)).toMatchObject([
      { channel: 'mail', waiting: 1, givenUp: 0, error: 'no answer' },
    ]);
    expect((await mustClaim(start + 10 * second)).attempts).toBe(2);
  });

  test('holds back what waits for the same channel, not what is raised afterwards', async () => {
    await queue(news('old'));
    await queue(news('waits'));
    await failed(await mustClaim(start), start, hour);
    expect(await claim(start + 1)).toBeNull();
    await queue(news('new'), start + 1);
    expect(bodies(await claim(start + 1))).toEqual(['new']);
  });

  test('is tried at once when the channel works again', async () => {
    await queue(news('old'));
    await failed(await mustClaim(start), start, hour);
    await queue(news('new'), start + 1);
    await sent(await mustClaim(start + 1), start + 1);
    expect(bodies(await claim(start + 1))).toEqual(['old']);
  });

  test('is given up after three days and ten tries, not before, and stays visible', async () => {
    await queue(news());
    const late = start + schedule.giveUpAfter + 1;
    const attempts = async (at: number): Promise<number> => failed(await mustClaim(at), at, 1);
    for (let count = 1; count < schedule.leastAttempts; count++) expect(await attempts(late + count)).toBe(0);
    expect(await attempts(late + schedule.leastAttempts)).toBe(1);
    expect(await claim(late + 100 * hour)).toBeNull();
    expect((await log())[0]?.deliveries).toMatchObject([{ state: 'given_up', attempts: 10, error: 'no answer' }]);
    expect(await store.read(channelHealth)).toMatchObject([{ waiting: 0, givenUp: 1, error: 'no answer' }]);
  });

  test('is not given up by many tries alone', async () => {
    await queue(news());
    for (let count = 0; count < 40; count++)
      expect(await failed(await mustClaim(start + count), start + count, 1)).toBe(0);
    expect(await failed(await mustClaim(start + schedule.giveUpAfter), start + schedule.giveUpAfter, 1)).toBe(0);
  });

  test('is due when the clock was set back by days', async () => {
    await queue(news());
    await failed(await mustClaim(start), start, hour);
    expect(bodies(await claim(start - 48 * hour))).toEqual(['news']);
  });

  test('ends with its channel', async () => {
    await queue(news());
    await store.transaction((tx) => giveUpChannel(tx, 'mail', 'the channel was removed', start));
    expect(await claim(start + hour)).toBeNull();
    expect((await log())[0]?.deliveries).toMatchObject([{ state: 'given_up', error: 'the channel was removed' }]);
  });
});

describe('a flood', () => {
  const many = async (count: number, at = start, severity = 'warning') => {
    for (let index = 0; index < count; index++) await queue(news(`${severity} ${index}`, severity), at);
  };

  test('of five goes out one by one, of six as one message', async () => {
    await many(5);
    for (let index = 0; index < 5; index++) {
      const taken = await mustClaim(start);
      expect(bodies(taken)).toEqual([`warning ${index}`]);
      await sent(taken, start);
    }
    await queue(news('other', 'info'));
    await many(6, start + hour, 'critical');
    expect(bodies(await claim(start + hour))).toHaveLength(1); // the one of another severity
    expect(bodies(await claim(start + hour))).toHaveLength(6);
  });

  test('waits five minutes after the fifth, then comes together; another severity does not wait', async () => {
    await many(5);
    for (let index = 0; index < 5; index++) await sent(await mustClaim(start), start);
    await many(3, start + second);
    expect(await claim(start + second)).toBeNull();
    await many(1, start + second, 'critical');
    const urgent = await mustClaim(start + second);
    expect(bodies(urgent)).toEqual(['critical 0']);
    await sent(urgent, start + second);
    expect(await claim(start + schedule.digestPause - 1)).toBeNull();
    const digest = await mustClaim(start + schedule.digestPause);
    expect(bodies(digest)).toEqual(['warning 0', 'warning 1', 'warning 2']);
    await sent(digest, start + schedule.digestPause);
    await many(1, start + schedule.digestPause + schedule.floodWindow);
    expect(bodies(await claim(start + schedule.digestPause + schedule.floodWindow))).toEqual(['warning 0']);
  });

  test('is retried as a whole, and marked as sent as a whole', async () => {
    await many(7);
    await failed(await mustClaim(start), start, minute);
    const digest = await mustClaim(start + minute);
    expect(bodies(digest)).toHaveLength(7);
    await sent(digest, start + minute);
    expect((await log()).map((message) => message.deliveries[0]?.state)).toEqual(Array(7).fill('sent'));
  });
});

describe('AlertDelivery', () => {
  let now: number;
  let lines: string[];
  let running: AlertDelivery[];
  beforeEach(() => {
    now = start;
    lines = [];
    running = [];
  });
  afterEach(async () => {
    await Promise.all(running.map((delivery) => delivery.stop()));
  });

  function deliver(channels: Record<string, OutboxChannel['send']>, send = 20_000): AlertDelivery {
    const destination = { write: (line: string) => void lines.push(line) };
    const map = new Map(Object.entries(channels).map(([name, send]) => [name, { send }]));
    const delivery = new AlertDelivery({
      store,
      clock: { now: () => now },
      random: (count) => Buffer.alloc(count),
      log: createLog({ level: 'debug', destination }),
      channels: async () => map,
      limits: { send, farewell: 50 },
    });
    running.push(delivery);
    return delivery;
  }

  const broken = new LatchkeyError('alert_not_sent', 'the receiver answered 500', { retryAfter: 90 });

  test('is woken by the commit of a queued message, and by no other', async () => {
    let wakes = 0;
    const told = wakeAfterCommit(store, () => {
      wakes += 1;
    });
    await told.transaction((tx) => tx.selectFrom('outbox_message').selectAll().execute());
    await told.transaction((tx) => enqueue(tx, again('x'), ['mail'], start));
    await told.transaction((tx) => enqueue(tx, again('x'), ['mail'], start)); // only counted
    await expect(
      told.transaction(async (tx) => {
        await enqueue(tx, news(), ['mail'], start);
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(wakes).toBe(1);
  });

  test('brings everything out, each message to each of its channels once', async () => {
    const got: string[] = [];
    const keep =
      (name: string): OutboxChannel['send'] =>
      async (messages) => {
        got.push(...messages.map((message) => `${name} ${message.body}`));
      };
    await queue(news('a'), start, ['mail', 'phone']);
    await queue(news('b'), start, ['phone']);
    const delivery = deliver({ mail: keep('mail'), phone: keep('phone') });
    delivery.start();
    await delivery.idle();
    delivery.wake();
    await delivery.idle();
    expect(got.sort()).toEqual(['mail a', 'phone a', 'phone b']);
  });

  test('does not let a channel that hangs hold up another, and gives the hanging one its time only', async () => {
    const got: string[] = [];
    await queue(news('a'), start, ['hangs', 'works']);
    const delivery = deliver(
      {
        hangs: () => new Promise(() => undefined),
        works: async () => {
          expect((await log())[0]?.deliveries[0]).toMatchObject({ channel: 'hangs', state: 'waiting', error: null });
          got.push('works');
        },
      },
      50,
    );
    delivery.start();
    await delivery.idle();
    expect(got).toEqual(['works']);
    expect((await log())[0]?.deliveries).toMatchObject([
      { channel: 'hangs', state: 'waiting', error: 'it did not end in time' },
      { channel: 'works', state: 'sent' },
    ]);
  });

  test('waits as long as the receiver asks, and logs why', async () => {
    await queue(news());
    let tries = 0;
    const delivery = deliver({
      mail: async () => {
        tries += 1;
        throw broken;
      },
    });
    const look = async (at: number) => {
      now = at;
      delivery.wake();
      await delivery.idle();
    };
    await look(start);
    await look(start + 89_999);
    expect(tries).toBe(1);
    await look(start + 90_000);
    expect(tries).toBe(2);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 40,
      msg: 'alert was not delivered',
      channel: 'mail',
      reason: 'the receiver answered 500',
    });
  });

  test('tells nothing of a foreign error, which may quote what it was given', async () => {
    await queue(news());
    const delivery = deliver({ mail: () => Promise.reject(new Error('https://hooks.example/canary refused')) });
    delivery.start();
    await delivery.idle();
    expect(JSON.stringify(await log()) + lines.join()).not.toContain('canary');
    expect((await log())[0]?.deliveries[0]?.error).toBe('something broke that should not have');
  });

  test('fails what is for a channel that is not there', async () => {
    await queue(news(), start, ['gone']);
    const delivery = deliver({});
    delivery.start();
    await delivery.idle();
    expect((await log())[0]?.deliveries[0]).toMatchObject({
      state: 'waiting',
      error: 'the channel is not there any more',
    });
  });

  test('leaves what it did not finish to be claimed again', async () => {
    await queue(news());
    let begun = (): void => undefined;
    const sending = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const delivery = deliver({
      mail: (_messages, signal) => {
        begun();
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('cut'))));
      },
    });
    delivery.start();
    await sending;
    await delivery.stop();
    delivery.wake();
    await turn();
    expect((await log())[0]?.deliveries[0]).toMatchObject({ state: 'waiting', attempts: 1, error: null });
    expect(bodies(await claim(start + schedule.lease))).toEqual(['news']);
  });

  test('says once that the store does not answer, and goes on when it does', async () => {
    let answers = false;
    const flaky: Store<OutboxTables> = {
      transaction: (work) => store.transaction(work),
      read: (work) =>
        answers ? store.read(work) : Promise.reject(new LatchkeyError('store_not_written', 'the disk is full')),
      close: () => store.close(),
    };
    const got: string[] = [];
    const delivery = new AlertDelivery({
      store: flaky,
      clock: { now: () => now },
      random: (count) => Buffer.alloc(count),
      log: createLog({ level: 'debug', destination: { write: (line: string) => void lines.push(line) } }),
      channels: async () => new Map([['mail', { send: async () => void got.push('sent') }]]),
    });
    running.push(delivery);
    await queue(news());
    for (let count = 0; count < 3; count++) {
      delivery.wake();
      await delivery.idle();
    }
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('the disk is full');
    answers = true;
    delivery.wake();
    await delivery.idle();
    expect(got).toEqual(['sent']);
  });
});
