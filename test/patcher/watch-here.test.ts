import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LocalApp } from '../../patcher/app-files.ts';
import type { Facts } from '../../patcher/facts.ts';
import type { JournalDeps } from '../../patcher/journal/transaction.ts';
import { hereStatus, installHere, removeHere } from '../../patcher/watch/here.ts';
import { type HereJob, hereFiles, hereJobFor, herePlace, withJob, withoutJob } from '../../patcher/watch/here-job.ts';
import { applyNow, logOnce } from '../../patcher/watch/now.ts';
import type { Workplace } from '../../patcher/workplace.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { hasProgram } from '../harness/programs.ts';
import { exampleFacts } from './example-facts.ts';

const self = ['/opt/late key/node', '/opt/late key/patcher/main.ts'] as const;
const env = { HOME: '/home/ann', SSH_AUTH_SOCK: '/run/user/1000/agent' };
const options = { ssh: 'root@cloud.example:2222', identity: '/home/ann/100% key', root: "/srv/it's" };
const order = (changes: object = {}) => ({ options, self, every: '15m', env, ...changes });

describe('the job', () => {
  test('is "watch now" with the same target, by whole paths', () => {
    const { argv, log, everySeconds, environment } = hereJobFor(
      order({ options: { ...options, sudo: true, knownHosts: 'known', php: '/usr/bin/php8.3' } }),
    );
    expect(argv).toEqual([
      ...self,
      ...['watch', 'now', '--ssh', options.ssh, '--identity', options.identity],
      ...['--known-hosts', join(process.cwd(), 'known'), '--root', options.root, '--php', '/usr/bin/php8.3'],
      ...['--sudo', '--log', log],
    ]);
    expect([everySeconds, environment]).toEqual([900, {}]);
    expect(log).toMatch(/^\/home\/ann\/\.local\/state\/latchkey\/watch-cloud\.example-2222-[0-9a-f]{8}\.log$/);
  });

  test('takes the agent along where no key is named', () => {
    const { argv, environment } = hereJobFor(order({ options: { ssh: 'root@cloud' } }));
    expect(environment).toEqual({ SSH_AUTH_SOCK: env.SSH_AUTH_SOCK });
    expect(argv).not.toContain('--identity');
  });

  test.each<[string, object, string]>([
    ['no server elsewhere', { options: { local: true } }, '--ssh'],
    ['neither key nor agent', { options: { ssh: 'root@cloud' }, env: { HOME: '/home/ann' } }, '--identity'],
    ...['', '7m', '0m', '5h', '90m', '15', '15 m', '-5m', '61m'].map(
      (every) => [`every "${every}"`, { every }, '--every'] as [string, object, string],
    ),
  ])('is refused with %s', (_name, changes, field) => {
    expect(() => hereJobFor(order(changes))).toThrow(expect.objectContaining({ exit: 2, field }));
  });

  test('has a name of its own for each Nextcloud on each server', () => {
    const others = [
      { ssh: 'root@a' },
      { ssh: 'ann@a' },
      { ssh: 'root@a', root: '/b' },
      { ssh: 'root@a', container: 'b' },
    ];
    expect(new Set(others.map((other) => herePlace(other, env).name)).size).toBe(4);
    expect(herePlace({ ssh: 'root@[fe80::1]/../x' }, env).name).toMatch(/^[A-Za-z0-9.-]+$/);
  });
});

describe('a crontab', () => {
  const job = hereJobFor(order());
  const other: HereJob = { ...job, name: 'other-1', everySeconds: 7200 };

  test('gets its line, quoted for the shell and for cron', () => {
    const text = withJob('MAILTO=ann\n', job);
    expect(text).toContain(`\n*/15 * * * * '/opt/late key/node' '/opt/late key/patcher/main.ts' watch now `);
    expect(text).toContain(` --identity '/home/ann/100\\% key' --root '/srv/it'\\''s' `);
    expect(withJob(withJob('', other), job)).toContain('\n0 */2 * * * ');
  });

  test('has it once however often it is put there, and is as before without it', () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[ -~]{0,30}$/)), (lines) => {
        const before = lines.map((line) => `${line}\n`).join('');
        const once = withJob(before, job);
        expect(withJob(once, job)).toBe(once);
        expect(withoutJob(once, job.name)).toBe(before);
        expect(withoutJob(withJob(once, other), job.name)).toBe(withJob(before, other));
      }),
    );
  });

  test('whose block has no end is refused, not guessed at', () => {
    const cut = withJob('', job).split('\n').slice(0, 2).join('\n');
    expect(() => withoutJob(`${cut}\n5 5 * * * mine\n`, job.name)).toThrow(
      expect.objectContaining({ code: 'crontab_damaged', exit: 3 }),
    );
  });

  test('gives the shell exactly the words of the job', () => {
    const [, line = ''] = withJob('', { ...job, argv: ['printf', '[%s]', ...job.argv] }).split('\n');
    const command = line
      .split(' ')
      .slice(5)
      .join(' ')
      .replaceAll('\\%', '%')
      .replace(/ >\/dev\/null 2>&1$/, '');
    expect(spawnSync('sh', ['-c', command], { encoding: 'utf8' }).stdout).toBe(
      job.argv.map((word) => `[${word}]`).join(''),
    );
  });
});

