import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Alert, alertTexts, factsOf, sameAs } from '../../keyserver/alerts/alert.ts';
import { alertSchema } from '../../keyserver/alerts/alert-schema.ts';
import { noticeOf, showAlert } from '../../keyserver/alerts/notice.ts';
import { raiseAlert } from '../../keyserver/alerts/raise.ts';
import type { QueuedMessage } from '../../platform/alert-outbox.ts';
import { readOutbox } from '../../platform/alert-report.ts';
import {
  discordRequest,
  matrixRequest,
  ntfyRequest,
  slackRequest,
  webhookRequest,
} from '../../platform/alerts/shapes.ts';
import { makeTestData, someMoment, type TestData } from './test-data.ts';

const client = { id: 'lk-0123456789abcdef01234567', name: 'cloud' };
const source = '10.8.0.2';
const side = { source, time: someMoment, bootId: '3c1f0b5e-0000-4000-8000-000000000000', fingerprint: 'a'.repeat(64) };
const otherSide = { ...side, source: '10.8.0.9', releasedAt: someMoment };

/** One of each event. */
const everyAlert: readonly Alert[] = [
  { event: 'fork', client, call: 'open', policy: 'lock+purge', locked: true, now: side, before: otherSide },
  {
    event: 'hold',
    client,
    gate: 'presence',
    approval: 'ap-1',
    source,
    reason: 'away',
    page: null,
    lapsesAt: someMoment,
  },
  { event: 'fingerprint_changed', client, source, was: null, is: 'b'.repeat(64), outcome: 'held' },
  { event: 'presence_gap', client, source, from: someMoment, to: someMoment, fault: 'client', outcome: 'held' },
  { event: 'habit', client, source, reason: 'asks far more often than usual', outcome: 'alerted' },
  { event: 'server_rollback_suspected', client, source, seen: 900, head: 800 },
  { event: 'source_refused', client, source, call: 'open' },
  { event: 'lockout', client: null, source, call: 'enroll' },
  { event: 'killed', client: null, by: 'command', reason: 'burglary' },
  { event: 'revived', client, by: 'page' },
  { event: 'client_enrolled', client, source, host: 'web-1' },
  { event: 'client_reset', client, was: 'locked' },
  { event: 'certificate_expiring', client: null, purpose: 'ca', endsAt: someMoment },
  { event: 'app_watch', client, source, code: 'reapplied', at: someMoment, from: '32.0.2', to: '33.0.1' },
  { event: 'certificate_refused', client, source, reason: 'revoked' },
  { event: 'approval_decided', client, approval: 'ap-1', gate: 'presence', decision: 'denied', by: 'command' },
  { event: 'approval_lapsed', client, approval: 'ap-1', gate: 'presence' },
  { event: 'degraded', since: someMoment, until: null },
  { event: 'server_started', startedAt: someMoment, aliveAt: someMoment },
  { event: 'backup_failed', reason: 'the disk is full', lastGood: null },
  { event: 'audit_broken', record: 7, reason: 'the record is missing' },
  { event: 'test' },
];

const queued = (alert: Alert, more: Partial<QueuedMessage> = {}): QueuedMessage => ({
  seq: 3,
  severity: alertTexts(alert).severity,
  body: JSON.stringify(factsOf(alert)),
  raisedAt: someMoment,
  earlier: 0,
  ...more,
});
const notice = (...alerts: Alert[]) =>
  noticeOf(
    alerts.map((alert, index) => queued(alert, { seq: index + 1 })),
    'https://10.8.0.1:8443',
  );

