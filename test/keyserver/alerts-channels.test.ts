import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { factsOf } from '../../keyserver/alerts/alert.ts';
import { channelOf } from '../../keyserver/alerts/channel.ts';
import { tryChannels } from '../../keyserver/alerts/try-channels.ts';
import { createAuthority, issueServerIdentity } from '../../keyserver/certificates/issuing.ts';
import {
  type ChannelConfig,
  type ChannelSecret,
  channelTarget,
  parseConfig,
  parseSecret,
} from '../../platform/alerts/channel-config.ts';
import { type MailRoute, sendMail } from '../../platform/alerts/email.ts';
import type { Notice } from '../../platform/alerts/notice.ts';
import { systemRandom } from '../../platform/clock.ts';
import { privateKeyPem } from '../../platform/listening/identity.ts';
import { freePort } from '../harness/free-port.ts';
import { AlertReceiver } from './alert-receiver.ts';
import { someMoment } from './test-data.ts';

const server = 'https://10.8.0.1:8443';
const message = {
  seq: 1,
  severity: 'critical',
  body: JSON.stringify(factsOf({ event: 'killed', client: null, by: 'command', reason: 'burglary' })),
  raisedAt: someMoment,
  earlier: 0,
};
const notice: Notice = { id: 'x 1', server, severity: 'info', title: 'a test', text: 'a test', alerts: [] };
const secrets = { url: 'canary-url', token: 'canary-token' } as const;

let folder: string;
let ca: string;
let identity: { key: string; cert: string };
let cleanup: (() => Promise<unknown>)[];
beforeAll(async () => {
  const authority = await createAuthority('test', Date.now(), systemRandom);
  const made = await issueServerIdentity(authority, ['127.0.0.1', 'localhost'], Date.now(), systemRandom);
  ca = authority.certificate;
  identity = { key: privateKeyPem(made.privateKey), cert: made.certificate };
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-channels-'));
  cleanup = [];
});
afterEach(async () => {
  for (const undo of cleanup) await undo();
  rmSync(folder, { recursive: true });
});

async function receiver(tls = false): Promise<AlertReceiver> {
  const made = await AlertReceiver.start(tls ? identity : null);
  cleanup.push(() => made.stop());
  return made;
}

const net = { ca: null, secretAt: null };
const send = (config: ChannelConfig, secret: ChannelSecret, signal = AbortSignal.timeout(10_000)) =>
  channelOf(config, () => secret, server).send([message], signal);
const webhook: ChannelConfig = { kind: 'webhook', ...net };

/** What a failed sending says, as it would be stored, printed and logged. */
async function failure(
  sending: Promise<void>,
): Promise<{ code: string; message: string; hint?: string; retryAfter?: number }> {
  return sending.then(
    () => expect.fail('it was sent'),
    (error: { code: string; message: string }) => error,
  );
}

