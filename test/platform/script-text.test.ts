import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { scriptText } from '../../platform/script-text.ts';

let folder: string;
/** The script `main` of a folder that has these files, with its parts in it. */
function whole(
  main: string,
  files: Readonly<Record<string, string>>,
  lines?: Readonly<Record<string, string>>,
): string {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const own = pathToFileURL(`${folder}/`);
  return scriptText(new URL(main, own), { folders: { own }, ...(lines === undefined ? {} : { lines }) });
}
beforeAll(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'lk-script-')), 'a b %41 é');
  mkdirSync(folder);
});
afterAll(() => rmSync(join(folder, '..'), { recursive: true }));

it('scriptText() refuses a word that has no folder, and a part that is not there', () => {
  expect(() => whole('m.sh', { 'm.sh': '# @@part say@@\n' })).toThrow(
    new TypeError('nobody knows the parts "part" of a script'),
  );
  expect(() => whole('m.sh', { 'm.sh': '# @@own gone@@\n' })).toThrow('ENOENT');
});

it.each([
  ' # @@own say@@',
  '# @@own say@@ ',
  '# @@own ../say@@',
  '#@@own say@@',
  'echo "# @@own say@@"',
  '# @@values@@',
])('scriptText() leaves the line %j as it is', (line) => {
  expect(whole('m.sh', { 'm.sh': `${line}\n`, 'say.sh': 'say\n' })).toBe(`${line}\n`);
});

it('scriptText() puts in parts, their parts, and lines, to the letter', () => {
  const files = {
    'm.sh': 'a\n# @@own one@@\n\n# @@own two@@\nz\n',
    'one.sh': '1 $& $1\n# @@own two@@\n\n',
    'two.sh': '2 # @@state@@\n# @@state@@\n',
  };
  expect(whole('m.sh', files, { state: "S='$&'" })).toBe(
    "a\n1 $& $1\n2 # @@state@@\nS='$&'\n\n2 # @@state@@\nS='$&'\nz\n",
  );
});

it('scriptText() takes the parts of a script from files that end as it does', () => {
  expect(whole('m.ps1', { 'm.ps1': '# @@own say@@\n', 'say.ps1': 'Say\n', 'say.sh': 'say\n' })).toBe('Say\n');
});
