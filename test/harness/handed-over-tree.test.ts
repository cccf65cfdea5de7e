import { lstatSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isHandedOver } from './handed-over-tree.ts';
import { isRoot, webUser } from './nextcloud-files.ts';

describe.runIf(isRoot())('a release that instances are laid over', () => {
  let cache: string;
  let folder: string;
  beforeEach(() => {
    cache = mkdtempSync(join(tmpdir(), 'latchkey-trees-'));
    folder = join(cache, '33.0.1');
    mkdirSync(join(folder, 'apps'), { recursive: true });
    writeFileSync(join(folder, 'apps', 'one.php'), '');
    writeFileSync(join(cache, 'outside'), '');
    symlinkSync('../../outside', join(folder, 'apps', 'link'));
  });
  afterEach(() => rmSync(cache, { recursive: true }));
  const tree = () => ({ version: '33.0.1', folder, upgradesFrom: [] });

  test('is left as it is where it lies in a folder of somebody else', async () => {
    expect(await isHandedOver(tree(), webUser, join(cache, 'another'))).toBe(false);
    expect(statSync(join(folder, 'apps', 'one.php')).uid).toBe(0);
  });

  test('is given to the web user whole, and what a link leads to is not', async () => {
    expect(await isHandedOver(tree(), webUser, cache)).toBe(true);
    for (const path of [folder, join(folder, 'apps'), join(folder, 'apps', 'one.php'), join(folder, 'apps', 'link')])
      expect(lstatSync(path)).toMatchObject(webUserIds);
    expect(statSync(join(cache, 'outside')).uid).toBe(0);
    expect(await isHandedOver(tree(), webUser, join(cache, 'another'))).toBe(true);
  });

  const webUserIds = { uid: webUser.uid, gid: webUser.gid };
});
