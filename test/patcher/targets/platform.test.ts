import { describe, expect, test } from 'vitest';
import type { Facts } from '../../../patcher/facts.ts';
import { obstaclesOf, refuseObstacles } from '../../../patcher/obstacles.ts';
import { factLines } from '../../../patcher/report.ts';
import { platformOf } from '../../../patcher/targets/platform.ts';
import { platformObstacles } from '../../../patcher/targets/platform-obstacles.ts';
import { exampleFacts } from '../example-facts.ts';

const ROOT = '/var/www/nextcloud';

describe('platformOf()', () => {
  test.each<[readonly string[]]>([[[]], [['']], [['/etc/passwd']]])('is none for %j', (files) => {
    expect(platformOf(ROOT, files)).toBeNull();
  });

  test.each([
    ['nextcloudpi', '/usr/local/etc/ncp.cfg'],
    ['nextcloudpi', '/usr/local/bin/ncc'],
    ['yunohost', '/etc/yunohost'],
    ['cloudron', '/run/cloudron'],
    ['plesk', '/usr/local/psa/version'],
    ['ispconfig', '/usr/local/ispconfig/server'],
    ['cpanel', '/usr/local/cpanel/version'],
    ['nextcloud-vm', '/var/scripts/fetch_lib.sh'],
  ])('is %s by %s', (platform, file) => {
    expect(platformOf(ROOT, [file, ''])).toBe(platform);
  });

  test('is Cloudron by the folder that only its packages have, whatever else is there', () => {
    expect(platformOf('/app/code', ['/etc/yunohost'])).toBe('cloudron');
  });
});

function on(platform: string | null, changes: Partial<Facts> = {}): Facts {
  return exampleFacts({ platform, ...changes });
}

describe('platformObstacles()', () => {
  test('stops before Cloudron’s read-only code, and says what could be done', () => {
    const facts = on('cloudron', { root: '/app/code' });
    expect(() => refuseObstacles(obstaclesOf(facts))).toThrow(
      expect.objectContaining({ code: 'cloudron_read_only', exit: 3, hint: expect.stringContaining('/app/data') }),
    );
  });

  test('stops before an apps path of Cloudron that cannot be written, or lies elsewhere', () => {
    for (const path of [
      { path: '/app/data/apps', url: '/extra-apps', writable: false },
      { path: '/app/database', url: '/extra-apps', writable: true },
    ]) {
      expect(platformObstacles(on('cloudron', { appsPaths: [path] }))).toMatchObject([{ blocking: true }]);
    }
  });

  test('lets an apps path below /app/data do', () => {
    const appsPaths = [
      { path: '/app/code/apps', url: '/apps', writable: false },
      { path: '/app/data/apps', url: '/extra-apps', writable: true },
    ];
    expect(platformObstacles(on('cloudron', { appsPaths }))).toEqual([]);
  });

  test('tells how NextcloudPi updates with the app, and where its backups lie', () => {
    const found = platformObstacles(on('nextcloudpi', { dataDirectory: '/media/ncdata' }));
    expect(found.map(({ blocking }) => blocking)).toEqual([false, false]);
    expect(found[0]?.hint).toContain('--allow-incompatible-apps');
    expect(found[1]?.message).toContain('/media/ncdata/ncp-update-backups');
  });

  test('tells what to do after an upgrade of YunoHost', () => {
    expect(platformObstacles(on('yunohost'))).toMatchObject([{ code: 'yunohost_upgrades', blocking: false }]);
  });

  test.each(['plesk', 'ispconfig', 'cpanel', 'nextcloud-vm', null])('has nothing to say of %s', (platform) => {
    expect(platformObstacles(on(platform))).toEqual([]);
  });
});

test('compiled code on the disk is told of, wherever it is', () => {
  const { web } = exampleFacts();
  const codes = (opcacheFolder: string | null): string[] =>
    obstaclesOf(on(null, { web: web === null ? null : { ...web, opcacheFolder } })).map(({ code }) => code);
  expect(codes('/var/cache/opcache')).toContain('opcache_on_disk');
  expect(codes(null)).not.toContain('opcache_on_disk');
});

test('detect names the platform', () => {
  expect(factLines(on('yunohost'))).toContainEqual(['platform', 'YunoHost']);
  expect(factLines(on(null)).map(([name]) => name)).not.toContain('platform');
});
