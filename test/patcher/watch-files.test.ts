import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { CoreFile, Facts, WatchFacts } from '../../patcher/facts.ts';
import { planFor } from '../../patcher/plan.ts';
import { removalFor } from '../../patcher/removal.ts';
import {
  readWatchParts,
  settingsText,
  type WatchParts,
  type WatchSettings,
  watchedOf,
  watchFilesFor,
  watchPathsOutside,
  watchSettingsOf,
} from '../../patcher/watch/watch-files.ts';
import { isWatched, watchRemovalFor, watchStepsFor } from '../../patcher/watch/watch-plan.ts';
import { sha256 } from '../../platform/encoding.ts';
import { run } from '../../platform/run.ts';
import { hasProgram } from '../harness/programs.ts';
import { verifyUnits } from '../harness/unit-verification.ts';
import { exampleFacts } from './example-facts.ts';
import { APP } from './watched-place.ts';

const FOLDER = '/var/lib/latchkey/watch-oc1234567890';
const UNIT = '/etc/systemd/system/latchkey-watch-oc1234567890';
const APP_PATH = { path: '/var/www/nextcloud/apps/remotekeystorage', version: '1.0.0', core: null };
const OCC = ['runuser', '-u', 'www-data', '--', 'php', '/var/www/nextcloud/occ'];

let parts: WatchParts;
beforeAll(async () => {
  parts = await readWatchParts(APP);
});

const none: WatchFacts = { occCommand: OCC, filesCommand: [], owner: '33:33', folder: false, files: {} };

/** The machine as it is once these files of the watch are there. */
function installed(facts: Facts, way: WatchFacts = none, using: WatchParts = parts): Facts {
  const settings = watchSettingsOf(facts, way, APP_PATH);
  const files = watchFilesFor(facts.scheduler, settings, using);
  const digests = files.map(({ path, data }) => [path, sha256(data).toString('hex')]);
  return { ...facts, watch: { ...way, folder: true, files: Object.fromEntries(digests) as Record<string, string> } };
}
const steps = (facts: Facts, way = facts.watch ?? none, using = parts) => watchStepsFor(facts, way, APP_PATH, using);
const named = (list: readonly { kind: string; path?: string; unit?: string }[]): string[] =>
  list.map(({ kind, path, unit }) => `${kind} ${(path ?? unit ?? '').replace(`${FOLDER}/`, '').replace(UNIT, 'UNIT')}`);