describe('a channel over HTTP', () => {
  test('of each kind sends one request that its service takes', async () => {
    const web = await receiver();
    const url = web.url('/hook');
    await send(webhook, { url, token: 'tk' });
    await send({ kind: 'slack', ...net }, { url, token: null });
    await send({ kind: 'discord', ...net }, { url, token: null });
    await send({ kind: 'ntfy', ...net }, { url, token: 'tk' });
    await send({ kind: 'matrix', homeserver: web.url(), room: '!r:a', ...net }, { url: null, token: 'tk' });
    expect(
      web.received.map(({ method, path, headers }) => [method, path, headers.authorization, headers['content-type']]),
    ).toEqual([
      ['POST', '/hook', 'Bearer tk', 'application/json'],
      ['POST', '/hook', undefined, 'application/json'],
      ['POST', '/hook', undefined, 'application/json'],
      ['POST', '/', 'Bearer tk', 'application/json'],
      [
        'PUT',
        expect.stringMatching(/^\/_matrix\/client\/v3\/rooms\/!r%3Aa\/send\/m\.room\.message\//),
        'Bearer tk',
        'application/json',
      ],
    ]);
    expect(web.received[0]?.body).toMatchObject({
      version: 1,
      server,
      severity: 'critical',
      title: 'the kill switch was thrown',
    });
    expect(web.received.map((one) => Object.keys(one.body))).toEqual([
      expect.arrayContaining(['id', 'alerts']),
      ['text'],
      ['content', 'allowed_mentions', 'flags'],
      expect.arrayContaining(['topic', 'message', 'priority']),
      ['msgtype', 'body'],
    ]);
  });

  test.each([
    [500, 'the receiver answered 500'],
    [401, 'the receiver answered 401'],
    [404, 'the receiver answered 404'],
    [199 + 100, 'the receiver answered 299'],
  ])('takes %d for what it is', async (status, words) => {
    const web = await receiver();
    web.behaviour = status;
    if (status < 300) return expect(await send(webhook, { url: web.url(), token: null })).toBeUndefined();
    const found = await failure(send(webhook, { url: web.url(`/${secrets.url}`), token: secrets.token }));
    expect(found).toMatchObject({ code: 'alert_not_sent', message: words });
    expect(JSON.stringify([found, found.message, found.hint])).not.toContain('canary');
  });

  test('does not follow a redirect', async () => {
    const [first, other] = [await receiver(), await receiver()];
    first.behaviour = { redirect: other.url() };
    const found = await failure(send(webhook, { url: first.url(), token: null }));
    expect(found.message).toBe('the receiver redirects (307), which is not followed');
    expect(other.received).toEqual([]);
  });

  test('gives up a receiver that does not answer', async () => {
    const web = await receiver();
    web.behaviour = 'hang';
    const ended = new AbortController();
    const sending = failure(send(webhook, { url: web.url(), token: null }, ended.signal));
    await web.waitFor(1);
    ended.abort();
    expect((await sending).message).toContain('did not answer');
  });

  test('says that nobody listens there', async () => {
    const url = `http://127.0.0.1:${await freePort()}/${secrets.url}`;
    const found = await failure(send(webhook, { url, token: null }));
    expect(found.message).toBe('the receiver refused the connection');
    expect(found.hint).toContain('does it run');
  });

  test('passes on how long the receiver asks to wait', async () => {
    const web = await receiver();
    web.behaviour = { retryAfter: 77 };
    expect(await failure(send(webhook, { url: web.url(), token: null }))).toMatchObject({ retryAfter: 77 });
  });

  test('refuses a certificate that nobody vouches for, and takes it from the authority it is given', async () => {
    const web = await receiver(true);
    const found = await failure(send(webhook, { url: web.url(), token: secrets.token }));
    expect(found.message).toMatch(/^the receiver's certificate is not trusted/);
    expect(web.received).toEqual([]);
    await send({ ...webhook, ca }, { url: web.url(), token: secrets.token });
    expect(web.received).toHaveLength(1);
  });

  test('refuses a certificate for another name', async () => {
    const web = await receiver(true);
    const elsewhere = web.url().replace('127.0.0.1', '[::ffff:127.0.0.1]');
    expect((await failure(send({ ...webhook, ca }, { url: elsewhere, token: null }))).message).toContain('not trusted');
    expect(web.received).toEqual([]);
  });
});

interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  readonly text: string;
  readonly secure: boolean;
}

/** A real mail server on loopback, login `me` / `right-password`. */
async function mailServer(options: SMTPServerOptions = {}): Promise<{ port: number; mails: Mail[] }> {
  const mails: Mail[] = [];
  const smtp = new SMTPServer({
    ...identity,
    onAuth: ({ username, password }, _session, done) =>
      username === 'me' && password === 'right-password'
        ? done(null, { user: 'me' })
        : done(new Error('canary-of-the-server')),
    onRcptTo: ({ address }, _session, done) =>
      done(address.startsWith('nobody') ? new Error('canary: no such user') : null),
    onData: (stream, session, done) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        const from = mailFrom === false ? '' : mailFrom.address;
        const to = rcptTo.map((one) => one.address);
        mails.push({ from, to, text: Buffer.concat(chunks).toString(), secure: session.secure });
        done();
      });
    },
    ...options,
  });
  smtp.on('error', () => undefined); // clients that hang up are what some tests are about
  await new Promise<void>((resolve) => smtp.listen(0, '127.0.0.1', resolve));
  cleanup.push(() => new Promise<void>((resolve) => smtp.close(resolve)));
  return { port: (smtp.server.address() as AddressInfo).port, mails };
}

