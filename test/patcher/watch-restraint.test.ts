import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { placesOfATest, watchObstacle } from './places-of-a-test.ts';
import type { WatchedPlace } from './watched-place.ts';

const watched = placesOfATest();

describe.skipIf(watchObstacle() !== null)('the script of the watch keeps from changes', () => {
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
});

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