describe('an alert', () => {
  test('of every event has its texts, on whole lines and without a gap', () => {
    const events = alertSchema.options.map((option) => option.shape.event.value);
    expect(everyAlert.map((alert) => alert.event)).toEqual(events);
    for (const alert of everyAlert) {
      const { title, happened, done, todo } = alertTexts(alert);
      for (const text of [title, happened, done, todo]) {
        expect(text, alert.event).toMatch(/^\S.*\S$/);
        expect(text, alert.event).not.toMatch(/undefined|NaN|\[object|null| {2}/);
      }
      expect(title.length, alert.event).toBeLessThan(80);
    }
  });

  test('keeps of what it is handed only what an alert has: no digest, no sealed secret', () => {
    const whole = { ...client, tokenHash: 'canary-token', totpSealed: 'canary-totp', link: 'canary-link' };
    const alerts: Alert[] = everyAlert.map((alert) => ('client' in alert ? { ...alert, client: whole } : alert));
    const spilled = { event: 'test', token: 'canary-extra' } as unknown as Alert;
    const texts = [...alerts, spilled].map((alert) =>
      JSON.stringify([factsOf(alert), alertTexts(alert), sameAs(alert)]),
    );
    expect(texts.join()).toContain('lk-0123');
    expect(texts.join()).not.toContain('canary');
  });

  test('holds foreign words on one line, short, and without signs that turn text around', () => {
    const host = `web\r\nFrom: evil\u202e\u0007${'x'.repeat(300)}`;
    const facts = factsOf({ event: 'client_enrolled', client, source, host });
    expect(facts).toMatchObject({ host: expect.stringMatching(/^web From: evil x{185}$/) });
  });

  test('is refused when it is none', () => {
    expect(() => factsOf({ event: 'nothing' } as unknown as Alert)).toThrow();
    expect(() => factsOf({ event: 'killed', client: null, by: 'magic', reason: null } as unknown as Alert)).toThrow();
  });

  test('of a locking fork is always news, of one that locks nothing is counted per source', () => {
    const fork = everyAlert[0] as Extract<Alert, { event: 'fork' }>;
    expect(sameAs(fork)).toBeNull();
    const told = sameAs({ ...fork, locked: false });
    expect(sameAs({ ...fork, locked: false, now: { ...side, source: '10.8.0.7' } })).not.toEqual(told);
    expect(sameAs({ ...fork, locked: false, client: { ...client, id: 'lk-other' } })).not.toEqual(told);
    expect(sameAs({ ...fork, locked: false, now: { ...side, time: someMoment + 1 } })).toEqual(told);
  });
});

describe('a notice', () => {
  test('of one alert says what happened, what was done, what to do, when and where', () => {
    const fork = everyAlert[0] as Alert;
    const { id, title, severity, text } = notice(fork);
    expect({ title, severity }).toEqual({ title: 'two machines hold the credentials of cloud', severity: 'critical' });
    for (const part of [
      '10.8.0.2',
      '10.8.0.9',
      '3c1f0b5e',
      'aaaaaaaaaaaa',
      '2026-11-20T12:00:00Z',
      'client reset cloud',
    ]) {
      expect(text).toContain(part);
    }
    expect(text).toContain('key server https://10.8.0.1:8443');
    expect(id).toBe(notice(fork).id);
    expect(id).not.toBe(noticeOf([queued(fork, { seq: 2 })], 'https://10.8.0.1:8443').id);
  });

  test('tells how often it happened before', () => {
    const alert: Alert = { event: 'source_refused', client, source, call: 'open' };
    expect(noticeOf([queued(alert, { earlier: 41 })], 'x').text).toContain('41 more times');
  });

  test('of many alerts lists them, forty at the most', () => {
    const alerts = Array.from({ length: 60 }, (): Alert => ({ event: 'source_refused', client, source, call: 'open' }));
    const {
      title,
      text,
      alerts: items,
    } = notice(...alerts, { event: 'lockout', client: null, source, call: 'enroll' });
    expect(title).toBe('61 alerts: source_refused 60, lockout 1');
    expect(text.split('\n').filter((line) => line.includes('wrong address'))).toHaveLength(40);
    expect(text).toContain('and 21 more');
    expect(items).toHaveLength(61);
  });

  test('of an alert from another version says so instead of failing', () => {
    const item = showAlert({ body: '{"event":"from_the_future","link":"canary"}' });
    expect(item).toMatchObject({ event: 'unknown', severity: 'warning' });
    expect(JSON.stringify(item)).not.toContain('canary');
  });
});

describe('the shape for', () => {
  const evil: Alert = { event: 'client_enrolled', client, source, host: '<!channel>@everyone*_`|&' };

  test('a webhook holds everything that is known, and the token in its header', () => {
    const request = webhookRequest(notice(evil), 'https://hooks.example/path', 'tk');
    expect(request).toMatchObject({
      method: 'POST',
      url: 'https://hooks.example/path',
      headers: { Authorization: 'Bearer tk' },
    });
    expect(request.body).toMatchObject({
      version: 1,
      severity: 'info',
      title: 'cloud was enrolled',
      alerts: [{ event: 'client_enrolled', facts: { client, source }, raisedAt: someMoment, earlier: 0 }],
    });
    expect(webhookRequest(notice(evil), 'https://hooks.example/path', null).headers).toEqual({});
  });

  test('ntfy goes to the root with the topic inside, within 4,096 bytes', () => {
    const long = notice(
      ...Array.from(
        { length: 60 },
        () => ({ event: 'habit', client, source, reason: 'ü'.repeat(200), outcome: 'held' }) as Alert,
      ),
    );
    const request = ntfyRequest({ ...long, text: 'ü'.repeat(5000) }, 'https://ntfy.example/my_topic', 'tk_1');
    expect(request).toMatchObject({
      method: 'POST',
      url: 'https://ntfy.example/',
      headers: { Authorization: 'Bearer tk_1' },
    });
    expect(request.body).toMatchObject({ topic: 'my_topic', priority: 4, title: expect.stringContaining('60 alerts') });
    const { message } = request.body as { message: string };
    expect(Buffer.byteLength(message)).toBeLessThanOrEqual(4096);
    expect(message).toMatch(/^ü+…$/);
  });

  test('Slack has no mention and no link in it', () => {
    const { text } = slackRequest(notice(evil), 'https://hooks.slack.com/services/x').body as { text: string };
    expect(text).toContain('&lt;!channel&gt;@everyone');
    expect(text).not.toMatch(/[<>]|&(?!amp;|lt;|gt;)/);
  });

  test('Discord rings nobody, marks nothing up, and is 2,000 characters at the most', () => {
    const body = discordRequest(
      { ...notice(evil), text: `${'*'.repeat(3000)}` },
      'https://discord.com/api/webhooks/1/x',
    ).body;
    expect(body).toMatchObject({ allowed_mentions: { parse: [] }, flags: 4 });
    const { content } = body as { content: string };
    expect(content.length).toBeLessThanOrEqual(2000);
    expect(content).not.toMatch(/(?<!\\)\*/);
  });

  test('Matrix goes to the room with an id that repeats, and the token in its header only', () => {
    const request = matrixRequest(notice(evil), 'https://matrix.example/', '!abc:example.org', 'syt_1');
    const { id } = notice(evil);
    expect(request.url).toBe(
      `https://matrix.example/_matrix/client/v3/rooms/!abc%3Aexample.org/send/m.room.message/${id}`,
    );
    expect(request).toMatchObject({
      method: 'PUT',
      headers: { Authorization: 'Bearer syt_1' },
      body: { msgtype: 'm.text' },
    });
    expect(JSON.stringify(request.body)).not.toContain('syt_1');
  });

  test('any service is valid JSON whatever the words are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (host) => {
        const one = notice({ event: 'client_enrolled', client, source, host });
        const bodies = [
          webhookRequest(one, 'https://a.example/', null).body,
          ntfyRequest(one, 'https://a.example/t', null).body,
          slackRequest(one, 'https://a.example/').body,
          discordRequest(one, 'https://a.example/').body,
          matrixRequest(one, 'https://a.example', '!r:a', 't').body,
        ];
        for (const body of bodies) expect(JSON.parse(JSON.stringify(body))).toEqual(body);
      }),
    );
  });
});

