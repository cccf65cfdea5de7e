import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { patchesFor, readHook } from '../../../patcher/hooks/hook-definition.ts';

const source = join(import.meta.dirname, '../../../patcher/hooks/core');
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lk-hook-'));
  cpSync(source, join(folder, 'core'), { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true }));

function change(name: string, work: (text: string) => string): void {
  const path = join(folder, 'core', name);
  const before = readFileSync(path, 'utf8');
  const after = work(before);
  expect(after).not.toBe(before);
  writeFileSync(path, after);
}

describe('readHook()', () => {
  it.each([
    ['is not json', 'manifest.json', (text: string) => `${text}}`, /manifest\.json is not JSON/],
    [
      'has an unknown field',
      'manifest.json',
      (text: string) => text.replace('{', '{"more": 1,'),
      /"more" is not a known field/,
    ],
    [
      'names a file outside of nextcloud',
      'manifest.json',
      (text: string) => text.replace('lib/private', '../lib'),
      /"file" must be/,
    ],
    [
      'is of another hook',
      'manifest.json',
      (text: string) => text.replace('"core"', '"other"'),
      /"name" must be "core"/,
    ],
    [
      'allows any number of differences',
      'manifest.json',
      (text: string) => text.replace('"mismatches": 3', '"mismatches": 30'),
      /"mismatches" must be at most 5/,
    ],
  ])('refuses a manifest that %s', async (_, name, work, words) => {
    change(name, work);
    await expect(readHook('core', folder)).rejects.toMatchObject({
      code: 'hook_unreadable',
      message: expect.stringMatching(words),
    });
  });

  it.each([
    [
      'removes a line',
      (text: string) =>
        text
          .replace('\n \t\t\t$view = new View();', '\n-\t\t\t$view = new View();')
          .replace(/,(\d+) @@/, (_, lines) => `,${Number(lines) - 1} @@`),
      /must only add lines/,
    ],
    [
      'adds in two places',
      (text: string) =>
        text.replace('\n \t\t\t$view = new View();', '\n+\t\t\t$view = new View();').replace(',19 +', ',18 +'),
      /must only add lines/,
    ],
    ['holds two hunks', (text: string) => `${text}@@ -500,1 +521,2 @@\n a\n+b\n`, /must hold exactly one hunk/],
    [
      'has no end mark',
      (text: string) => text.replace('// latchkey end', '// the end'),
      /must begin and end what it adds/,
    ],
    [
      'lacks an essential line',
      (text: string) => text.replace('return new Encryption\\Keys', 'return new Other'),
      /does not hold the essential line/,
    ],
    ['has line endings of windows', (text: string) => text.replaceAll('\n', '\r\n'), /line endings of Windows/],
    ['is no diff', () => 'hello\n', /must hold exactly one hunk/],
  ])('refuses a diff that %s', async (_, work, words) => {
    change('server-31.diff', work);
    await expect(readHook('core', folder)).rejects.toMatchObject({
      code: 'hook_unreadable',
      message: expect.stringMatching(words),
    });
  });

  it('refuses a diff that is not there', async () => {
    rmSync(join(folder, 'core', 'server-28.diff'));
    await expect(readHook('core', folder)).rejects.toMatchObject({ code: 'hook_unreadable' });
  });

  it('reads the hook that comes along, the same lines for every version', async () => {
    const hook = await readHook('core');
    const [first, second] = hook.patches;
    expect(first?.added).toEqual(second?.added);
    expect(patchesFor(hook, 29).map(({ diff }) => diff)).toEqual(['server-28.diff', 'server-31.diff']);
    expect(patchesFor(hook, 35).map(({ diff }) => diff)).toEqual(['server-31.diff', 'server-28.diff']);
  });
});
