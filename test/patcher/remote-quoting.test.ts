import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { quoteForRemoteShell } from '../../patcher/transports/remote-quoting.ts';

/** What a shell makes of the line: the words, NUL-terminated. */
function wordsSeenBy(shell: string, line: string): string[] {
  const result = spawnSync(shell, ['-c', line], { encoding: 'buffer' });
  expect(result.stderr.toString()).toBe('');
  return result.stdout.toString('utf8').split('\0').slice(0, -1);
}

const nasty = fc.array(
  fc.constantFrom(
    "'",
    '"',
    '\\',
    '$',
    '`',
    '\n',
    ' ',
    '\t',
    '*',
    '~',
    '!',
    '#',
    '=',
    '-',
    ';',
    '&',
    '|',
    '\r',
    'é',
    '𝄞',
  ),
);
const word = fc.oneof(
  nasty.map((signs) => signs.join('')),
  fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', '')),
);

test.each(['sh', 'bash'])('a %s sees exactly the words of the vector', (shell) => {
  fc.assert(
    fc.property(fc.array(word, { minLength: 1 }), (words) => {
      const line = quoteForRemoteShell(['printf', '%s\\0', ...words]);
      expect(wordsSeenBy(shell, line)).toEqual(words);
    }),
    { numRuns: 150 },
  );
});

test('a first word that is a keyword or an assignment is a program name all the same', () => {
  for (const name of ['if', 'time', 'A=b', 'exit', '{', '!']) {
    expect(quoteForRemoteShell([name])).toBe(`'${name}'`);
  }
});

test('plain words stay readable', () => {
  expect(quoteForRemoteShell(['stat', '-c', '%f:%s', '/var/www'])).toBe("'stat' -c %f:%s /var/www");
});

test('what no command line can carry is refused', () => {
  expect(() => quoteForRemoteShell(['echo', 'a\0b'])).toThrow(TypeError);
  expect(() => quoteForRemoteShell(['echo', '\ud800'])).toThrow(TypeError);
  expect(() => quoteForRemoteShell([''])).toThrow(TypeError);
  expect(() => quoteForRemoteShell(['echo', 'a'.repeat(130_000)])).toThrow(TypeError);
});