describe('the plan of the watch', () => {
  test('writes everything before what starts it', () => {
    expect(named(steps(exampleFacts({ scheduler: 'systemd', watch: none })))).toEqual([
      `watch_folder ${FOLDER}`,
      ...['watch.sh', 'inside.sh', 'upload.sh', 'app.tar', 'app.sha256', 'settings.sh'].map(
        (name) => `watch_file ${name}`,
      ),
      'watch_file UNIT.service',
      'watch_file UNIT.timer',
      'watch_file UNIT.path',
      'start_watch latchkey-watch-oc1234567890.timer',
      'start_watch latchkey-watch-oc1234567890.path',
    ]);
    const cron = named(steps(exampleFacts({ watch: none })));
    expect(cron.at(-1)).toBe('watch_file /etc/cron.d/latchkey-watch-oc1234567890');
  });

  test.each(['systemd', 'cron'] as const)('is empty where all is as it should be, under %s', (scheduler) => {
    const facts = installed(exampleFacts({ scheduler, watch: none }));
    expect(isWatched(facts)).toBe(true);
    expect(steps(facts)).toEqual([]);
  });

  test('is empty where nothing could start it', () => {
    expect(steps(exampleFacts({ scheduler: 'none', watch: none }))).toEqual([]);
  });

  test('starts units anew when their files change, and only then', () => {
    const facts = installed(exampleFacts({ scheduler: 'systemd', watch: none }));
    const moved = { ...facts, configFile: '/etc/nextcloud/config.php' };
    expect(named(steps(moved))).toEqual([
      'stop_watch latchkey-watch-oc1234567890.timer',
      'stop_watch latchkey-watch-oc1234567890.path',
      'watch_file settings.sh',
      'watch_file UNIT.path',
      'start_watch latchkey-watch-oc1234567890.timer',
      'start_watch latchkey-watch-oc1234567890.path',
    ]);
    expect(named(steps(facts, undefined, { ...parts, hashes: 'other' }))).toEqual(['watch_file app.sha256']);
  });

  test('takes away what another way of starting it has left', () => {
    const facts = installed(exampleFacts({ scheduler: 'cron', watch: none }));
    expect(named(steps({ ...facts, scheduler: 'systemd' }))).toContain(
      'remove_watch /etc/cron.d/latchkey-watch-oc1234567890',
    );
  });

  test('has no path unit for a container, whose files are not the machine’s', () => {
    const way = { ...none, filesCommand: ['docker', 'exec', '-i', '-u', '0', 'cloud'] };
    expect(named(steps(exampleFacts({ scheduler: 'systemd', watch: way }))).join()).not.toContain('.path');
  });

  test('of apply brings the copy of the app up to date, where there is a watch', () => {
    const wanted = { app: { version: '1.0.0', content: {} }, heartbeat: '', watch: { ...parts, hashes: 'newer' } };
    const facts = installed(exampleFacts({ watch: none }));
    const ofWatch = (facts: Facts) => named(planFor(facts, wanted).steps).filter((name) => name.includes('watch'));
    expect(ofWatch(facts)).toEqual(['watch_file app.sha256']);
    expect(ofWatch(exampleFacts({ watch: none }))).toEqual([]);
    expect(ofWatch(exampleFacts())).toEqual([]);
  });

  describe('with the hook in the core', () => {
    const file = '/var/www/nextcloud/lib/private/Server.php';
    const core: CoreFile = {
      ...{ path: file, state: 'patched', now: 'b'.repeat(128), signed: 'a'.repeat(128), hooked: 'b'.repeat(128) },
      ...{ marked: true, refusal: null, cover: null },
    };
    const facts = exampleFacts({ watch: none, hook: 'core', core });
    const watched = watchedOf(facts, APP_PATH, 'core');

    test('follows the patched file, and keeps a copy of it once it is patched', () => {
      const list = watchStepsFor(facts, none, watched, parts);
      expect(named(list).slice(-2)).toEqual([
        'watch_file /etc/cron.d/latchkey-watch-oc1234567890',
        'watch_core core.patched',
      ]);
      expect(list.at(-1)).toMatchObject({ from: file, sha512: core.hooked });
      const units = watchFilesFor('systemd', watchSettingsOf(facts, none, watched), parts);
      expect(units.at(-1)?.data.toString('utf8')).toContain(`PathChanged=${file}\n`);
      expect(settingsText(watchSettingsOf(facts, none, watched))).toContain(`core_before='${core.signed}'`);
    });

    test('is empty where the copy is there, and takes it away with the hook', () => {
      const files = watchFilesFor('cron', watchSettingsOf(facts, none, watched), parts);
      const digests = files.map(({ path, data }) => [path, sha256(data).toString('hex')]);
      const copy = { [`${FOLDER}/core.patched`]: 'x' };
      const way = {
        ...none,
        folder: true,
        files: { ...Object.fromEntries(digests), ...copy } as Record<string, string>,
      };
      expect(watchStepsFor(facts, way, watched, parts)).toEqual([]);
      const without = named(watchStepsFor(facts, way, watchedOf(facts, APP_PATH, 'app'), parts));
      expect(without).toEqual(['watch_file settings.sh', 'remove_watch core.patched']);
    });

    test('keeps no copy where another is mounted over the file', () => {
      const cover = {} as NonNullable<CoreFile['cover']>;
      const covered = watchedOf({ ...facts, core: { ...core, cover } }, APP_PATH, 'core');
      expect(named(watchStepsFor(facts, none, covered, parts)).join()).not.toContain('watch_core');
    });

    test('that cannot be made is none to look after', () => {
      expect(watchedOf({ ...facts, core: { ...core, hooked: null } }, APP_PATH, 'core').core).toBeNull();
      expect(watchedOf(exampleFacts(), APP_PATH, 'core').core).toBeNull();
    });
  });

  test('as JSON is without the app’s files', () => {
    expect(JSON.stringify(steps(exampleFacts({ watch: none })))).not.toContain('Buffer');
  });
});

describe('removal', () => {
  test('stops first, and takes everything away', () => {
    const facts = installed(exampleFacts({ scheduler: 'systemd', watch: none }));
    expect(named(watchRemovalFor(facts))).toEqual([
      'stop_watch latchkey-watch-oc1234567890.timer',
      'stop_watch latchkey-watch-oc1234567890.path',
      'remove_watch UNIT.service',
      'remove_watch UNIT.timer',
      'remove_watch UNIT.path',
      `remove_watch ${FOLDER}`,
    ]);
  });

  test('has nothing to do where nothing is', () => {
    expect(watchRemovalFor(exampleFacts({ watch: none }))).toEqual([]);
    expect(watchRemovalFor(exampleFacts())).toEqual([]);
  });

  test('of the app begins with the watch, which would put it back', () => {
    const facts = installed(exampleFacts({ watch: none }));
    const all = named(removalFor({ ...facts, app: { ...facts.app, enabled: true } }));
    expect(all.indexOf(`remove_watch ${FOLDER}`)).toBe(1);
    expect(all.indexOf(`remove_watch ${FOLDER}`)).toBeLessThan(all.findIndex((name) => name.startsWith('disable_app')));
  });
});

