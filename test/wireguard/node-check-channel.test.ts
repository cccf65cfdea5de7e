import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SMTPServer } from 'smtp-server';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { decideCheck } from '../../wireguard/node/check.ts';
import { alertTellers, readChannel } from '../../wireguard/node/check-channel.ts';
import { NO_CHECK_YET, readCheckState } from '../../wireguard/node/check-state.ts';
import { addNodeCommands } from '../../wireguard/node/commands.ts';
import { runCommandHere } from '../harness/command-runner.ts';
import { freePort } from '../harness/free-port.ts';
import { AlertReceiver } from '../keyserver/alert-receiver.ts';

const CANARY = 'canary-5cf8e1';
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lk-channel-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
const wgnode = (...argv: string[]) => runCommandHere(addNodeCommands, argv, { program: 'wgnode' });

let files = 0;
function file(content: unknown, mode = 0o600): string {
  const path = join(folder, `channel-${files++}.json`);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  chmodSync(path, mode);
  return path;
}
const MAIL = { kind: 'email', host: 'mail.example', port: 587, from: 'node@example.org', to: ['ann@example.org'] };

describe('readChannel()', () => {
  it.each<[name: string, content: unknown, says: string]>([
    ['is no JSON', `{"kind": "ntfy", "url": "${CANARY}`, 'it is not JSON'],
    ['says no kind', { url: `https://x/${CANARY}` }, '"kind" must be'],
    ['is of an unknown kind', { kind: 'pager', url: `https://x/${CANARY}` }, '"kind"'],
    ['has an unknown field', { kind: 'ntfy', url: `https://x/${CANARY}`, topic: 'x' }, '"topic" is not a known field'],
    ['keeps its secret elsewhere', { kind: 'ntfy', secretAt: `/${CANARY}` }, '"secretAt" is not a known field'],
    ['has no URL', { kind: 'webhook' }, '"url" is missing'],
    ['has a URL without TLS', { kind: 'webhook', url: `http://x/${CANARY}` }, '"url" must be https'],
    ['has a URL with a password', { kind: 'webhook', url: `https://a:${CANARY}@x/` }, '"url" must not hold a user'],
    [
      'has a password for a webhook',
      { kind: 'webhook', url: 'https://x/', password: CANARY },
      '"password" is not wanted',
    ],
    ['has a URL for mail', { ...MAIL, url: `https://x/${CANARY}` }, '"url" is not wanted'],
    ['has a login without a password', { ...MAIL, user: 'ann' }, '"password" is missing'],
    ['has mail that is not sealed', { ...MAIL, tls: 'none' }, 'may be none only'],
    [
      'has an authority that is not there',
      { kind: 'ntfy', url: 'https://x/y', ca: '/no/ca.pem' },
      '"ca" could not be read',
    ],
    ['has one by half a path', { kind: 'ntfy', url: 'https://x/y', ca: 'ca.pem' }, '"ca" must be the absolute path'],
    ['has a program that is looked for', { kind: 'command', argv: ['mail'] }, 'absolute path of a program'],
  ])('refuses a file that %s, and repeats nothing of it', (_, content, says) => {
    const path = file(content);
    expect(() => readChannel(path)).toThrow(`${path}: `);
    expect(() => readChannel(path)).toThrow(says);
    expect(() => readChannel(path)).not.toThrow(CANARY);
  });
  it('refuses a file that others may read, and one that is not there', () => {
    expect(() => readChannel(file({ kind: 'ntfy', url: 'https://x/y' }, 0o640))).toThrow('can be read by others');
    expect(() => readChannel(join(folder, 'none'))).toThrow('could not be read (ENOENT)');
  });
  it('takes mail with and without a login', () => {
    expect(readChannel(file({ ...MAIL, user: 'ann', password: 'a b' }))).toMatchObject({
      config: { tls: 'starttls', user: 'ann' },
      secret: { url: null, token: 'a b' },
    });
    expect(readChannel(file(MAIL))).toMatchObject({ config: { user: null }, secret: { url: null, token: null } });
  });
  it('takes no more of them than what waits has room for', () => {
    const many = Array.from({ length: 9 }, (_, at) => `/x/${at}`);
    expect(() => alertTellers(null, many)).toThrow('at most 8');
    expect(alertTellers(null, ['/x/1', '/x/1'])).toHaveLength(1);
  });
});

describe('decideCheck(), with several ways out', () => {
  const rules = { warning: 1, critical: 2, badRounds: 1, goodRounds: 1, eachPeer: false, restarts: false };
  const down = { interfaces: [{ name: 'wg0', isUp: false, peers: [] }], keyservers: [] };
  it('has an alert wait for each, and forgets what waits for one that is no more', () => {
    const { state } = decideCheck(NO_CHECK_YET, down, { ...rules, tellers: ['/a', '/b'] }, 1000);
    expect(state.waiting.map(({ to, said }) => [to, said])).toEqual([
      ['/a', 'wg0 is down'],
      ['/b', 'wg0 is down'],
    ]);
    const next = decideCheck(state, down, { ...rules, tellers: ['/b', '/c'] }, 2000);
    expect(next.state.waiting.map(({ to }) => to)).toEqual(['/b']);
  });
  it('knows what an earlier version left for the program', () => {
    const { state } = decideCheck(NO_CHECK_YET, down, { ...rules, tellers: ['command'] }, 1000);
    const path = join(folder, 'earlier.json');
    const waiting = state.waiting.map(({ to: _to, ...notice }) => notice);
    writeFileSync(path, JSON.stringify({ ...state, waiting }));
    expect(readCheckState(path, () => undefined)).toEqual(state);
  });
});

