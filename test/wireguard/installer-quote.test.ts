import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { powershellQuote, shQuote } from '../../wireguard/installers/quote.ts';
import { SHELLS } from '../harness/installer-machine.ts';
import { hasProgram } from '../harness/programs.ts';

const isThorough = process.env.LATCHKEY_THOROUGH === '1';
/** Words that each break out of some quoting. */
const NASTY = [
  ...[
    "'",
    "''",
    "'\\''",
    "\\'",
    '"',
    '\\',
    '\\\\',
    "'; echo BROKEN; '",
    "'\n echo BROKEN\n'",
    '$(echo BROKEN)',
    '`echo BROKEN`',
  ],
  ...[
    '$HOME',
    ['$', '{HOME}'].join(''),
    '$$',
    '!!',
    '-n',
    '-e',
    '--help',
    '*',
    '~',
    '#',
    '&',
    '|',
    ';',
    '<',
    '\n',
    '\r\n',
    '\t',
    '\x01\x1b[31m\x7f',
  ],
  ...[
    '',
    ' ',
    '%s',
    '%n\\0',
    'größe',
    '日本語',
    '🗝️',
    '‘',
    '’',
    '‚',
    '‛',
    '“',
    '”',
    '\u2028',
    '\u0085',
    '\ufeff',
    "'@\n",
    "@'\n",
    '$(',
    "'$(",
  ],
];
const text = fc
  .oneof(
    fc.string({ unit: 'grapheme' }),
    fc.array(fc.constantFrom(...NASTY), { maxLength: 6 }).map((parts) => parts.join('')),
    fc.string({ unit: fc.constantFrom(...`'"\\$\`()\n -;a{}‘’é🗝`) }),
  )
  .filter((value) => !value.includes('\0') && value.isWellFormed());
const values = [...NASTY, ...fc.sample(text, { numRuns: isThorough ? 20_000 : 1_000, seed: 6 })];

describe('shQuote()', () => {
  test.for(
    Object.entries(SHELLS).flatMap(([name, argv]) => ['C', 'C.UTF-8'].map((locale) => ({ name, argv, locale }))),
  )('$name under $locale reads back each value, and runs nothing of it', ({ argv, locale }, { skip }) => {
    const [shell, ...args] = argv;
    if (!hasProgram(shell)) return skip(`${shell} is not installed`);
    const lines = values.flatMap((value) => [
      `VALUE=${shQuote(value)}`,
      'printf "%s\\0" "$VALUE"',
      `printf "%s\\0" ${shQuote(value)}`,
    ]);
    const env = { LC_ALL: locale, PATH: '/usr/bin:/bin', HOME: '/HOME' };
    const { stdout, stderr, status } = spawnSync(shell, [...args, '-s'], { input: `${lines.join('\n')}\n`, env });
    const read = stdout.toString('utf8').split('\0');
    expect([status, stderr.toString('utf8'), read.pop()]).toEqual([0, '', '']);
    expect(read).toEqual(values.flatMap((value) => [value, value]));
  });

  test.each(['a\0b', '\0', '\ud800', 'x\udc00'])('refuses %j, which no variable of a shell can hold', (value) => {
    expect(() => shQuote(value)).toThrow(TypeError);
    expect(() => powershellQuote(value)).toThrow(TypeError);
  });
});

/** What PowerShell makes of an expression that is nothing but texts in single quotes and numbers of characters, added up. */
function powershellValue(expression: string): string {
  const inner = /^\((.*)\)$/s.exec(expression)?.[1] ?? expression;
  let rest = inner;
  let value = '';
  for (;;) {
    const literal = /^'((?:[^']|'')*)'/.exec(rest);
    const unit = /^\[char\]0x([0-9a-f]{4})(?![0-9a-f])/.exec(rest);
    if (literal === null && unit === null) throw new Error(`neither text nor character: ${rest}`);
    value +=
      literal === null ? String.fromCharCode(Number.parseInt(unit?.[1] ?? '', 16)) : literal[1]?.replaceAll("''", "'");
    rest = rest.slice((literal ?? unit)?.[0].length);
    if (rest === '') return value;
    if (!rest.startsWith(' + ')) throw new Error(`what is not added: ${rest}`);
    rest = rest.slice(3);
  }
}

describe('powershellQuote()', () => {
  test('is an expression of texts and characters that makes the value, in printable ASCII and on one line', () => {
    for (const value of values) {
      const expression = powershellQuote(value);
      expect(expression).toMatch(/^[ -~]+$/);
      expect(powershellValue(expression)).toBe(value);
    }
  });

  test('begins with a text, since characters alone would be added as numbers', () => {
    expect(powershellQuote('é')).toBe("('' + [char]0x00e9)");
    expect(powershellQuote('')).toBe("''");
    expect(powershellQuote("it's")).toBe("'it''s'");
    expect(powershellQuote('a’b')).toBe("('a' + [char]0x2019 + 'b')");
    expect(powershellQuote('🗝')).toBe("('' + [char]0xd83d + [char]0xdddd)");
  });

  test('leaves a dollar and a backtick as they are, which mean nothing in single quotes', () => {
    expect(powershellQuote('$(x) `n')).toBe("'$(x) `n'");
  });
});
