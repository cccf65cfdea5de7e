import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { wordsOfCommands } from './readme-walk-shell.ts';

const root = resolve(import.meta.dirname, '../..');

/** A block that is set off from the text: fenced, or indented by four. */
export interface Block {
  /** The line of the page that its first line is on, from 1. */
  readonly line: number;
  /** What a fence says of its language. */
  readonly language: string;
  readonly lines: readonly string[];
}

/** One command line as a page shows it, or one in the middle of a sentence. */
export interface Shown {
  readonly page: string;
  readonly line: number;
  readonly text: string;
}

/** The text of a page of this project, by its path from the root. */
export function pageText(page: string): string {
  return readFileSync(join(root, page), 'utf8');
}

/** The blocks of a page in their order, and its text without them: as many lines, those of blocks empty. */
export function partsOf(text: string): { readonly blocks: readonly Block[]; readonly prose: readonly string[] } {
  const blocks: { line: number; language: string; lines: string[] }[] = [];
  const prose: string[] = [];
  let fence: string | null = null;
  let indented = false;
  for (const [at, line] of text.split('\n').entries()) {
    const mark = /^( {0,3}`{3,})([^`]*)$/.exec(line);
    let text = '';
    if (fence !== null) {
      if (mark?.[1] === fence && mark[2] === '') fence = null;
      else blocks.at(-1)?.lines.push(line);
    } else if (mark !== null) {
      fence = mark[1] ?? '';
      indented = false;
      blocks.push({ line: at + 2, language: (mark[2] ?? '').trim(), lines: [] });
    } else if (/^ {4}\S/.test(line) || (indented && /^( {4}|$)/.test(line))) {
      if (!indented) blocks.push({ line: at + 1, language: '', lines: [] });
      blocks.at(-1)?.lines.push(line.slice(4));
      indented = true;
    } else {
      indented = false;
      text = line;
    }
    prose.push(text);
  }
  return { blocks, prose };
}

/** A picture drawn with lines, or a program in another language, shows no commands. */
export function showsCommands(block: Block): boolean {
  return block.language === '' && !block.lines.some((line) => /[\u2500-\u257f]/.test(line));
}

/** The command lines of a block: those after `$ ` where there is one such, else all; `\` at the end goes on. */
export function commandLines(page: string, block: Block): readonly Shown[] {
  if (!showsCommands(block)) return [];
  const prompted = block.lines.some((line) => line.startsWith('$ '));
  const found: Shown[] = [];
  let open: { line: number; text: string } | null = null;
  for (const [at, line] of block.lines.entries()) {
    let text: string;
    if (open !== null) text = `${open.text} ${line.trim()}`;
    else if (prompted && !line.startsWith('$ ')) continue;
    else text = prompted ? line.slice(2) : line;
    const start: number = open?.line ?? block.line + at;
    open = text.endsWith('\\') ? { line: start, text: text.slice(0, -1).trimEnd() } : null;
    if (open === null && wordsOfCommands(text).length > 0) found.push({ page, line: start, text: text.trim() });
  }
  return found;
}

/** What stands between backticks in the text of a page; a line break in it is a space. */
export function mentions(page: string, prose: readonly string[]): readonly Shown[] {
  const found: Shown[] = [];
  let line = 1;
  for (const paragraph of prose.join('\n').split('\n\n')) {
    for (const match of paragraph.matchAll(/(`+)(.+?)\1/gs)) {
      const before = paragraph.slice(0, match.index).split('\n').length - 1;
      found.push({ page, line: line + before, text: (match[2] ?? '').replaceAll(/\s+/g, ' ').trim() });
    }
    line += paragraph.split('\n').length + 1;
  }
  return found;
}