describe('wgnode check, with channels', () => {
  let receiver: AlertReceiver;
  let origin: string;
  let state: string;
  beforeEach(async () => {
    receiver = await AlertReceiver.start();
    origin = `https://127.0.0.1:${await freePort()}`;
    state = join(folder, `state-${files++}.json`);
  });
  afterEach(() => receiver.stop());
  const round = (...words: string[]) =>
    wgnode('check', '--keyserver', origin, '--state', state, '--bad-rounds', '2', ...words);

  it('tells ntfy after so many bad rounds, again until it is taken, and once', async () => {
    const channel = file({ kind: 'ntfy', url: receiver.url('/latchkey'), token: CANARY });
    receiver.behaviour = 503;
    const rounds = [];
    for (const _ of [1, 2, 3]) rounds.push(await round('--alert-channel', channel));
    expect(receiver.received).toHaveLength(2); // not before the second
    expect(rounds[2]?.stderr).toContain('the receiver answered 503; alerts that are tried again: 1');
    receiver.behaviour = 200;
    for (const _ of [4, 5]) rounds.push(await round('--alert-channel', channel));
    expect(receiver.received).toHaveLength(3);
    const [first, , third] = receiver.received;
    expect(third?.body).toEqual(first?.body);
    expect(third?.body).toMatchObject({
      topic: 'latchkey',
      priority: 5,
      title: expect.stringContaining(`key server ${origin}`),
    });
    expect(third?.headers.authorization).toBe(`Bearer ${CANARY}`);
    for (const { stdout, stderr } of rounds) expect(stdout + stderr).not.toContain(CANARY);
    expect(readFileSync(state, 'utf8')).not.toContain(CANARY);
  });

  it('holds up no other way out by one that does not work', async () => {
    const good = file({ kind: 'webhook', url: receiver.url('/good') });
    const bad = file({ kind: 'webhook', url: `http://127.0.0.1:${await freePort()}/` });
    for (const _ of [1, 2, 3]) await round('--alert-channel', bad, good);
    expect(receiver.received.map(({ path }) => path)).toEqual(['/good']);
    expect(receiver.received[0]?.body).toMatchObject({
      version: 1,
      severity: 'critical',
      alerts: [{ event: 'keyserver_silent' }],
    });
    expect(readCheckState(state, () => undefined).waiting.map(({ to }) => to)).toEqual([bad]);
  });

  it('says at once of a file that it cannot be used, and looks all the same', async () => {
    const channel = file({ kind: 'webhook', url: receiver.url() }, 0o644);
    const said = await round('--alert-channel', channel, '--json');
    expect(said.exit).toBe(1);
    expect(said.stderr).toContain(`a way out for alerts cannot be used: ${channel} can be read by others`);
    expect(JSON.parse(said.stdout)).toMatchObject({ findings: [{ level: 'critical' }], unfit: [expect.any(String)] });
    expect(readCheckState(state, () => undefined).topics).not.toEqual({});
  });

  it('is tried by a test, which says by which way it did not go', async () => {
    const [good, bad] = [file({ kind: 'webhook', url: receiver.url('/good') }), file({ kind: 'webhook' })];
    const both = await wgnode('check', 'try', '--alert-channel', good, bad);
    expect(both).toMatchObject({ exit: 1, stdout: `sent   ${good}\nfailed ${bad}: ${bad}: "url" is missing\n` });
    expect(receiver.received).toHaveLength(1);
    expect(receiver.received[0]?.body).toMatchObject({ severity: 'info', alerts: [{ event: 'test' }] });
    const one = await wgnode('check', 'try', '--json', '--alert-channel', good, '--alert-command', '/bin/true');
    expect(one.exit).toBe(0);
    expect(JSON.parse(one.stdout).tried).toEqual([
      { name: 'command', error: null },
      { name: good, error: null },
    ]);
    expect(await wgnode('check', 'try')).toMatchObject({ exit: 2, stdout: '' });
  });

  it('sends mail with an id that mail can have', async () => {
    let mail = '';
    const smtp = new SMTPServer({
      disabledCommands: ['STARTTLS', 'AUTH'],
      onData: (stream, _session, done) => {
        stream.on('data', (piece: Buffer) => (mail += piece.toString('utf8')));
        stream.on('end', () => done());
      },
    });
    const port = await new Promise<number>((listening) => {
      const server = smtp.listen(0, '127.0.0.1', () => listening((server.address() as AddressInfo).port));
    });
    const channel = file({ ...MAIL, host: '127.0.0.1', port, tls: 'none' });
    const { exit, stderr } = await wgnode('check', 'try', '--alert-channel', channel);
    await new Promise<void>((closed) => smtp.close(() => closed()));
    expect([exit, stderr]).toEqual([0, '']);
    expect(mail).toMatch(/^Message-ID: <latchkey-[A-Za-z0-9.-]+-test@example\.org>\r$/m);
    expect(mail).toMatch(/^To: ann@example\.org\r$/m);
  });

  it('goes into a timer by its whole path', async () => {
    const said = await wgnode(
      'check',
      'print',
      '--form',
      'cron',
      '--interface',
      'wg0',
      '--alert-channel',
      'a.json',
      'b.json',
    );
    expect(said.stdout).toContain(
      ` check --interface wg0 --alert-channel ${process.cwd()}/a.json ${process.cwd()}/b.json >`,
    );
  });
});
