import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { aloneAtHome, type HomeLockDeps, type HomeLockTimes } from '../../../patcher/setup/home-lock.ts';
import { openLocalTransport } from '../../../patcher/transports/local-transport.ts';
import type { Transport } from '../../../patcher/transports/transport.ts';
import { SHELLS } from '../../harness/installer-machine.ts';
import { hasProgram } from '../../harness/programs.ts';

const SCRIPT = resolve(import.meta.dirname, '../../../patcher/setup/home-lock.sh');
const script = readFileSync(SCRIPT, 'utf8');
/** Named with the digest of its machine id. */
const DESK = 'desk-1-0123abcd';

describe('the lock of a machine at home', () => {
  let folder: string;
  let path: string;
  let home: Transport;
  let notes: string[];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'lk-home-lock-'));
    path = join(folder, 'lock');
    home = await openLocalTransport({ prompter: null });
    notes = [];
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const deps = (changes: Partial<HomeLockDeps['by']> = {}, takeOver = false): HomeLockDeps => ({
    by: { user: 'ann', machine: DESK, pid: process.pid, ...changes },
    now: () => Date.now(),
    random: randomBytes,
    takeOver,
    progress: { step: () => undefined, note: (text) => void notes.push(text) },
  });
  const quick: HomeLockTimes = { renewMs: 50, lookAgainMs: 400 };
  const alone = <T>(who: HomeLockDeps, work: (home: Transport) => Promise<T>, times: HomeLockTimes = {}): Promise<T> =>
    aloneAtHome(home, 'root@cloud.example', who, work, { path, ...quick, ...times });
  const other = deps({ user: 'bob', machine: 'desk-2' });
  const old = (text?: string): void => {
    if (text !== undefined) writeFileSync(path, text);
    utimesSync(path, 1_000_000, 1_000_000);
  };

  it('keeps a second desk out, and tells it who is at work, for which server, and since when', async () => {
    const since = () => Date.UTC(2026, 10, 22, 1, 2, 3);
    await alone({ ...deps(), now: since }, async () => {
      await expect(alone(other, () => Promise.resolve('in'))).rejects.toMatchObject({
        code: 'home_busy',
        exit: 3,
        message: expect.stringMatching(
          /^ann@desk-1-0123abcd \(process \d+\) is at work on this machine for root@cloud\.example since 2026-11-22T01:02:03\.000Z, last heard of \d+ seconds ago$/,
        ),
      });
    });
    expect(await alone(other, () => Promise.resolve('in'))).toBe('in');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('keeps it out while the first one lives, whatever the clock at home was set to', async () => {
    await alone(deps(), async () => {
      for (const at of [1_000_000, 4_000_000_000]) {
        utimesSync(path, at, at);
        const second = alone(other, () => Promise.resolve('in'), { lookAgainMs: 6_000 });
        await expect(second).rejects.toMatchObject({ code: 'home_busy' });
      }
    });
  });

  it('is given back when the work fails', async () => {
    await expect(alone(deps(), () => Promise.reject(new Error('work')))).rejects.toThrow('work');
    expect(existsSync(path)).toBe(false);
  });

  const left = async (by: HomeLockDeps): Promise<void> => {
    // who holds it is never heard of again
    let dead = false;
    const dying = new Proxy(home, {
      get: (target, name) =>
        name === 'run'
          ? (...words: Parameters<Transport['run']>) => (dead ? Promise.reject(new Error('cut')) : home.run(...words))
          : Reflect.get(target, name, target),
    });
    await aloneAtHome(
      dying,
      'root@cloud.example',
      by,
      async () => {
        dead = true;
      },
      { path, ...quick },
    );
    expect(existsSync(path)).toBe(true);
  };

  it('is taken over at once from a process of the same desk that was killed', async () => {
    await left(deps({ pid: 4_194_305 }));
    expect(await alone(deps(), () => Promise.resolve('in'), { lookAgainMs: 60_000 })).toBe('in');
    expect(notes.join('\n')).toContain(
      'ann@desk-1-0123abcd (process 4194305) at home is taken over: that process has ended',
    );
  });

  it('is not taken over at once from another desk, which may live under that number', async () => {
    await left(deps({ machine: 'desk-3', pid: 4_194_305 }));
    await expect(alone(other, () => Promise.resolve('in'))).rejects.toMatchObject({ code: 'home_busy' });
  });

  it('is not taken over at once by the bare name of a machine, which another may have too', async () => {
    await left(deps({ machine: 'macbook', pid: 4_194_305 }));
    const same = deps({ user: 'bob', machine: 'macbook' });
    await expect(alone(same, () => Promise.resolve('in'))).rejects.toMatchObject({ code: 'home_busy' });
  });

  it.each<[string, () => void]>([
    ['lost its power long ago', () => old()],
    ['left it in what is the future by now', () => utimesSync(path, 4_000_000_000, 4_000_000_000)],
    ['lost its power while writing', () => old('')],
    ['wrote what is no lock', () => old('{"v":9}\n')],
  ])('is taken over from a desk that %s, after a second look', async (_, spoil) => {
    await left(deps({ machine: 'desk-3' }));
    spoil();
    expect(await alone(other, () => Promise.resolve(readFileSync(path, 'utf8')))).toContain('"desk-2"');
    expect(notes).toHaveLength(2);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('whose time cannot be told is somebody’s all the same', async () => {
    await left(deps({ machine: 'desk-3' }));
    writeFileSync(path, readFileSync(path, 'utf8').replace(/"since":\d+/, '"since":9000000000000000'));
    await expect(alone(other, () => Promise.resolve('in'))).rejects.toMatchObject({ code: 'home_busy' });
  });

  it('is kept by a desk that shows life again after the last look', async () => {
    await left(deps({ machine: 'desk-3' }));
    old();
    const before = readFileSync(path, 'utf8');
    const late: Transport['run'] = (argv, options) => {
      if (argv.includes('replace')) utimesSync(path, new Date(), new Date());
      return home.run(argv, options);
    };
    const watching = new Proxy(home, {
      get: (target, name) => (name === 'run' ? late : Reflect.get(target, name, target)),
    });
    const second = aloneAtHome(watching, 'root@cloud.example', other, () => Promise.resolve('in'), { path, ...quick });
    await expect(second).rejects.toMatchObject({ code: 'home_busy' });
    expect(readFileSync(path, 'utf8')).toBe(before);
  });

  it('is taken over where somebody says so, and the one before does nothing more at home', async () => {
    await alone(deps(), async (guarded) => {
      expect((await guarded.run(['echo', 'on'])).exit).toBe(0);
      await alone(deps({ user: 'bob', machine: 'desk-2' }, true), async () => {
        await sleep(200);
        await expect(guarded.run(['touch', join(folder, 'done')])).rejects.toMatchObject({
          code: 'home_lock_lost',
          exit: 3,
        });
        expect(readFileSync(path, 'utf8')).toContain('"desk-2"');
      });
    });
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is asked for before anything is done by a desk that has slept', async () => {
    const never = { renewMs: 3_600_000, sureMs: 20 };
    await alone(
      deps(),
      async (guarded) => {
        await sleep(30);
        expect((await guarded.run(['echo', 'on'])).exit).toBe(0);
        rmSync(path);
        await sleep(30);
        await expect(guarded.run(['touch', join(folder, 'done')])).rejects.toMatchObject({ code: 'home_lock_lost' });
      },
      never,
    );
    expect(readdirSync(folder)).toEqual([]);
  });

  it('lets nothing be done while nobody can tell whose it is', async () => {
    let deaf = false;
    const unclear: Transport['run'] = (argv, options) =>
      deaf && argv.includes('renew') ? home.run(['false']) : home.run(argv, options);
    const dulled = new Proxy(home, {
      get: (target, name) => (name === 'run' ? unclear : Reflect.get(target, name, target)),
    });
    const never = { path, renewMs: 3_600_000, sureMs: 20 };
    await aloneAtHome(
      dulled,
      'root@cloud.example',
      deps(),
      async (guarded) => {
        deaf = true;
        await sleep(30);
        await expect(guarded.run(['touch', join(folder, 'done')])).rejects.toMatchObject({ code: 'home_refused' });
        deaf = false;
        expect((await guarded.run(['echo', 'on'])).exit).toBe(0);
      },
      never,
    );
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is one desk’s only, of six at once that find one which was left', async () => {
    await left(deps({ pid: 4_194_305 }));
    let inside = 0;
    let most = 0;
    const desks = Array.from({ length: 6 }, (_, number) => deps({ user: `u${number}`, pid: process.pid }));
    const ended = await Promise.allSettled(
      desks.map((one) =>
        alone(one, async () => {
          inside += 1;
          most = Math.max(most, inside);
          await sleep(300);
          inside -= 1;
        }),
      ),
    );
    expect(most).toBe(1);
    expect(ended.some(({ status }) => status === 'fulfilled')).toBe(true);
    for (const one of ended) if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'home_busy' });
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each(Object.entries(SHELLS))('is told by its script under %s', (_, [shell, ...args]) => {
    const order = (...words: string[]): string =>
      spawnSync(shell, [...args, '-s', '--', ...words], { input: script, encoding: 'utf8' }).stdout;
    const nasty = `{"v":"'; touch BROKEN; $(touch BROKEN) \\\\n %s"}`;
    expect(order('renew', path, nasty)).toBe('lock lost\n');
    expect(order('take', path, nasty)).toBe('lock taken\n');
    expect(readFileSync(path, 'utf8')).toBe(`${nasty}\n`);
    expect(order('take', path, 'second')).toMatch(/^lock held\nshown \d+\nnow \d+\nholder \{"v":"'; touch/);
    expect(order('replace', path, 'second', 'third')).toMatch(/^lock held\n/);
    expect(order('give', path, 'second')).toBe('lock given\n');
    expect(order('renew', path, nasty)).toBe('lock kept\n');
    old();
    expect(order('replace', path, 'second', nasty, '1000001')).toMatch(/^lock held\nshown 1000000\n/);
    expect(order('replace', path, 'third', nasty, '1000000')).toBe('lock taken\n');
    expect(order('replace', path, 'second', 'third')).toBe('lock taken\n');
    expect(order('renew', path, nasty)).toBe('lock lost\n');
    expect(order('give', path, 'second')).toBe('lock given\n');
    expect(readdirSync(folder)).toEqual([]);
    expect(order('take', join(folder, 'none', 'lock'), 'x')).toMatch(/^error .* cannot be written\n$/);
  });
});

test.runIf(hasProgram('shellcheck'))('shellcheck finds nothing in its script', () => {
  const { stdout, status } = spawnSync('shellcheck', ['--shell=sh', SCRIPT], { encoding: 'utf8' });
  expect([stdout, status]).toEqual(['', 0]);
});
