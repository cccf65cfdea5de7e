import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { addAlertCommands } from '../../keyserver/commands/alert.ts';
import { addAuditCommands } from '../../keyserver/commands/audit.ts';
import { addDoctorCommand } from '../../keyserver/commands/doctor.ts';
import { addStatusCommand } from '../../keyserver/commands/status.ts';
import { killAll } from '../../keyserver/kill-switch.ts';
import { systemRandom } from '../../platform/clock.ts';
import { runProgram } from '../../platform/command-line.ts';
import { AlertReceiver } from './alert-receiver.ts';
import { makeTestData, someMoment, type TestData } from './test-data.ts';

let at: TestData;
let web: AlertReceiver;
beforeEach(async () => {
  at = await makeTestData();
  web = await AlertReceiver.start();
});
afterEach(async () => {
  await web.stop();
  await at.remove();
});

/** Runs one command line as `main.ts` does. */
async function keyserver(...argv: string[]) {
  const said = { out: '', err: '' };
  const stream = (name: 'out' | 'err') => {
    const end = new PassThrough();
    end.on('data', (chunk: Buffer) => {
      said[name] += chunk.toString();
    });
    return end;
  };
  const terminal = { stdin: new PassThrough(), stdout: stream('out'), stderr: stream('err'), env: {} };
  const io = { terminal, clock: at.clock, random: systemRandom, stopSignal: () => new AbortController().signal };
  const exit = await runProgram(
    'keyserver',
    (program) => {
      addAlertCommands(program, io);
      addAuditCommands(program, io);
      addStatusCommand(program, io);
      addDoctorCommand(program, io);
    },
    argv,
    terminal,
  );
  return { exit, ...said };
}

const data = () => ['--data', at.data.directory];
const unseal = () => [...data(), '--keyfile', at.keyfile];

