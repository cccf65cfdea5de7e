import { expect, test } from 'vitest';
import { compareVersions, parseVersionFile } from '../../../patcher/targets/version-file.ts';

const RELEASE = `<?php
$OC_Version = array(32,0,2,2);
$OC_VersionString = '32.0.2';
$OC_Edition = '';
$OC_Channel = 'stable';
$OC_VersionCanBeUpgradedFrom = array ('nextcloud' => array ('31.0' => true));
$vendor = 'nextcloud';
`;

test('parseVersionFile() reads a release', () => {
  expect(parseVersionFile(RELEASE)).toEqual({
    version: '32.0.2.2',
    versionString: '32.0.2',
    major: 32,
    edition: '',
    channel: 'stable',
    vendor: 'nextcloud',
  });
});

test('parseVersionFile() reads the short array form and double quotes', () => {
  const text = RELEASE.replace('array(32,0,2,2)', '[33, 0, 1, 0]').replace("'32.0.2'", '"33.0.1 RC1"');
  expect(parseVersionFile(text)).toMatchObject({ version: '33.0.1.0', versionString: '33.0.1 RC1' });
});

test.each([
  ['nothing', ''],
  ['a comment that looks like it', RELEASE.replace('$OC_Version =', '// $OC_Version =')],
  ['three parts', RELEASE.replace('32,0,2,2', '32,0,2')],
  ['code in place of a number', RELEASE.replace('32,0,2,2', '32,0,2,phpinfo()')],
  ['a version string made by code', RELEASE.replace("'32.0.2'", "'32' . shell_exec('id')")],
  ['no version string', RELEASE.replace('$OC_VersionString', '$OC_Other')],
])('parseVersionFile() refuses %s', (_, text) => {
  expect(() => parseVersionFile(text)).toThrow(expect.objectContaining({ code: 'version_unreadable' }));
});

test('compareVersions() compares numbers, not text, and takes missing parts for 0', () => {
  expect(compareVersions('9.0', '10.0')).toBeLessThan(0);
  expect(compareVersions('1.0', '1.0.0')).toBe(0);
  expect(compareVersions('8.2.10', '8.2.9')).toBeGreaterThan(0);
});
