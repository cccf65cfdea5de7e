import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
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
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readWatchParts } from '../../patcher/watch/watch-files.ts';
import { hasProgram } from '../harness/programs.ts';
import { placesOfATest, watchObstacle } from './places-of-a-test.ts';
import { APP, APP_VERSION, type WatchedPlace } from './watched-place.ts';

const shells = [['dash'], ['bash'], ['busybox', 'ash']].filter(([program = '']) => hasProgram(program)) as [
  string,
  ...string[],
][];

const watched = placesOfATest();

describe.skipIf(watchObstacle() !== null)('the script of the watch', () => {
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

  test.runIf(hasProgram('shellcheck'))('shellcheck finds nothing in the scripts', async () => {
    const { script, inside } = await readWatchParts(APP);
    const checked = [script, inside].map((input) =>
      spawnSync('shellcheck', ['-s', 'sh', '-'], { input, encoding: 'utf8' }),
    );
    expect(checked.map(({ stdout }) => stdout)).toEqual(['', '']);
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
