import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listTrees, type NextcloudTree, nextTree, readTree, treesFolder } from './nextcloud-tree.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-tree-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function lay(name: string, versionPhp: string): string {
  const tree = join(folder, name);
  mkdirSync(join(tree, 'lib'), { recursive: true });
  writeFileSync(join(tree, 'version.php'), versionPhp);
  writeFileSync(join(tree, 'occ'), '');
  writeFileSync(join(tree, 'lib', 'base.php'), '');
  return tree;
}

function versionPhp(version: string, from: readonly string[]): string {
  const lines = from.map((one) => `    '${one}' => true,\n`).join('');
  return `<?php\n$OC_VersionString = '${version}';\n$OC_VersionCanBeUpgradedFrom = array (\n  'nextcloud' => \n  array (\n${lines}  ),\n  'owncloud' => \n  array (\n    '10.13' => true,\n  ),\n);\n`;
}

describe('readTree()', () => {
  it('answers null for a folder that is no whole Nextcloud', () => {
    expect(readTree(join(folder, 'none'))).toBeNull();
    expect(readTree(lay('empty', ''))).toBeNull();
    expect(readTree(lay('odd', "<?php\n$OC_VersionString = '33';\n"))).toBeNull();
    const half = lay('half', versionPhp('33.0.1', ['32.0']));
    rmSync(join(half, 'occ'));
    expect(readTree(half)).toBeNull();
  });

  it('reads the version, and from where one may upgrade to it, but not from ownCloud', () => {
    const tree = readTree(lay('33.0.1', versionPhp('33.0.1', ['32.0', '33.0'])));
    expect(tree).toMatchObject({ version: '33.0.1', upgradesFrom: ['32.0', '33.0'] });
  });
});

describe('listTrees()', () => {
  it('finds none in a folder that is not there', () => expect(listTrees(join(folder, 'none'))).toEqual([]));

  it('sorts by number, not by letter', () => {
    for (const version of ['9.0.10', '28.0.14', '28.0.2', '33.0.1']) lay(version, versionPhp(version, []));
    expect(listTrees(folder).map((tree) => tree.version)).toEqual(['9.0.10', '28.0.2', '28.0.14', '33.0.1']);
  });

  it('looks where LATCHKEY_NEXTCLOUD_DIR says', () => {
    expect(treesFolder({ LATCHKEY_NEXTCLOUD_DIR: '/srv/releases' })).toBe('/srv/releases');
  });
});

describe('nextTree()', () => {
  const tree = (version: string, upgradesFrom: readonly string[]): NextcloudTree => ({
    version,
    folder: '',
    upgradesFrom,
  });
  const [old, middle, recent] = [
    tree('28.0.2', []),
    tree('32.0.2', ['31.0', '32.0']),
    tree('33.0.1', ['32.0', '33.0']),
  ];
  const trees = [old, middle, recent];

  it('names the next release and says whether Nextcloud allows the step', () => {
    expect(nextTree(old, trees)).toEqual({ tree: middle, allowed: false });
    expect(nextTree(middle, trees)).toEqual({ tree: recent, allowed: true });
    expect(nextTree(recent, trees)).toBeNull();
  });
});
