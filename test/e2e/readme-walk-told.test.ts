import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { PROGRAMS, type Program, programOf } from './readme-walk-programs.ts';

const root = resolve(import.meta.dirname, '../..');

/** What programs, scripts and the app say, hints above all. */
const rooms = ['keyserver', 'patcher', 'platform', 'wireguard', 'packaging', 'php-app'];
const files = (room: string): string[] => globSync(`${room}/**/*.{ts,mjs,php,sh,ps1}`, { cwd: root });
const told = new RegExp(`\\b(${PROGRAMS.join('|')}) (?:-- )?([a-z][a-z-]*(?: +(?:--)?[a-z][a-z-]*)*)`, 'g');

/** What follows a program's name in a sentence that is about the program. */
const SENTENCES = [
  ...['and', 'at', 'brings', 'can', 'clears', 'could', 'does', 'finds', 'for', 'has', 'is', 'it', 'keeps', 'knows'],
  ...['makes', 'may', 'needs', 'or', 'puts', 'ran', 'runs', 'that', 'to', 'was', 'will', 'with', 'writes', 'wrote'],
];

/** Why there is no such command; `null` where there is one, or where it is only spoken of. */
function complaint(program: Command, words: readonly string[]): string | null {
  let command = program;
  for (const [at, word] of words.entries()) {
    if (word.startsWith('--')) {
      const known = [...command.options.map(({ long }) => long), '--help'];
      if (!known.includes(word)) return `${command.name()} has no ${word}`;
      continue;
    }
    const next: Command | undefined = command.commands.find((one) => one.name() === word);
    if (next !== undefined) {
      command = next;
      continue;
    }
    const isOver = command.commands.length === 0 || SENTENCES.includes(word) || isProgram(word);
    return isOver ? null : `${command.name()} has no command ${word} (word ${at + 1})`;
  }
  return null;
}

function isProgram(word: string): boolean {
  return (PROGRAMS as readonly string[]).includes(word);
}

async function complaints(text: string): Promise<string[]> {
  const found: string[] = [];
  for (const line of text.split('\n')) {
    if (/^\s*(?:\*|\/\/|\/\*|#|import\b)/.test(line)) continue;
    for (const [whole, name, words = ''] of line.matchAll(told)) {
      const why = complaint(await programOf(name as Program), words.split(/ +/));
      if (why !== null) found.push(`${whole}: ${why}`);
    }
  }
  return found;
}

test.each<[string, string]>([
  ['hint: `run keyserver clients reset NAME`', 'keyserver has no command clients'],
  ['"run ncpatch watch begin once"', 'watch has no command begin'],
  ['ncpatch apply --force', 'apply has no --force'],
])('%s is noticed', async (text, why) => {
  expect(await complaints(text)).toEqual([expect.stringContaining(why)]);
});

test('a sentence about a program is none', async () => {
  expect(await complaints('ncpatch is open; keyserver doctor tells why; ncpatch restore without --from-copy')).toEqual(
    [],
  );
});

test.each(rooms)('every command that %s tells people of is there', async (room) => {
  const texts = files(room).map((file) => ({ file, text: readFileSync(join(root, file), 'utf8') }));
  expect(texts.length).toBeGreaterThan(2);
  const found: string[] = [];
  for (const { file, text } of texts) found.push(...(await complaints(text)).map((why) => `${file}: ${why}`));
  expect(found).toEqual([]);
});