describe('settings', () => {
  const settings = (changes: Partial<WatchSettings>): WatchSettings => ({
    ...watchSettingsOf(exampleFacts(), none, APP_PATH),
    ...changes,
  });

  test('carry any path and any word through a shell', () => {
    const odd = `/srv/it's "a" $HOME \`id\` \\ %s`;
    const way = { ...none, occCommand: ['printf', '[%s]', odd] };
    const text = settingsText(settings({ root: odd, way }));
    const script = `within() { shift; "$@"; }\n${text}\nprintf '%s\\n' "$root"; occ 5 status 'two words'`;
    const { stdout } = spawnSync('sh', ['-c', script], { encoding: 'utf8' });
    expect(stdout).toBe(`${odd}\n[${odd}][status][two words]`);
  });

  test('refuse a path with a line break', () => {
    expect(() => settingsText(settings({ configFile: '/a\nreboot' }))).toThrow(TypeError);
    expect(() => watchFilesFor('systemd', settings({ root: '/a\nExecStart=/bin/sh' }), parts)).toThrow(TypeError);
  });

  test('of a machine without runuser become the owner with su', () => {
    const way = { ...none, occCommand: ['su', '-s', '/bin/sh', '-c', 'exec "$0" "$@"', 'www-data', 'php'] };
    expect(settingsText(settings({ way }))).toContain(`as_owner() { limit=$1; shift; within "$limit" 'su' '-s'`);
    expect(settingsText(settings({}))).toContain(`'runuser' '-u' 'www-data' '--' "$@"; }`);
  });
});

test('the list of hashes is what the script finds when it looks', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lk-hashes-'));
  try {
    for (const { path, data } of APP) {
      mkdirSync(join(folder, path, '..'), { recursive: true });
      writeFileSync(join(folder, path), data);
    }
    const inside = new URL('../../patcher/watch/inside.sh', import.meta.url).pathname;
    expect(spawnSync('sh', [inside, 'tree', folder], { encoding: 'utf8' }).stdout).toBe(parts.hashes);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('every file outside of its folder is known for removal', () => {
  const all = (['systemd', 'cron'] as const).flatMap((scheduler) =>
    watchFilesFor(scheduler, watchSettingsOf(exampleFacts(), none, APP_PATH), parts),
  );
  const outside = all.map(({ path }) => path).filter((path) => !path.startsWith(FOLDER));
  expect(new Set(outside)).toEqual(new Set(watchPathsOutside('oc1234567890')));
});

test('a refresh of the snap starts it', () => {
  const facts = exampleFacts({ scheduler: 'systemd', target: 'snap', watch: none });
  const files = watchFilesFor('systemd', watchSettingsOf(facts, none, APP_PATH), parts);
  const path = files.find((file) => file.path === `${UNIT}.path`)?.data.toString('utf8');
  expect(path).toContain('\nPathChanged=/snap/nextcloud/current\n');
});

test.runIf(hasProgram('busybox'))(
  'the line of the crontab starts the script, as cron would have it started',
  async () => {
    const base = mkdtempSync(join(tmpdir(), 'lk-cron-'));
    try {
      const files = watchFilesFor('cron', watchSettingsOf(exampleFacts(), none, APP_PATH), parts);
      const text = files.at(-1)?.data.toString('utf8') ?? '';
      const line = text.split('\n').find((one) => one.startsWith('* * * * * root ')) ?? '';
      const command = line
        .slice('* * * * * root '.length)
        .replaceAll(FOLDER, `${base}/watch 100%`.replaceAll('%', '\\%').replace(/ /g, '\\ '));
      mkdirSync(join(base, 'watch 100%'));
      writeFileSync(join(base, 'watch 100%', 'watch.sh'), `printf %s "$1" >'${base}/started'\n`);
      // crontab(5): an escaped % is one
      expect((await run(['/bin/sh', '-c', command.replaceAll('\\%', '%')], { timeoutMs: 10_000 })).exit).toBe(0);
      expect(readFileSync(join(base, 'started'), 'utf8')).toBe(`${base}/watch 100%`);
    } finally {
      rmSync(base, { recursive: true });
    }
  },
);

describe.runIf(hasProgram('systemd-analyze'))('systemd-analyze', () => {
  function verify(change: (unit: string) => string): Promise<string> {
    const facts = exampleFacts({ root: '/srv/100% next cloud', target: 'snap' });
    const files = watchFilesFor('systemd', watchSettingsOf(facts, none, APP_PATH), parts);
    const units = files.filter(({ path }) => path.startsWith('/etc/systemd/'));
    expect(units).toHaveLength(3);
    return verifyUnits(Object.fromEntries(units.map(({ path, data }) => [path, change(data.toString('utf8'))])));
  }

  test('finds nothing in the units', async () => {
    expect(await verify((unit) => unit)).toBe('0 ');
  });

  test('would find a setting that there is not', async () => {
    expect(await verify((unit) => unit.replace('PathChanged', 'PathsChanged'))).toContain('PathsChanged');
  });
});