describe('a channel by e-mail', () => {
  const route = (port: number, more: Partial<Extract<ChannelConfig, { kind: 'email' }>> = {}): ChannelConfig => ({
    kind: 'email',
    host: 'localhost',
    port,
    tls: 'starttls',
    user: 'me',
    from: 'keys@example.org',
    to: ['owner@example.org', 'second@example.org'],
    ca,
    secretAt: null,
    ...more,
  });
  const password = { url: null, token: 'right-password' };

  test('logs in behind STARTTLS and sends to all receivers, with an id that repeats', async () => {
    const { port, mails } = await mailServer();
    await send(route(port), password);
    await send(route(port), password);
    expect(mails[0]).toMatchObject({
      from: 'keys@example.org',
      to: ['owner@example.org', 'second@example.org'],
      secure: true,
    });
    expect(mails[0]?.text).toContain('Subject: Latchkey critical: the kill switch was thrown');
    expect(mails[0]?.text).toContain('burglary');
    expect(mails[0]?.text).toContain('Auto-Submitted: auto-generated');
    const ids = mails.map((mail) => /^Message-ID: (<latchkey-\S+@example\.org>)/im.exec(mail.text)?.[1]);
    expect(ids[0]).toBeDefined();
    expect(ids[1]).toBe(ids[0]);
  });

  test('sends with TLS from the first byte', async () => {
    const { port, mails } = await mailServer({ secure: true });
    await send(route(port, { tls: 'implicit' }), password);
    expect(mails).toHaveLength(1);
  });

  test('sends without login where none is asked for', async () => {
    const { port, mails } = await mailServer({ authOptional: true });
    await send(route(port, { user: null }), { url: null, token: null });
    expect(mails).toHaveLength(1);
  });

  test.each<[string, SMTPServerOptions, Parameters<typeof route>[1], string, RegExp]>([
    ['a wrong password', {}, {}, 'canary-password', /^the mail server refused the login/],
    ['a certificate that nobody vouches for', {}, { ca: null }, 'right-password', /certificate is not trusted/],
    [
      'a server without STARTTLS',
      { disabledCommands: ['STARTTLS'] },
      {},
      'right-password',
      /^the mail server offers no STARTTLS/,
    ],
    [
      'a receiver it does not know',
      {},
      { to: ['nobody@example.org'] },
      'right-password',
      /^the mail server refused the message/,
    ],
  ])('tells %s apart, in its own words', async (_, options, more, token, words) => {
    const { port, mails } = await mailServer(options);
    const found = await failure(send(route(port, more), { url: null, token }));
    expect(found).toMatchObject({ code: 'alert_not_sent', message: expect.stringMatching(words) });
    expect(JSON.stringify([found, found.message])).not.toContain('canary');
    expect(mails).toEqual([]);
  });

  test.each<[string, (socket: Socket) => void]>([
    ['says nothing', () => undefined],
    [
      'drips its greeting',
      (socket) => {
        const drip = setInterval(() => socket.write('220-wait\r\n'), 20);
        socket.on('close', () => clearInterval(drip));
      },
    ],
    [
      'drips the answer to the first word',
      (socket) => {
        let drip: NodeJS.Timeout | undefined;
        socket.write('220 here\r\n');
        socket.once('data', () => (drip = setInterval(() => socket.write('250-wait\r\n'), 20)));
        socket.on('close', () => clearInterval(drip));
      },
    ],
  ])('gives up when told to, with a server that %s, and hangs up', async (_, behave) => {
    const hung = Promise.withResolvers<void>();
    const dripping = createServer((socket) => {
      socket.on('error', () => undefined).on('close', () => hung.resolve());
      behave(socket);
    });
    await new Promise<void>((resolve) => dripping.listen(0, '127.0.0.1', resolve));
    cleanup.push(() => new Promise((resolve) => dripping.close(resolve)));
    const { port } = dripping.address() as AddressInfo;
    const plain = { ...route(port, { host: '127.0.0.1', tls: 'none', user: null }), kind: 'email' as const };
    const limits = { greeting: 60_000, silence: 60_000 }; // longer than a test may take
    const found = await failure(sendMail(notice, plain as MailRoute, null, AbortSignal.timeout(200), limits));
    expect(found).toMatchObject({
      code: 'alert_not_sent',
      message: 'the mail server did not answer in time',
    });
    await hung.promise;
  });

  test('waits longer for the answer to a message than for a greeting', async () => {
    let mails = 0;
    const onData: SMTPServerOptions['onData'] = (stream, _session, done) => {
      stream.resume().on('end', () => {
        mails += 1;
        setTimeout(done, 1_500);
      });
    };
    const { port } = await mailServer({ disabledCommands: ['STARTTLS', 'AUTH'], authOptional: true, onData });
    const plain = { ...route(port, { host: '127.0.0.1', tls: 'none', user: null }), kind: 'email' as const };
    await sendMail(notice, plain as MailRoute, null, AbortSignal.timeout(30_000), { greeting: 1_000, silence: 30_000 });
    expect(mails).toBe(1);
  });

  test('says that nobody listens there', async () => {
    const found = await failure(send(route(await freePort()), password));
    expect(found.message).toMatch(/^the mail server could not be reached/);
  });
});