describe('raiseAlert()', () => {
  let at: TestData;
  beforeEach(async () => {
    at = await makeTestData();
  });
  afterEach(() => at.remove());

  const channel = (name: string, least: 'info' | 'warning' | 'critical') =>
    at.data.store.transaction((tx) =>
      tx
        .insertInto('alert_channel')
        .values({ name, kind: 'command', least, config: '{}', secret_sealed: null, created_at: someMoment })
        .execute(),
    );
  const raise = (alert: Alert, now = someMoment) => at.data.store.transaction((tx) => raiseAlert(tx, alert, now));
  const log = () => at.data.store.read((tx) => readOutbox(tx, 10));

  test('queues for the channels that want that severity', async () => {
    await channel('all', 'info');
    await channel('some', 'warning');
    await channel('few', 'critical');
    await raise({ event: 'test' });
    await raise({ event: 'source_refused', client, source, call: 'open' });
    await raise({ event: 'killed', client: null, by: 'command', reason: null });
    expect((await log()).map((one) => one.deliveries.map((delivery) => delivery.channel))).toEqual([
      ['all'],
      ['all', 'some'],
      ['all', 'few', 'some'],
    ]);
  });

  test('keeps what happened although there is nobody to tell', async () => {
    await raise({ event: 'source_refused', client, source, call: 'open' });
    await raise({ event: 'source_refused', client, source, call: 'open' }, someMoment + 1);
    expect(await log()).toMatchObject([{ severity: 'warning', repeats: 1, deliveries: [] }]);
  });

  test('stores nothing of a whole client row but its id and name', async () => {
    await at.add();
    const row = await at.data.store.read((tx) => tx.selectFrom('client').selectAll().executeTakeFirstOrThrow());
    await raise({ event: 'client_reset', client: row, was: 'enrolled' });
    const stored = JSON.parse((await log())[0]?.body ?? '') as { client: object };
    expect(stored.client).toEqual({ id: row.id, name: 'cloud' });
  });
});