describe('files', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lk-here-'));
  });
  const path = process.env.PATH;
  afterEach(() => {
    process.env.PATH = path;
    rmSync(folder, { recursive: true });
  });

  test.runIf(hasProgram('systemd-analyze'))('systemd-analyze finds nothing in the units', () => {
    const job = {
      ...hereJobFor(order({ options: { ssh: 'root@cloud' } })),
      argv: ['/bin/sh', '-c', '100% $HOME'] as const,
    };
    const paths = hereFiles('systemd', job, { HOME: folder }).map(([path, text]) => {
      mkdirSync(join(path, '..'), { recursive: true });
      writeFileSync(path, text);
      return path;
    });
    expect(paths).toHaveLength(2);
    const checked = spawnSync('systemd-analyze', ['verify', '--man=no', ...paths], { encoding: 'utf8' });
    expect([checked.status, checked.stderr]).toEqual([0, '']);
  });

  test.runIf(hasProgram('python3'))('the property list says what the job is', () => {
    const job = hereJobFor(order({ options: { ...options, identity: '/home/a&b <c>' } }));
    const [[path = '', text = ''] = []] = hereFiles('launchd', job, env);
    expect(path).toBe(`/home/ann/Library/LaunchAgents/latchkey.watch.${job.name}.plist`);
    const read = 'import json, plistlib, sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))';
    const { stdout } = spawnSync('python3', ['-c', read], { encoding: 'utf8', input: text });
    expect(JSON.parse(stdout)).toEqual({
      Label: `latchkey.watch.${job.name}`,
      ProgramArguments: job.argv,
      EnvironmentVariables: {},
      StartInterval: 900,
      RunAtLoad: true,
    });
  });

  test.each(['systemd', 'launchd'] as const)('of %s hold no control characters', (scheduler) => {
    const socket = '/run/agent\nExecStartPre=/bin/true';
    const withSocket = hereJobFor(order({ options: { ssh: 'root@cloud' }, env: { ...env, SSH_AUTH_SOCK: socket } }));
    const withKey = hereJobFor(order({ options: { ...options, identity: '/home/ann/a\nb' } }));
    for (const job of [withSocket, withKey]) expect(() => hereFiles(scheduler, job, env)).toThrow('control character');
  });

  /** Stand-ins for what starts jobs: they note how they were called. */
  function programs(texts: Readonly<Record<string, string>>): void {
    mkdirSync(join(folder, 'bin'));
    for (const [name, text] of Object.entries(texts)) {
      writeFileSync(join(folder, 'bin', name), `#!/bin/sh\necho "${name} $*" >>'${folder}/calls'\n${text}\n`, {
        mode: 0o755,
      });
    }
    process.env.PATH = `${folder}/bin:/usr/bin:/bin`;
  }
  const here = () => ({ platform: 'linux', env: { HOME: folder }, uid: 1000 });
  const job = (): HereJob => hereJobFor(order({ env: { HOME: folder } }));
  const calls = (): string[] => readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n');

  test('a crontab is changed once, and back', async () => {
    const table = join(folder, 'table');
    writeFileSync(table, '5 5 * * * mine\n');
    programs({ systemctl: 'exit 1', crontab: `if [ "$1" = -l ]; then cat '${table}'; else cat >'${table}'; fi` });
    expect(await installHere(job(), here())).toMatchObject({ changed: true, scheduler: 'cron' });
    expect(readFileSync(table, 'utf8')).toBe(withJob('5 5 * * * mine\n', job()));
    expect(await installHere(job(), here())).toMatchObject({ changed: false });
    expect(await hereStatus(job(), here())).toMatchObject({ installed: true, said: null });
    expect(await removeHere(job(), here())).toMatchObject({ changed: true });
    expect(readFileSync(table, 'utf8')).toBe('5 5 * * * mine\n');
    expect(await removeHere(job(), here())).toMatchObject({ changed: false });
    expect(calls().filter((call) => call === 'crontab -')).toHaveLength(2);
  });

  test('units are written and started once, and all of it goes again', async () => {
    programs({ systemctl: 'exit 0' });
    expect(await installHere(job(), here())).toMatchObject({ changed: true, scheduler: 'systemd' });
    const units = join(folder, '.config/systemd/user');
    expect(readdirSync(units)).toHaveLength(2);
    expect((statSync(join(folder, '.local/state/latchkey')).mode & 0o777).toString(8)).toBe('700');
    expect(calls()).toContain(`systemctl --user enable latchkey-watch-${job().name}.timer`);
    expect(await installHere(job(), here())).toMatchObject({ changed: false });
    const hourly = { ...job(), everySeconds: 3600 };
    expect(await installHere(hourly, here())).toMatchObject({ changed: true });
    expect(await removeHere(job(), here())).toMatchObject({ changed: true });
    expect(readdirSync(units)).toEqual([]);
    expect(await hereStatus(job(), here())).toMatchObject({ installed: false });
  });

  test('launchd is told of a list that is there', async () => {
    programs({ launchctl: '[ "$1" != print ]' });
    const mac = { ...here(), platform: 'darwin' };
    expect(await installHere(job(), mac)).toMatchObject({ changed: true, scheduler: 'launchd' });
    const list = join(folder, `Library/LaunchAgents/latchkey.watch.${job().name}.plist`);
    expect(calls().at(-1)).toBe(`launchctl bootstrap gui/1000 ${list}`);
    expect(await removeHere(job(), mac)).toMatchObject({ changed: true });
    expect(existsSync(list)).toBe(false);
  });

  test('a machine with nothing that starts jobs is told so', async () => {
    programs({ systemctl: 'exit 1' });
    process.env.PATH = `${folder}/bin`;
    await expect(installHere(job(), here())).rejects.toMatchObject({ code: 'no_scheduler', exit: 3 });
  });

  test('the log says the same once', async () => {
    const log = join(folder, 'log');
    expect(await logOnce(log, 'fine', 0)).toBe(true);
    expect(await logOnce(log, 'fine', 1000)).toBe(false);
    expect(await logOnce(log, 'applied: x', 2000)).toBe(true);
    expect(await logOnce(log, 'fine', 3000)).toBe(true);
    expect(readFileSync(log, 'utf8')).toBe(
      '1970-01-01T00:00:00.000Z fine\n1970-01-01T00:00:02.000Z applied: x\n1970-01-01T00:00:03.000Z fine\n',
    );
  });
});