describe('a command channel', () => {
  const program = (text: string): string => {
    const path = join(folder, 'program');
    writeFileSync(path, `#!/bin/sh\n${text}\n`);
    chmodSync(path, 0o700);
    return path;
  };

  test('gets the notice on its standard input, and its arguments as they are', async () => {
    const argv = [program(`printf '%s\\n' "$@" > ${folder}/argv; cat > ${folder}/input`), '$(id)', 'two words', ';'];
    await send({ kind: 'command', argv }, { url: null, token: null });
    expect(readFileSync(join(folder, 'argv'), 'utf8')).toBe('$(id)\ntwo words\n;\n');
    expect(JSON.parse(readFileSync(join(folder, 'input'), 'utf8'))).toMatchObject({
      version: 1,
      severity: 'critical',
      server,
    });
  });

  test('is not delivered when it ends badly, and its output stays where it is', async () => {
    const argv = [program('echo canary-output; echo canary-error >&2; exit 3')];
    const [result] = await tryChannels(
      [{ name: 'program', channel: channelOf({ kind: 'command', argv }, () => secrets, server) }],
      someMoment,
    );
    expect(result).toMatchObject({ ok: false, error: expect.stringMatching(/program ended with exit code 3$/) });
    expect(JSON.stringify(result)).not.toContain('canary');
  });

  test('that is not there says so', async () => {
    expect((await failure(send({ kind: 'command', argv: ['/nowhere/program'] }, secrets))).message).toMatch(
      /could not be started \(ENOENT\)/,
    );
    expect(existsSync('/nowhere')).toBe(false);
  });
});

describe('the settings of a channel', () => {
  const email = {
    kind: 'email',
    host: 'mail.example.org',
    port: 587,
    tls: 'starttls',
    user: null,
    from: 'a@b.c',
    to: ['d@e.f'],
  };

  test.each<[string, unknown, string]>([
    ['an unknown kind', { kind: 'pigeon' }, 'kind'],
    ['an unknown field', { kind: 'slack', url: 'https://x.example' }, 'url'],
    ['a homeserver without TLS', { kind: 'matrix', homeserver: 'http://matrix.example', room: '!a:b' }, 'homeserver'],
    [
      'a homeserver with a path',
      { kind: 'matrix', homeserver: 'https://matrix.example/x', room: '!a:b' },
      'homeserver',
    ],
    ['a room alias', { kind: 'matrix', homeserver: 'https://matrix.example', room: '#a:b' }, 'room'],
    ['mail without TLS to another machine', { ...email, tls: 'none' }, '--smtp-tls'],
    ['a sender with a second header in it', { ...email, from: 'a@b.c\r\nBcc: x@y.z' }, 'from'],
    ['nobody to write to', { ...email, to: [] }, 'to'],
    ['a program without its path', { kind: 'command', argv: ['notify-send'] }, 'command'],
    ['no program', { kind: 'command', argv: [] }, 'argv'],
    ['an authority that is none', { kind: 'webhook', ca: 'PEM' }, 'ca'],
    ['a secret file without its whole path', { kind: 'webhook', secretAt: 'file' }, 'secretAt'],
  ])('refuse %s', (_, value, field) => {
    expect(() => parseConfig(value)).toThrow(expect.objectContaining({ code: 'invalid_request', field }));
  });

  test.each<[string, ChannelConfig['kind'], string]>([
    ['HTTP to another machine', 'webhook', 'http://hooks.example/canary'],
    ['a user in the URL', 'webhook', 'https://me:canary@hooks.example/'],
    ['another scheme', 'webhook', 'file:///canary'],
    ['no URL', 'webhook', 'canary'],
    ['a URL with a break in it', 'webhook', 'https://hooks.example/canary\nX-Header: 1\nmore'],
    ['a token with spaces', 'webhook', 'https://hooks.example/\ncanary canary'],
    ['a token for Slack', 'slack', 'https://hooks.slack.com/canary\ntoken'],
    ['no topic', 'ntfy', 'https://ntfy.sh/'],
    ['a path below the topic', 'ntfy', 'https://ntfy.sh/canary/more'],
    ['nothing', 'discord', ''],
  ])('refuse as a secret %s, without repeating it', (_, kind, text) => {
    const parse = () => parseSecret(text, { kind, ...net } as ChannelConfig);
    expect(parse).toThrow(expect.objectContaining({ code: 'invalid_request' }));
    expect(parse).not.toThrow(/canary/);
  });

  test('take URL and token, one line end after each', () => {
    expect(parseSecret('https://hooks.example/a?b=c\r\ntk_1\n', webhook)).toEqual({
      url: 'https://hooks.example/a?b=c',
      token: 'tk_1',
    });
    expect(parseSecret('http://127.0.0.1:8080/a\n', webhook)).toEqual({ url: 'http://127.0.0.1:8080/a', token: null });
  });

  test('show where a channel leads, and of a secret URL its host only', () => {
    const shown = channelTarget(webhook, { url: 'https://hooks.example/canary?canary=1', token: 'canary' });
    expect(shown).toBe('https://hooks.example/…');
  });
});
