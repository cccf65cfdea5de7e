import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { hasProgram } from '../harness/programs.ts';
import { APP_VERSION, WatchedPlace } from './watched-place.ts';

const shells = [['dash'], ['bash'], ['busybox', 'ash']].filter(([program = '']) => hasProgram(program)) as [
  string,
  ...string[],
][];

const canRun = ['flock', 'timeout', 'sha256sum', 'tar'].every(hasProgram);

let places: WatchedPlace[] = [];
afterEach(() => {
  for (const place of places) place.remove();
  places = [];
});

async function watched(shell: readonly [string, ...string[]] = ['sh'], patience = 0): Promise<WatchedPlace> {
  const place = await WatchedPlace.make(shell, patience);
  places.push(place);
  return place;
}

describe.runIf(canRun)('the script of the watch', () => {
  describe.each(shells.map((shell) => ({ shell, name: shell.join(' ') })))('under $name', ({ shell }) => {
    test('asks occ once, and nothing more while no file changes', async () => {
      const place = await watched(shell);
      expect(await place.run()).toEqual({ exit: 0, stderr: '' });
      expect(place.calls()[0]).toBe('status --output=json');
      expect(await place.run()).toEqual({ exit: 0, stderr: '' });
      expect(place.calls()).toEqual([]);
      expect(place.left('looked')).toMatch(/^\d{13} fine$/);
    });

    test('puts the app back after an upgrade that wiped and switched it off, and tells the owner', async () => {
      const place = await watched(shell);
      await place.run();
      place.removeApp();
      place.occ('enabled', 'no');
      place.upgraded();
      expect(await place.run()).toEqual({ exit: 0, stderr: 'watch: the app was put back (release)\n' });
      expect([place.appState(), place.told('enabled'), place.beside()]).toEqual(['whole', 'yes', []]);
      expect(place.notice()).toEqual({ code: 'reapplied', at: expect.any(Number), from: '32.0.2', to: '33.0.1' });
      expect(place.left('repaired')).toMatch(/^\d{13} 1 release \d+ 32\.0\.2 33\.0\.1$/);
      place.calls();
      await place.run();
      expect(place.calls()).toEqual([]);
    });
  });

  describe('the app is put back', () => {
    test('when its folder is gone, with the mode and owner that apply gives it', async () => {
      const place = await watched();
      place.removeApp();
      expect((await place.run()).exit).toBe(0);
      expect(place.appState()).toBe('whole');
      expect(modes(place.app)).toEqual([
        '755',
        '755 appinfo',
        '644 appinfo/info.xml',
        '755 lib',
        '644 lib/Large.php',
        '755 lib/Storage',
        '644 lib/Storage/Key Folder.php',
      ]);
    });

    test.each<[string, (place: WatchedPlace) => void]>([
      ['a file was changed', (place) => writeFileSync(join(place.app, 'lib/Large.php'), '<?php\n')],
      ['a file is missing', (place) => rmSync(join(place.app, 'appinfo/info.xml'))],
      ['a file too many is there', (place) => writeFileSync(join(place.app, 'lib/more.php'), '<?php\n')],
      ['a link too many is there', (place) => symlinkSync('/etc', join(place.app, 'lib/etc'))],
      [
        'it is a file',
        (place) => {
          place.removeApp();
          writeFileSync(place.app, 'x');
        },
      ],
      [
        'it is a link to another folder',
        (place) => {
          renameSync(place.app, `${place.base}/else`);
          symlinkSync(`${place.base}/else`, place.app);
          writeFileSync(`${place.base}/else/x`, '');
        },
      ],
      [
        'a run before was cut off',
        (place) => {
          mkdirSync(join(place.apps, '.remotekeystorage.latchkey-watch-new/lib'), { recursive: true });
          mkdirSync(join(place.apps, '.remotekeystorage.latchkey-watch-part'));
          renameSync(place.app, join(place.apps, '.remotekeystorage.latchkey-watch-old'));
        },
      ],
    ])('when %s', async (_name, spoil) => {
      const place = await watched();
      await place.run();
      spoil(place);
      expect(await place.run()).toMatchObject({ exit: 0 });
      expect([place.appState(), place.beside()]).toEqual(['whole', []]);
      expect(place.calls()).not.toContain('app:enable remotekeystorage');
    });

    test('when somebody switched it off and no file changed: it is asked once an hour', async () => {
      const place = await watched();
      await place.run();
      place.occ('enabled', 'no');
      await place.run();
      expect(place.told('enabled')).toBe('no');
      const [signature, , version] = (place.left('seen') ?? '').split(' ');
      place.leave('seen', `${signature} ${Math.floor(Date.now() / 1000) - 3601} ${version}\n`);
      await place.run();
      expect(place.told('enabled')).toBe('yes');
      expect(place.notice()).toMatchObject({ code: 'reapplied', to: '32.0.2' });
    });

    test('with occ upgrade where its own version waits', async () => {
      const place = await watched();
      place.occ('installed_version', '0.9.0');
      place.occ('pending', 'true');
      expect((await place.run()).exit).toBe(0);
      expect(place.calls()).toContain('upgrade');
      expect(place.told('installed_version')).toBe(APP_VERSION);
      expect(place.left('closed')).toBeNull();
    });

    test('and that the key server is away is no fault of its', async () => {
      const place = await watched();
      place.removeApp();
      place.occ('untried', '');
      expect((await place.run()).exit).toBe(0);
      expect(place.left('repaired')).toMatch(/^\d{13} 1 loaded /);
      expect(place.told('enabled')).toBe('yes');
    });

    test('where its files are behind another program, which hands on neither folder nor environment', async () => {
      const place = await watched();
      // as `docker exec` does; that it is a container makes no difference to the script
      place.inside = ['sh', '-c', 'cd / && exec env -i PATH="$PATH" "$@"', 'sh'];
      await place.writeParts({ PATIENCE: 0 });
      await place.run();
      place.removeApp();
      place.occ('enabled', 'no');
      expect(await place.run()).toEqual({ exit: 0, stderr: 'watch: the app was put back (release)\n' });
      expect([place.appState(), place.beside(), place.notice()]).toEqual([
        'whole',
        [],
        expect.objectContaining({ code: 'reapplied' }),
      ]);
    });

    test('without a release where no key is away', async () => {
      const place = await watched();
      writeFileSync(join(place.state, 'client.json'), '{"version":1,"keys":[]}');
      place.removeApp();
      await place.run();
      expect(place.calls().some((call) => call.startsWith('remotekey:verify'))).toBe(false);
      expect(place.left('repaired')).toMatch(/ loaded /);
    });

    test('and nothing else: no file of the state folder is touched but the notice', async () => {
      const place = await watched();
      const before = digests(place.state);
      place.removeApp();
      place.occ('enabled', 'no');
      await place.run();
      expect(place.notice()).not.toBeNull();
      expect(digests(place.state)).toEqual(before);
    });

    test('less and less often when somebody takes it away again and again', async () => {
      const place = await watched();
      place.leave('repaired', `${Date.now()} 4 release 1 - 32.0.2\n`);
      place.removeApp();
      await place.run();
      expect(place.appState()).toBe('whole');
      expect(place.left('repaired')).toMatch(/^\d+ 5 /);
      place.removeApp();
      await place.run();
      expect(place.appState()).toBe('gone');
      place.leave('back-off', '0 1 reapplied often\n');
      await place.run();
      expect(place.appState()).toBe('whole');
    });
  });

  describe('nothing is done', () => {
    const spoiled = async (): Promise<WatchedPlace> => {
      const place = await watched();
      await place.run();
      place.removeApp();
      place.occ('enabled', 'no');
      place.calls();
      return place;
    };
    const untouched = (place: WatchedPlace): void => {
      expect([place.appState(), place.told('enabled'), place.beside(), place.calls()]).toEqual(['gone', 'no', [], []]);
    };

    test.each<[string, (place: WatchedPlace) => void, string]>([
      ['while maintenance mode is on', (place) => place.setConfig('32.0.2.2', true), 'maintenance'],
      ['between new code and occ upgrade', (place) => place.setVersion('33,0,1,2', '33.0.1'), 'upgrade'],
      ['while version.php is not there', (place) => rmSync(join(place.root, 'version.php')), 'files'],
      [
        'while config.php is half written',
        (place) => writeFileSync(place.config, '<?php\n$CONFIG = array (\n'),
        'files',
      ],
    ])('%s', async (_name, upgrading, reason) => {
      const place = await spoiled();
      upgrading(place);
      expect(await place.run()).toEqual({ exit: 0, stderr: '' });
      untouched(place);
      expect(place.left('looked')).toMatch(new RegExp(` waiting ${reason}$`));
      place.upgraded();
      await place.run();
      expect([place.appState(), place.left('waiting')]).toEqual(['whole', null]);
    });

    test.each<[string, (place: WatchedPlace) => { path: string; cwd: string }]>([
      ['by its whole name', ({ root }) => ({ path: join(root, 'occ'), cwd: '/' })],
      ['from its own folder', ({ root }) => ({ path: 'occ', cwd: root })],
    ])('while occ upgrade runs, started %s', async (_name, at) => {
      const place = await spoiled();
      writeFileSync(join(place.root, 'occ'), 'sleep 30\n');
      const { path, cwd } = at(place);
      const upgrade = spawn('sh', [path, 'upgrade'], { cwd, stdio: 'ignore', detached: true });
      await once(upgrade, 'spawn');
      await place.run();
      expect(place.left('looked')).toMatch(/ waiting running$/);
      untouched(place);
      process.kill(-(upgrade.pid ?? 0), 'SIGKILL');
      await once(upgrade, 'exit');
      await place.run();
      expect(place.appState()).toBe('whole');
    });

    test('while the upgrade of another Nextcloud runs, but to this one', async () => {
      const place = await spoiled();
      writeFileSync(join(place.base, 'occ'), 'sleep 30\n');
      const upgrade = spawn('sh', [join(place.base, 'occ'), 'upgrade'], { stdio: 'ignore', detached: true });
      await once(upgrade, 'spawn');
      await place.run();
      process.kill(-(upgrade.pid ?? 0), 'SIGKILL');
      expect(place.appState()).toBe('whole');
    });

    test('while an ncpatch holds the lock, until it has shown no life for a quarter of an hour', async () => {
      const place = await spoiled();
      const lock = join(place.journal, 'lock');
      const held = '{"v":1,"user":"ann","machine":"laptop-1","pid":7,"since":1,"nonce":"aa"}\n';
      writeFileSync(lock, held);
      await place.run();
      expect(place.left('looked')).toMatch(/ waiting ncpatch$/);
      expect([place.appState(), readFileSync(lock, 'utf8')]).toEqual(['gone', held]);
      const old = Date.now() / 1000 - 901;
      utimesSync(lock, old, old);
      await place.run();
      expect([place.appState(), existsSync(lock)]).toEqual(['whole', false]);
    });

    test('while what an ncpatch had started is still at work', async () => {
      const place = await spoiled();
      const file = join(place.journal, 'running');
      const holder = spawn('flock', ['-s', file, 'sleep', '30'], { stdio: 'ignore', detached: true });
      await expect.poll(() => spawnSync('flock', ['-n', file, 'true']).status).toBe(1);
      await place.run();
      expect([place.appState(), existsSync(join(place.journal, 'lock'))]).toEqual(['gone', false]);
      process.kill(-(holder.pid ?? 0), 'SIGKILL');
    });

    test('where a transaction of ncpatch is open; the owner is told', async () => {
      const place = await spoiled();
      const journal = join(place.journal, 'journal.jsonl');
      const begin = '{"v":1,"time":1,"t":"begin","id":"aa","command":"apply","by":"ann@laptop"}\n';
      writeFileSync(journal, begin);
      expect(await place.run()).toMatchObject({ exit: 1, stderr: expect.stringContaining('ncpatch rollback') });
      expect([place.appState(), place.notice(), existsSync(join(place.journal, 'lock'))]).toEqual([
        'gone',
        expect.objectContaining({ code: 'app_gone' }),
        false,
      ]);
      writeFileSync(journal, `${begin}{"v":1,"time":2,"t":"commit"}\n{"v":1,"time":3,"t":"end"}\n`);
      place.forget('back-off');
      await place.run();
      expect(place.appState()).toBe('whole');
    });

    test('by a second run while one is at work', async () => {
      const place = await spoiled();
      place.occ('slow', '');
      const first = place.run();
      await expect.poll(() => existsSync(join(place.journal, 'lock')), { interval: 20, timeout: 10_000 }).toBe(true);
      const lock = readFileSync(join(place.journal, 'lock'), 'utf8');
      expect(await place.run()).toEqual({ exit: 0, stderr: '' });
      expect(readFileSync(join(place.journal, 'lock'), 'utf8')).toBe(lock);
      expect(await first).toMatchObject({ exit: 0 });
      expect([place.appState(), place.calls().filter((call) => call.startsWith('app:enable'))]).toEqual([
        'whole',
        ['app:enable remotekeystorage'],
      ]);
    });

    test('where one of its files is missing', async () => {
      const place = await spoiled();
      for (const name of ['settings.sh', 'app.tar', 'app.sha256', 'inside.sh', 'upload.sh']) {
        await place.writeParts({ PATIENCE: 0 });
        place.forget(name);
        expect(await place.run()).toMatchObject({ exit: 3, stderr: expect.stringContaining('ncpatch watch install') });
      }
      untouched(place);
    });
  });

  test('a run that waits goes on as soon as the upgrade is over', async () => {
    const place = await watched(['sh'], 20);
    place.setConfig('32.0.2.2', true);
    place.removeApp();
    const run = place.run();
    await expect.poll(() => place.left('waiting'), { timeout: 10_000 }).toMatch(/maintenance$/);
    place.upgraded();
    expect((await run).exit).toBe(0);
    expect(place.appState()).toBe('whole');
  });

  describe('what cannot be done', () => {
    test('is told once and tried later and later; meanwhile the web is closed, as its files would be emptied', async () => {
      const place = await watched();
      place.occ('enabled', 'no');
      place.occ('refuse', 'app:enable');
      expect((await place.run()).exit).toBe(1);
      expect(place.notice()).toEqual({ code: 'reapply_failed', at: expect.any(Number), to: '32.0.2' });
      expect(readFileSync(place.config, 'utf8')).toContain("'maintenance' => true");
      expect(place.left('said')).toContain('refused');
      place.calls();
      const now = Math.floor(Date.now() / 1000);
      const pauses: number[] = [];
      for (const failed of [1, 4, 500]) {
        const [, next] = (place.left('back-off') ?? '').split(' ').map(Number);
        pauses.push(Math.round(((next ?? 0) - now) / 60) * 60);
        expect(await place.run()).toEqual({ exit: 0, stderr: '' });
        expect(place.calls()).toEqual([]);
        place.leave('back-off', `${failed} 1 reapply_failed x\n`);
        expect((await place.run()).exit).toBe(1);
        expect(place.left('back-off')).toMatch(new RegExp(`^${failed + 1} `));
        place.calls();
      }
      expect(pauses).toEqual([60, 120, 960]);
      expect(Number((place.left('back-off') ?? '').split(' ')[1]) - now).toBeGreaterThanOrEqual(3600);
      expect(place.notice()).toBeNull();
      place.occ('refuse', null);
      place.leave('back-off', '9 1 reapply_failed x\n');
      expect(await place.run()).toMatchObject({ exit: 0 });
      expect(place.notice()).toMatchObject({ code: 'reapplied' });
      expect(readFileSync(place.config, 'utf8')).toContain("'maintenance' => false");
      expect([place.left('closed'), place.left('back-off'), place.told('enabled')]).toEqual([null, null, 'yes']);
    });

    test('closes no web while no key is away', async () => {
      const place = await watched();
      writeFileSync(join(place.state, 'client.json'), '{"version":1,"keys":[]}');
      place.occ('enabled', 'no');
      place.occ('refuse', 'app:enable');
      expect((await place.run()).exit).toBe(1);
      expect(readFileSync(place.config, 'utf8')).toContain("'maintenance' => false");
    });

    test.each<[string, (place: WatchedPlace) => void, string]>([
      ['an app that is enabled and not asked', (place) => place.occ('hook', 'off'), 'does not ask the app'],
      ['a key that opens nothing', (place) => place.occ('unusable', ''), 'opens nothing'],
      [
        'an upgrade that takes nothing over',
        (place) => {
          place.occ('installed_version', '0.9');
          place.occ('files-version', '0.9');
        },
        'did not take over',
      ],
    ])('is found: %s', async (_name, spoil, words) => {
      const place = await watched();
      spoil(place);
      place.removeApp();
      expect(await place.run()).toMatchObject({ exit: 1, stderr: expect.stringContaining(words) });
      expect(place.notice()).toMatchObject({ code: 'reapply_failed' });
      expect(existsSync(join(place.journal, 'lock'))).toBe(false);
    });

    test('an occ that hangs is ended, the lock given back, and the owner told that the app is gone', async () => {
      const place = await watched();
      await place.writeParts({ OCC_SECONDS: 1, PATIENCE: 0 });
      place.occ('hang', '');
      place.removeApp();
      expect(await place.run()).toMatchObject({ exit: 1, stderr: expect.stringContaining('occ does not work') });
      expect(place.notice()).toMatchObject({ code: 'app_gone' });
      place.occ('hang', null);
      place.leave('back-off', '1 1 app_gone x\n');
      expect((await place.run()).exit).toBe(0);
      expect(place.appState()).toBe('whole');
    });

    test('an occ that does not work while the app is in place is nothing to tell', async () => {
      const place = await watched();
      place.occ('refuse', 'status');
      expect((await place.run()).exit).toBe(1);
      expect([place.notice(), place.left('back-off')]).toEqual([null, expect.stringContaining('occ_failed')]);
    });

    test.runIf(canMount())('a full disk leaves the folder as it was', async () => {
      const place = await watched();
      writeFileSync(join(place.app, 'lib/Large.php'), '<?php // changed\n');
      const kept = digests(place.app);
      execFileSync('mv', [place.apps, `${place.base}/apps`]);
      mkdirSync(place.apps);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=56k', 'tmpfs', place.apps]);
      try {
        execFileSync('cp', ['-a', `${place.base}/apps/.`, place.apps]);
        expect(await place.run()).toMatchObject({ exit: 1, stderr: expect.stringContaining('full disk') });
        expect([digests(place.app), place.beside()]).toEqual([kept, []]);
        execFileSync('mount', ['-o', 'remount,size=1m', place.apps]);
        place.leave('back-off', '1 1 reapply_failed x\n');
        expect((await place.run()).exit).toBe(0);
        expect([place.appState(), place.beside()]).toEqual(['whole', []]);
      } finally {
        execFileSync('umount', [place.apps]);
      }
    });
  });

  test('killed at any moment it leaves the old folder or the new one, and the next run goes on', async () => {
    const place = await watched();
    await place.run();
    const seen = new Set<string>();
    let other = '';
    for (let after = 0, ended = false; !ended; after += 90) {
      other = `<?php // ${after}\n`;
      place.putApp();
      writeFileSync(join(place.app, 'lib/Large.php'), other);
      const old = digests(place.app);
      ended = (await place.run({ killAfter: after })).exit !== null;
      const aside = join(place.apps, '.remotekeystorage.latchkey-watch-old');
      const now = place.appState();
      seen.add(now);
      if (now === 'other') expect(digests(place.app)).toEqual(old);
      // between two renames both are there, whole, beside the place
      if (now === 'gone') expect(digests(aside)).toEqual(old);
      place.forget('back-off');
      place.forget('repaired');
      expect(await place.run()).toMatchObject({ exit: 0 });
      expect([place.appState(), place.beside(), existsSync(join(place.journal, 'lock'))]).toEqual(['whole', [], false]);
    }
    expect([...seen]).toEqual(expect.arrayContaining(['other', 'whole']));
  }, 60_000);

  describe('a hook in the core', () => {
    const hash = (text: string): string => createHash('sha512').update(text).digest('hex');
    const patchedPlace = async (): Promise<{ place: WatchedPlace; file: string }> => {
      const place = await watched();
      const file = join(place.root, 'Server.php');
      writeFileSync(file, 'patched');
      chmodSync(file, 0o640);
      place.core = {
        file,
        before: hash('stock'),
        after: hash('patched'),
        mayPut: true,
      };
      await place.writeParts({ PATIENCE: 0 });
      place.leave('core.patched', 'patched');
      return { place, file };
    };

    test('that is there is left alone', async () => {
      const { place } = await patchedPlace();
      expect(await place.run()).toEqual({ exit: 0, stderr: '' });
      expect(place.notice()).toBeNull();
    });

    test('is put back over the file it was made for', async () => {
      const { place, file } = await patchedPlace();
      writeFileSync(file, 'stock');
      expect((await place.run()).exit).toBe(0);
      expect([readFileSync(file, 'utf8'), (statSync(file).mode & 0o777).toString(8)]).toEqual(['patched', '640']);
      expect(place.notice()).toMatchObject({ code: 'reapplied' });
    });

    test('is not put back from a copy that is not it', async () => {
      const { place, file } = await patchedPlace();
      writeFileSync(file, 'stock');
      place.leave('core.patched', 'something else');
      expect((await place.run()).exit).toBe(1);
      expect(readFileSync(file, 'utf8')).toBe('stock');
      place.forget('core.patched');
      place.forget('back-off');
      expect((await place.run()).exit).toBe(1);
      expect(place.notice()).toMatchObject({ code: 'core_hook_gone' });
    });

    test('is not put into another file: the owner is told, once', async () => {
      const { place, file } = await patchedPlace();
      writeFileSync(file, 'of another release');
      expect((await place.run()).exit).toBe(1);
      expect([readFileSync(file, 'utf8'), place.notice()]).toEqual([
        'of another release',
        expect.objectContaining({ code: 'core_hook_gone' }),
      ]);
      place.leave('back-off', '1 1 core_hook_gone x\n');
      await place.run();
      expect(place.notice()).toBeNull();
    });
  });

  test.runIf(hasProgram('shellcheck'))('shellcheck finds nothing in the scripts', () => {
    const scripts = ['watch.sh', 'inside.sh'].map((name) => resolve(import.meta.dirname, '../../patcher/watch', name));
    const checked = spawnSync('shellcheck', ['-s', 'sh', ...scripts], { encoding: 'utf8' });
    expect(checked.stdout).toBe('');
  });
});

/** Each path below a folder with its mode, sorted. */
function modes(folder: string): string[] {
  const listed = execFileSync('find', ['.', '-printf', '%m %P\n'], { cwd: folder, encoding: 'utf8' });
  const byPath = (line: string): string => line.slice(4);
  return listed
    .trim()
    .split('\n')
    .map((line) => line.trim())
    .sort((a, b) => (byPath(a) < byPath(b) ? -1 : 1));
}

/** Hash of each file below a folder, by path. */
function digests(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).sort();
  return Object.fromEntries(
    paths.map((path) => [relative(folder, path), createHash('sha256').update(readFileSync(path)).digest('hex')]),
  );
}

function canMount(): boolean {
  return process.getuid?.() === 0 && spawnSync('unshare', ['-m', 'true']).status === 0;
}