describe('an apply while nobody is there', () => {
  const app = { files: [] } as unknown as LocalApp;
  const deps = { takeOver: false } as JournalDeps;
  const looking = (changes: Partial<Facts>, closed: () => void = () => undefined): Workplace =>
    ({
      facts: async () => exampleFacts(changes),
      close: async () => closed(),
    }) as unknown as Workplace; // has no instance: whoever wants to change something fails

  test.each<[string, Partial<Facts>]>([
    ['in maintenance mode', { maintenance: true }],
    ['between new code and occ upgrade', { databaseVersion: '31.0.9.1' }],
  ])('leaves a Nextcloud alone that is %s', async (_name, changes) => {
    let closed = 0;
    const open = async (): Promise<Workplace> => looking(changes, () => closed++);
    expect(await applyNow(open, app, deps)).toEqual({ outcome: 'waiting', line: null });
    expect(closed).toBe(1);
  });

  test('says in one line why a server could not be reached', async () => {
    const open = () => Promise.reject(new LatchkeyError('host_key_changed', 'the key is another', { hint: 'ask why' }));
    expect(await applyNow(open, app, deps)).toEqual({
      outcome: 'failed',
      line: 'the key is another (host_key_changed); ask why',
    });
  });

  test('hides no fault of its own', async () => {
    await expect(applyNow(async () => looking({}), app, deps)).rejects.toThrow(TypeError);
  });
});
