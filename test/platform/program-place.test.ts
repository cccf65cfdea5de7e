import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAIN_FILE, placeOf, programPlace, programVersion } from '../../platform/program-place.ts';

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'latchkey-place-')));
  mkdirSync(join(folder, '1.0.0'));
  mkdirSync(join(folder, '2.0.0'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe.each(['opt/homebrew', 'usr/local'])('placeOf() with a Node of Homebrew in /%s', (prefix) => {
  const cellar = () => join(folder, prefix, 'Cellar/node@24');
  const make = (version: string): string => {
    mkdirSync(join(cellar(), version, 'bin'), { recursive: true });
    writeFileSync(join(cellar(), version, 'bin/node'), version);
    return join(cellar(), version, 'bin/node');
  };
  const link = (version: string): void => {
    mkdirSync(join(folder, prefix, 'opt'), { recursive: true });
    symlinkSync(`../Cellar/node@24/${version}`, join(folder, prefix, 'opt/node@24'));
  };

  it('names it by the link that leads to the next version after an upgrade', () => {
    const node = make('24.1.0');
    link('24.1.0');
    expect(placeOf(folder, node).node).toBe(join(folder, prefix, 'opt/node@24/bin/node'));
  });
  it('does not name another version than the one that runs', () => {
    const old = make('24.1.0');
    make('24.2.0');
    link('24.2.0');
    expect(placeOf(folder, old).node).toBe(old);
  });
  it('names it as it is where there is no link, or it leads nowhere', () => {
    const node = make('24.1.0');
    expect(placeOf(folder, node).node).toBe(node);
    link('23.0.0');
    expect(placeOf(folder, node).node).toBe(node);
  });
});

describe('placeOf()', () => {
  it('names a clone by its own folder, and the Node that runs', () => {
    expect(placeOf(join(folder, '1.0.0'), '/usr/bin/node')).toEqual({
      root: join(folder, '1.0.0'),
      node: '/usr/bin/node',
    });
  });

  it('names the release in use by the link that the next one takes over, its Node too', () => {
    symlinkSync('2.0.0', join(folder, 'current'));
    mkdirSync(join(folder, '2.0.0/node/bin'), { recursive: true });
    writeFileSync(join(folder, '2.0.0/node/bin/node'), '');
    expect(placeOf(join(folder, '2.0.0'), '/usr/bin/node')).toEqual({
      root: join(folder, 'current'),
      node: join(folder, 'current/node/bin/node'),
    });
  });

  it('names a release that is not in use by its own folder', () => {
    symlinkSync('2.0.0', join(folder, 'current'));
    expect(placeOf(join(folder, '1.0.0'), '/usr/bin/node').root).toBe(join(folder, '1.0.0'));
  });

  it('takes no link for the release in use that leads nowhere', () => {
    symlinkSync('3.0.0', join(folder, 'current'));
    expect(placeOf(join(folder, '1.0.0'), '/usr/bin/node').root).toBe(join(folder, '1.0.0'));
  });
});

it('this clone is named by its folder, its programs by main.ts and its version by package.json', () => {
  const root = join(import.meta.dirname, '../..');
  expect(programPlace()).toEqual({ root, node: process.execPath });
  expect(MAIN_FILE).toBe('main.ts');
  expect(programVersion()).toBe(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version);
});
