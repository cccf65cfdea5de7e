import { LatchkeyError } from '../../platform/errors.ts';

/** One line of a configuration file, without its comment. */
export type Line =
  | { readonly kind: 'blank' }
  | { readonly kind: 'section'; readonly name: string }
  | { readonly kind: 'entry'; readonly key: string; readonly value: string };

/** A section with the number (from 1) of its first line in the file. */
export interface Section {
  readonly name: string;
  readonly line: number;
  readonly entries: readonly Entry[];
}

export interface Entry {
  /** As written; keys are compared without regard to case. */
  readonly key: string;
  readonly value: string;
  readonly line: number;
}

/** Longer files are no configuration: 65,536 peers of 256 bytes each. */
const MAX_BYTES = 16 * 1024 * 1024;

/**
 * The lines of a file as wg(8) and wg-quick(8) read it: what follows `#` is a comment, a section stands in brackets, all
 * else is `Key = Value`. Refuses, with the number of the line, what is none of these (`config_syntax`).
 */
export function readLines(text: string): Line[] {
  if (text.length > MAX_BYTES)
    throw new LatchkeyError('config_syntax', 'the file is too long for a configuration', { status: 400 });
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.map((line, at) => readLine(line, at + 1));
}

function readLine(text: string, number: number): Line {
  const bare = text.replace(/#.*$/s, '').trim();
  if (bare === '') return { kind: 'blank' };
  if (/\p{Cc}/u.test(bare.replaceAll('\t', ' '))) throw syntax(number, 'holds a control character');
  const section = /^\[(.*)\]$/.exec(bare)?.[1];
  if (section !== undefined) return { kind: 'section', name: section.trim() };
  const entry = /^([A-Za-z0-9]+)\s*=\s*(.*)$/s.exec(bare);
  if (entry === null) throw syntax(number, 'is neither a section nor "Key = Value"');
  return { kind: 'entry', key: entry[1] ?? '', value: (entry[2] ?? '').trim() };
}

/** The sections of a file in their order. An entry before the first one is an error of its line. */
export function sectionsOf(lines: readonly Line[]): Section[] {
  const sections: { name: string; line: number; entries: Entry[] }[] = [];
  for (const [at, line] of lines.entries()) {
    if (line.kind === 'section') sections.push({ name: line.name, line: at + 1, entries: [] });
    else if (line.kind === 'entry') {
      const section = sections.at(-1);
      if (section === undefined) throw syntax(at + 1, `${shownKey(line.key)} stands before the first section`);
      section.entries.push({ key: line.key, value: line.value, line: at + 1 });
    }
  }
  return sections;
}

/** A key's name for a message. What is too long for one may be a secret that stands where no secret belongs. */
export function shownKey(key: string): string {
  return key.length > LONGEST_KEY ? 'something' : `"${key}"`;
}

/** HeaderProtectionKey and ContentPaddingAddition are the longest that there are. */
const LONGEST_KEY = 24;

/** What is wrong with a line, for whoever has to find it. */
export function syntax(line: number, words: string): LatchkeyError {
  return new LatchkeyError('config_syntax', `line ${line} ${words}`, { status: 400, exit: 2, extra: { line } });
}
