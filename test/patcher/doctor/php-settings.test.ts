import { describe, expect, test } from 'vitest';
import { type PhpEvidence, type PhpSeen, phpFindings } from '../../../patcher/doctor/php-settings.ts';
import { exampleFacts } from '../example-facts.ts';

const php = (changes: Partial<PhpSeen> = {}): PhpSeen => ({
  version: '8.2.20',
  iniFile: '/etc/php/8.2/fpm/php.ini',
  iniFolder: '/etc/php/8.2/fpm/conf.d',
  exceptionIgnoreArgs: 'On',
  opcacheFiles: '',
  apcuFile: '',
  ...changes,
});
const evidence = (changes: Partial<PhpEvidence> = {}): PhpEvidence => ({
  cli: php(),
  web: exampleFacts().web,
  serving: php(),
  pool: { file: '/etc/php/8.2/fpm/pool.d/www.conf', user: 'www-data', sets: [] },
  times: null,
  mendable: true,
  ...changes,
});
const one = (changes: Partial<PhpEvidence>, code: string) =>
  phpFindings(evidence(changes)).find((each) => each.code === code);
const worse = (changes: Partial<PhpEvidence> = {}) =>
  phpFindings(evidence(changes))
    .filter(({ level }) => level !== 'ok')
    .map(({ code }) => code);

test('the settings of a healthy server are fine', () => {
  expect(worse()).toEqual([]);
});

describe('arguments of exceptions', () => {
  const off = { serving: php({ exceptionIgnoreArgs: 'Off' }) };
  test('that are logged can be mended by a file of its own', () => {
    expect(one(off, 'exception_args_logged_web')).toMatchObject({
      level: 'warn',
      repair: { kind: 'write_ini', path: '/etc/php/8.2/fpm/conf.d/99-latchkey.ini' },
    });
    const cli = { cli: php({ exceptionIgnoreArgs: '', iniFolder: '/etc/php/8.2/cli/conf.d' }) };
    expect(one(cli, 'exception_args_logged_cli')?.repair).toMatchObject({
      path: '/etc/php/8.2/cli/conf.d/99-latchkey.ini',
    });
  });
  test('cannot, where the pool sets them itself, no folder is read, or nothing written there would stay', () => {
    const pool = { file: '/etc/pool.conf', user: null, sets: ['zend.exception_ignore_args'] };
    expect(one({ ...off, pool }, 'exception_args_logged_web')).toMatchObject({
      repair: null,
      fix: expect.stringContaining('/etc/pool.conf'),
    });
    const noFolder = { serving: php({ exceptionIgnoreArgs: 'Off', iniFolder: null }) };
    expect(one(noFolder, 'exception_args_logged_web')?.repair).toBeNull();
    expect(one({ ...off, mendable: false }, 'exception_args_logged_web')?.repair).toBeNull();
  });
  test('are unknown where nobody could be asked', () => {
    const web = { ...exampleFacts().web, exceptionArgsIgnored: null } as PhpEvidence['web'];
    expect(worse({ serving: null, pool: null, web })).toContain('web_php_unknown');
    expect(worse({ cli: null })).toContain('cli_php_unknown');
  });
  test('are taken from what is known of the web by other ways', () => {
    const web = { ...exampleFacts().web, exceptionArgsIgnored: false } as PhpEvidence['web'];
    expect(one({ serving: null, web }, 'exception_args_logged_web')).toMatchObject({ repair: null });
  });
});

test('compiled code on the disk holds the secret of config.php', () => {
  expect(one({ serving: php({ opcacheFiles: '/var/cache/opcache' }) }, 'opcache_on_disk')?.fix).toMatch(
    /rm -r \/var\/cache\/opcache$/,
  );
});

test.each([
  ['/tmp/apc.XXXXXX', true],
  ['/dev/zero', false],
  ['/dev/shm/apc.XXXXXX', false],
  ['', false],
])('the memory of APCu at %j: on a disk is %j', (apcuFile, isOnDisk) => {
  expect(worse({ serving: php({ apcuFile }) }).includes('apcu_on_disk')).toBe(isOnDisk);
});

test('APCu that the web lacks is told, and so is not knowing', () => {
  expect(worse({ web: { ...exampleFacts().web, apcu: false } as PhpEvidence['web'] })).toEqual(['apcu_missing']);
  expect(worse({ web: null })).toEqual(['apcu_unknown']);
});

test.each([
  [10_000, 20_000, false],
  [20_000, 20_000, false],
  [22_001, 20_000, true],
])('settings changed at %i, workers since %i: a reload is due is %j', (changed, workersSince, isDue) => {
  expect(worse({ times: { changed, workersSince } }).includes('php_reload_due')).toBe(isDue);
});