function file(name: string, text: string, mode = 0o600): string {
  const path = join(at.folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

const secret = () => file('secret', `${web.url('/canary-path')}\ncanary-token\n`);
const add = (...more: string[]) => keyserver('alert', 'add', ...more);
const json = (said: { out: string }) => JSON.parse(said.out) as Record<string, unknown>;
const channels = () => at.data.store.read((tx) => tx.selectFrom('alert_channel').selectAll().orderBy('name').execute());

describe('keyserver alert add', () => {
  test('seals the secret, and shows where the channel leads and no more', async () => {
    const said = await add('webhook', 'hook', '--secret-file', secret(), ...unseal());
    expect(said).toMatchObject({ exit: 0, out: `added channel hook: webhook to ${web.url()}…\n` });
    const listed = await keyserver('alert', 'list', ...data());
    const whole = await keyserver('alert', 'list', '--json', ...data());
    expect(listed.out).toMatch(/^hook +webhook +http:\/\/127\.0\.0\.1:\d+\/… +info +0 +0 +- +-$/m);
    expect(json(whole).channels).toMatchObject([
      { name: 'hook', kind: 'webhook', least: 'info', waiting: 0, error: null },
    ]);
    const audit = await keyserver('audit', 'tail', '--json', ...data());
    expect(audit.out).toContain('alert_channel_added');
    const [row] = await channels();
    const stored = `${row?.config}${Buffer.from(row?.secret_sealed ?? []).toString('latin1')}`;
    expect(said.out + said.err + listed.out + whole.out + audit.out + stored).not.toContain('canary');
  });

  test('keeps a secret where it is, read anew each time, and needs no vault for it', async () => {
    const path = secret();
    expect((await add('webhook', 'hook', '--secret-at', path, ...data())).exit).toBe(0);
    expect((await channels())[0]?.secret_sealed).toBeNull();
    expect((await keyserver('alert', 'test', ...data())).exit).toBe(0);
    file('secret', web.url('/elsewhere'));
    expect((await keyserver('alert', 'test', ...data())).exit).toBe(0);
    expect(web.received.map((one) => one.path)).toEqual(['/canary-path', '/elsewhere']);
    file('secret', web.url(), 0o644);
    const refused = await keyserver('alert', 'test', ...data());
    expect(refused).toMatchObject({ exit: 1, out: expect.stringContaining('can be read by others') });
    expect(web.received).toHaveLength(2);
  });

  test('takes what each kind needs', async () => {
    const token = file('token', 'syt_1\n');
    const matrix = ['--homeserver', 'https://matrix.example', '--room', '!a:example.org', '--secret-file', token];
    expect((await add('matrix', 'room', ...matrix, ...unseal())).out).toContain(
      'https://matrix.example !a:example.org',
    );
    const mail = [
      '--smtp',
      'mail.example.org:587',
      '--from',
      'a@example.org',
      '--to',
      'b@example.org',
      'c@example.org',
    ];
    expect((await add('email', 'mail', ...mail, '--user', 'me', '--secret-file', token, ...unseal())).exit).toBe(0);
    expect((await add('email', 'open', ...mail, '--smtp-tls', 'implicit', ...data())).exit).toBe(0);
    expect((await add('command', 'run', '--least', 'critical', ...data(), '--', '/bin/echo', '--a', 'b c')).exit).toBe(
      0,
    );
    const rows = await channels();
    expect(rows.map((row) => [row.name, row.least, row.secret_sealed !== null])).toEqual([
      ['mail', 'info', true],
      ['open', 'info', false],
      ['room', 'info', true],
      ['run', 'critical', false],
    ]);
    expect(JSON.parse(rows[3]?.config ?? '')).toMatchObject({ argv: ['/bin/echo', '--a', 'b c'] });
  });

  test.each<[string, () => string[], number, RegExp]>([
    ['an unknown kind', () => ['pigeon', 'x', ...data()], 2, /pigeon/],
    ['a name that is none', () => ['webhook', 'My Hook', '--secret-file', secret(), ...unseal()], 2, /"name" must be/],
    ['no secret and nobody to ask', () => ['webhook', 'x', ...unseal()], 2, /no terminal to ask for URL/],
    [
      'two places for the secret',
      () => ['webhook', 'x', '--secret-file', secret(), '--secret-at', secret(), ...unseal()],
      2,
      /only one of/,
    ],
    [
      'a secret that others may read',
      () => ['webhook', 'x', '--secret-file', file('open', 'https://x.example', 0o644), ...unseal()],
      3,
      /can be read by others/,
    ],
    [
      'a secret that is none',
      () => ['slack', 'x', '--secret-file', file('bad', 'canary'), ...unseal()],
      2,
      /"url" must be an https URL/,
    ],
    [
      'no vault to seal it in',
      () => ['webhook', 'x', '--secret-file', secret(), ...data()],
      2,
      /sealed with a key ?file/,
    ],
    [
      'options of another kind',
      () => ['slack', 'x', '--room', '!a:b', ...data()],
      2,
      /--room is for a channel of kind matrix/,
    ],
    ['a kind without what it needs', () => ['matrix', 'x', '--room', '!a:b', ...data()], 2, /needs --homeserver/],
    [
      'a mail server without a port',
      () => ['email', 'x', '--smtp', 'mail', '--from', 'a@b.c', '--to', 'd@e.f', ...data()],
      2,
      /HOST:PORT/,
    ],
    ['a program that is not named by its path', () => ['command', 'x', ...data(), '--', 'echo'], 2, /absolute path/],
    [
      'arguments for a channel that runs nothing',
      () => ['slack', 'x', ...data(), '--', '/bin/echo'],
      2,
      /program is for a channel of kind command/,
    ],
  ])('refuses %s and adds nothing', async (_, argv, exit, words) => {
    const said = await add(...argv());
    expect(said).toMatchObject({ exit, err: expect.stringMatching(words) });
    expect(said.out + said.err).not.toContain('canary');
    expect(await channels()).toEqual([]);
  });

  test('refuses a second channel of a name, and a twenty-first', async () => {
    const one = (name: string) => add('command', name, ...data(), '--', '/bin/true');
    expect((await one('a')).exit).toBe(0);
    expect(await one('a')).toMatchObject({
      exit: 1,
      err: expect.stringContaining('there is a channel named a already'),
    });
    for (let count = 1; count < 20; count++) expect((await one(`a${count}`)).exit).toBe(0);
    expect(await one('b')).toMatchObject({ exit: 1, err: expect.stringContaining('20 channels already') });
    expect(await channels()).toHaveLength(20);
  });
});

describe('keyserver alert test', () => {
  test('sends by every channel at once and tells how each did', async () => {
    await add('webhook', 'works', '--secret-file', secret(), ...unseal());
    const broken = await AlertReceiver.start();
    broken.behaviour = 401;
    await add('slack', 'broken', '--secret-file', file('other', broken.url('/canary')), ...unseal());
    const said = await keyserver('alert', 'test', ...unseal());
    expect(said.exit).toBe(1);
    expect(said.out).toMatch(/^failed +broken +the receiver answered 401$/m);
    expect(said.out).toMatch(/^ok +works +delivered$/m);
    expect(said.err).toContain('hint: broken: is the token right?');
    expect(said.err).toContain('error: 1 of 2 channels failed');
    expect(web.received[0]?.text).toContain('a test of the alerts');
    const only = await keyserver('alert', 'test', 'works', '--json', ...unseal());
    expect(JSON.parse(only.out)).toEqual({ ok: true, results: [{ name: 'works', ok: true }] });
    expect(broken.received).toHaveLength(1);
    expect(said.out + said.err + only.out).not.toContain('canary');
    await broken.stop();
  });

  test('fails without a channel, and for one that is not there', async () => {
    expect(await keyserver('alert', 'test', ...unseal())).toMatchObject({
      exit: 1,
      err: expect.stringContaining('there is no channel'),
    });
    expect(await keyserver('alert', 'test', 'x', ...unseal())).toMatchObject({
      exit: 1,
      err: expect.stringContaining('of that name'),
    });
  });
});

describe('keyserver alert log, list, remove', () => {
  const kill = () => at.data.store.transaction((tx) => killAll(tx, 'burglary', at.clock.now()));

  test('show what happened, who was told and what you can do', async () => {
    await kill();
    await add('command', 'run', ...data(), '--', '/bin/true');
    await at.data.store.transaction((tx) => tx.deleteFrom('switch').execute());
    await kill();
    const said = await keyserver('alert', 'log', ...data());
    expect(said.out).toContain('2026-11-20T12:00:00Z  critical  the kill switch was thrown\n');
    expect(said.out).toContain('told: nobody, there was no channel for it');
    expect(said.out).toContain('told: run waiting');
    expect(said.out).toContain('you can: ');
    const { alerts } = json(await keyserver('alert', 'log', '-n', '1', '--json', ...data())) as { alerts: object[] };
    expect(alerts).toMatchObject([
      {
        event: 'killed',
        severity: 'critical',
        raisedAt: someMoment,
        deliveries: [{ channel: 'run', state: 'waiting' }],
      },
    ]);
  });

  test('give up what waits for a channel that is removed', async () => {
    await add('command', 'run', ...data(), '--', '/bin/true');
    await kill();
    expect((await keyserver('alert', 'remove', 'run', ...data())).out).toBe('removed channel run\n');
    expect((await keyserver('alert', 'log', ...data())).out).toContain(
      'run given up, 0 tries: the channel was removed',
    );
    expect((await keyserver('alert', 'remove', 'run', ...data())).exit).toBe(1);
    expect((await keyserver('alert', 'list', ...data())).err).toContain('no channels yet, so nobody is told');
  });
});

describe('other commands', () => {
  test('status and doctor say that nobody is told, and what does not go out', async () => {
    expect((await keyserver('status', ...data())).out).toMatch(/^alerts +no channel, so nobody is told$/m);
    expect((await keyserver('doctor', ...data())).out).toMatch(/^warn +alerts +no channel/m);
    await add('command', 'run', ...data(), '--', '/bin/true');
    expect((await keyserver('status', ...data())).out).toMatch(/^alerts +1 channel, 0 waiting$/m);
    expect((await keyserver('doctor', ...data())).out).toMatch(/^ok +alerts +1 channel, none failing$/m);
    await at.data.store.transaction(async (tx) => {
      await killAll(tx, null, at.clock.now());
      await tx.updateTable('outbox_delivery').set({ error: 'the receiver answered 500' }).execute();
    });
    expect((await keyserver('status', '--json', ...data())).out).toContain('"waiting": 1');
    expect((await keyserver('doctor', ...data())).out).toMatch(/^warn +alerts +run: the receiver answered 500$/m);
  });

  test('audit verify tells of a broken log by every channel', async () => {
    await add('command', 'run', ...data(), '--', '/bin/true');
    await at.data.store.transaction((tx) => tx.deleteFrom('audit').where('seq', '=', 1).execute());
    expect((await keyserver('audit', 'verify', ...data())).exit).toBe(1);
    const said = await keyserver('alert', 'log', ...data());
    expect(said.out).toContain('the audit log was changed after it was written');
    expect(said.out).toContain('Record 1: the record is missing.');
  });

  test('never find a secret in the files of the data directory', async () => {
    await add('webhook', 'hook', '--secret-file', secret(), ...unseal());
    for (const name of ['keyserver.db', 'keyserver.db-wal', 'config.json']) {
      expect(readFileSync(join(at.data.directory, name)).includes('canary')).toBe(false);
    }
  });
});
