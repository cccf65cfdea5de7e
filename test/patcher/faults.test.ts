import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type LocalApp, readLocalApp } from '../../patcher/app-files.ts';
import { type ApplyReport, apply } from '../../patcher/apply.ts';
import type { JournalDeps } from '../../patcher/journal/transaction.ts';
import { rollback } from '../../patcher/rollback.ts';
import type { Transport } from '../../patcher/transports/transport.ts';
import { openWorkplace, type Workplace } from '../../patcher/workplace.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { isRoot } from '../harness/nextcloud-files.ts';
import { hasProgram } from '../harness/programs.ts';
import { makePhpLean } from '../harness/quick-php.ts';
import { runNcpatch } from './ncpatch-run.ts';
import { PretendNextcloud } from './pretend-nextcloud.ts';

// Real files, real mounts and real processes on this machine, with a stand-in for occ.
const canRun = isRoot() && process.platform === 'linux' && hasProgram('php') && hasProgram('mount');
const PHP_APP = new URL('../../php-app', import.meta.url).pathname;

describe.runIf(canRun)('whatever goes wrong on the server', () => {
  vi.setConfig({ testTimeout: 120_000 });
  let app: LocalApp;
  let nextcloud: PretendNextcloud;
  let before: string[];
  const mounted: string[] = [];

  const cleanup = new Cleanup();
  beforeAll(async () => {
    makePhpLean(cleanup);
    app = await readLocalApp(PHP_APP);
  });
  afterAll(async () => {
    expect(await cleanup.run()).toEqual([]);
  });
  beforeEach(() => {
    nextcloud = new PretendNextcloud();
    before = nextcloud.snapshot();
  });
  afterEach(() => {
    for (const path of mounted.splice(0)) execFileSync('umount', [path]);
    nextcloud.remove();
  });

  const deps = (change: Partial<JournalDeps> = {}): JournalDeps => ({
    progress: { step: () => undefined, note: () => undefined },
    by: { user: 'test', machine: 'test', pid: process.pid },
    now: Date.now,
    random: randomBytes,
    takeOver: false,
    ...change,
  });
  async function at<T>(work: (place: Workplace) => Promise<T>): Promise<T> {
    const place = await openWorkplace({ local: true, root: nextcloud.root }, { prompter: null, env: {} });
    try {
      return await work(place);
    } finally {
      await place.close();
    }
  }
  const put = (change?: Partial<JournalDeps>): Promise<ApplyReport> => at((place) => apply(place, app, deps(change)));
  const undo = () => at((place) => rollback(place, deps()));
  const traces = (): string[] => [
    ...nextcloud.journalLeft(),
    ...readdirSync(join(nextcloud.root, 'apps')).filter((name) => name !== 'remotekeystorage'),
  ];
  const code = (name: string): unknown => expect.objectContaining({ code: name });
  const mount = (path: string, options: string): void => {
    mkdirSync(path, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path]);
    mounted.unshift(path);
  };
  const owned = 'mode=755,uid=33,gid=33';

  // a page for the lock and one for the journal, of which the name of who writes it takes a part
  test.each([
    ['before a line of it is written', '4k', 10],
    ['at its first steps', '8k', 3600],
    ['in the middle of it', '8k', 3000],
    ['near its end', '8k', 2400],
  ])('a disk that is full under the journal, %s: settled by the next run', async (_, size, name) => {
    mount(nextcloud.journalFolder, `size=${size},mode=700`);
    const by = { user: 'u'.repeat(name), machine: 'test', pid: process.pid };
    await expect(put({ by })).rejects.toEqual(code('disk_full'));
    expect([null, app.app.content]).toContainEqual(nextcloud.appFiles());
    execFileSync('mount', ['-o', 'remount,size=1m', nextcloud.journalFolder]);
    const { outcome } = await undo();
    if (outcome === 'finished') expect(nextcloud.appFiles()).toEqual(app.app.content);
    else expect(nextcloud.snapshot()).toEqual(before);
    expect(traces()).toEqual([]);
  });

  test.each([
    ['full', 'disk_full', `size=64k,${owned}`],
    ['out of inodes', 'disk_full', `nr_inodes=9,${owned}`],
    ['read-only', 'read_only', `ro,${owned}`],
  ])('an apps folder that is %s: undone', async (_, error, options) => {
    mount(join(nextcloud.root, 'apps'), options);
    before = nextcloud.snapshot();
    await expect(put()).rejects.toEqual(code(error));
    expect(nextcloud.snapshot()).toEqual(before);
    expect(traces()).toEqual([]);
  });

  test.each([
    ['full', 'disk_full', `nr_inodes=1,${owned}`],
    ['read-only', 'read_only', `ro,${owned}`],
  ])('a place for the state folder that is %s: undone', async (_, error, options) => {
    const place = join(nextcloud.base, 'elsewhere');
    mount(place, options);
    await at((here) =>
      here.instance.occ(['config:import', 'php://stdin'], {
        input: JSON.stringify({ system: { 'remotekeystorage.dir': join(place, 'state') } }),
      }),
    );
    before = nextcloud.snapshot();
    await expect(put()).rejects.toEqual(code(error));
    expect(nextcloud.snapshot()).toEqual(before);
    expect(traces()).toEqual([]);
  });

  test('a journal folder that is read-only: refused before anything is changed', async () => {
    mount(nextcloud.journalFolder, 'ro,mode=700');
    await expect(put()).rejects.toEqual(code('read_only'));
    expect(nextcloud.snapshot()).toEqual(before);
  });

  /** occ as it is, but less patient. */
  const impatient = (place: Workplace): Workplace => ({
    ...place,
    instance: { ...place.instance, occ: (args, given) => place.instance.occ(args, { ...given, timeoutMs: 2000 }) },
  });

  test.each(['app:enable', 'remotekey:status'])('an occ that hangs in %s: ended and undone', async (command) => {
    nextcloud.trouble({ [command]: 'hangs' });
    await expect(at((place) => apply(impatient(place), app, deps()))).rejects.toEqual(code('command_timeout'));
    expect(nextcloud.troubled().length).toBeGreaterThan(0);
    expect(nextcloud.troubled().filter(isAtWork)).toEqual([]);
    expect(nextcloud.snapshot()).toEqual(before);
    expect(traces()).toEqual([]);
  });

  test('an occ that cannot undo: the journal stays open, and the next run goes on', async () => {
    nextcloud.trouble({ 'remotekey:status': 1, 'app:disable': 1 });
    await expect(put()).rejects.toThrow();
    expect(nextcloud.journalLeft()).toContain('journal.jsonl');
    await expect(undo()).rejects.toEqual(code('rollback_incomplete'));
    nextcloud.trouble({});
    expect(await undo()).toMatchObject({ outcome: 'undone' });
    expect(nextcloud.snapshot()).toEqual(before);
    expect(traces()).toEqual([]);
  });

  test('maintenance mode: done behind it, and it stays on', async () => {
    await at((place) => place.instance.occ(['maintenance:mode', '--on']));
    expect(await put()).toMatchObject({ changed: true, maintenance: true });
    expect(nextcloud.state().system.maintenance).toBe(true);
  });

  test('a second ncpatch in the middle of a first: refused, and the first is not disturbed', async () => {
    const second: Promise<unknown>[] = [];
    const step = (text: string): void => {
      if (!text.startsWith('enable')) return;
      const argv = ['apply', '--local', '--root', nextcloud.root, '--json'];
      second.push(runNcpatch(argv).then(({ exit, stdout }) => [exit, JSON.parse(stdout)]));
    };
    const slow: Partial<JournalDeps> = { progress: { step, note: () => undefined } };
    const report = await at(async (place) => {
      const { occ } = place.instance;
      const waiting: Workplace = {
        ...place,
        instance: {
          ...place.instance,
          occ: async (args, given) => {
            if (args[0] === 'app:enable') await Promise.all(second);
            return occ(args, given);
          },
        },
      };
      return apply(waiting, app, deps({ ...slow, by: { user: 'first', machine: 'elsewhere', pid: 1 } }));
    });
    expect(report).toMatchObject({ changed: true });
    expect(await Promise.all(second)).toMatchObject([[3, { error: { code: 'journal_locked' } }]]);
    expect(traces()).toEqual([]);
  });

  test('two ncpatch started at once: one of them does it, and the other does nothing or is refused', async () => {
    const argv = ['apply', '--local', '--root', nextcloud.root, '--json'];
    const runs = await Promise.all([runNcpatch(argv), runNcpatch(argv)]);
    const reports = runs.map(({ stdout }) => JSON.parse(stdout) as { changed?: boolean; error?: { code: string } });
    expect(reports.filter(({ changed }) => changed === true)).toHaveLength(1);
    const [other] = reports.filter(({ changed }) => changed !== true);
    expect(other?.changed === false || other?.error?.code === 'journal_locked').toBe(true);
    expect(nextcloud.appFiles()).toEqual(app.app.content);
    expect(traces()).toEqual([]);
  });

  /** Does something at the moment between `prepare`, whose record this line is, and the change itself. */
  const meanwhile = (place: Workplace, kind: string, work: () => void): Workplace => {
    const spy = <T extends Transport>(transport: T): T =>
      new Proxy(transport, {
        get: (_, name) => {
          const value: unknown = Reflect.get(transport, name);
          if (typeof value !== 'function') return value;
          if (name !== 'appendLine') return value.bind(transport);
          return async (path: string, line: string, options: object) => {
            await transport.appendLine(path, line, options);
            if (line.includes('"t":"intent"') && line.includes(`"kind":"${kind}"`)) work();
          };
        },
      });
    const { files, machine } = place.instance;
    return { ...place, instance: { ...place.instance, files: spy(files), machine: spy(machine) } };
  };

  test('an app folder that somebody makes between plan and change: left alone, all else undone', async () => {
    const folder = join(nextcloud.root, 'apps/remotekeystorage');
    const make = (): void => {
      mkdirSync(folder);
      writeFileSync(join(folder, 'not ours'), 'x');
    };
    const run = at((place) => apply(meanwhile(place, 'upload-tree', make), app, deps()));
    await expect(run).rejects.toEqual(code('path_exists'));
    expect(readFileSync(join(folder, 'not ours'), 'utf8')).toBe('x');
    rmSync(folder, { recursive: true });
    expect(nextcloud.snapshot()).toEqual(before);
    expect(traces()).toEqual([]);
  });

  test('a file changed between plan and change, in a tree that is replaced: comes back with the undo', async () => {
    await put();
    const added = join(nextcloud.root, 'apps/remotekeystorage/lib/added.php');
    writeFileSync(added, 'before the plan');
    nextcloud.trouble({ 'remotekey:status': 1 });
    const change = (): void => writeFileSync(added, 'after the plan');
    await expect(at((place) => apply(meanwhile(place, 'upload-tree', change), app, deps()))).rejects.toThrow();
    expect(readFileSync(added, 'utf8')).toBe('after the plan');
    expect(traces()).toEqual([]);
    nextcloud.trouble({});
    expect(await put()).toMatchObject({ changed: true });
    expect(nextcloud.appFiles()).toEqual(app.app.content);
  });

  const WEIRD = [
    "it's",
    'two\nlines',
    '-rf',
    '$(touch x)',
    'back\\slash',
    'tab\there',
    '*',
    ' ',
    'ü\u202e',
    '\u001b[31m',
  ];

  test('names that bite, beside the app, in it and beside the keys: none is lost, and the undo puts back all', async () => {
    await put();
    const folders = ['apps', 'apps/remotekeystorage', 'apps/remotekeystorage/lib'].map((name) =>
      join(nextcloud.root, name),
    );
    for (const folder of [...folders, nextcloud.keyFolder]) {
      for (const name of WEIRD) writeFileSync(join(folder, name), 'x');
      writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0xfe])]), 'not utf-8');
    }
    before = nextcloud.snapshot();
    nextcloud.trouble({ 'remotekey:status': 1 });
    await expect(put()).rejects.toThrow();
    expect(nextcloud.snapshot()).toEqual(before);
    nextcloud.trouble({});
    expect(await put()).toMatchObject({ changed: true });
    expect(nextcloud.appFiles()).toEqual(app.app.content);
    expect(readdirSync(nextcloud.keyFolder)).toEqual(expect.arrayContaining(WEIRD));
  });
});

/** Ended ones that their parent has not asked about yet (proc(5), state Z) do nothing any more. */
function isAtWork(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
