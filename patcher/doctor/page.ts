import { wrapped } from '../wrapped.ts';
import { type GroupReport, tally } from './examination.ts';
import { type Finding, GROUPS, type Group, type Level } from './finding.ts';

/** Widest line. */
const WIDTH = 100;
const LABELS: Readonly<Record<Level, string>> = { bad: 'BAD', warn: 'warn', unknown: '?', info: 'note', ok: 'ok' };
const COLOURS: Readonly<Record<Level, string>> = { bad: '31;1', warn: '33', unknown: '35', info: '36', ok: '32' };
const TITLES: Readonly<Record<Group, string>> = {
  release: 'keys by the key server',
  copies: 'copies of keys',
  memory: 'memory',
  php: 'php',
  caches: 'caches',
  credentials: 'credentials and heartbeat',
  network: 'network and clock',
  nextcloud: 'nextcloud',
  ncpatch: 'ncpatch',
};
/** Places shown of one finding; `--json` has all. */
const SHOWN = 4;
const INDENT = 6;

export interface PageOptions {
  readonly colour: boolean;
  readonly heading: readonly string[];
  /** Of the paper; `null` where it has none. */
  readonly width?: number | null;
}

/** How wide, and in which colours. */
interface Pen {
  readonly width: number;
  readonly paint: (level: Level, text: string) => string;
}

/** Pure: the page for people, worst first. Names come from the target and are shown so that no terminal is misled. */
export function pageLines(reports: readonly GroupReport[], { colour, heading, width = null }: PageOptions): string[] {
  const paint = (level: Level, text: string): string => (colour ? `\u001b[${COLOURS[level]}m${text}\u001b[0m` : text);
  const pen = { width: Math.min(width ?? WIDTH, WIDTH), paint };
  const lines = heading.map(clean);
  for (const { group, findings } of reports) {
    if (findings.length === 0) continue;
    lines.push('', colour ? `\u001b[1m${TITLES[group]}\u001b[0m` : TITLES[group]);
    for (const finding of findings) if (finding.level !== 'ok') lines.push(...findingLines(finding, pen));
    const fine = findings.filter(({ level }) => level === 'ok').map(({ what }) => clean(what));
    if (fine.length > 0) lines.push(...labelled('ok', fine.join('; '), pen));
  }
  return [...lines, '', ...summary(reports)];
}

function findingLines(finding: Finding, pen: Pen): string[] {
  const { level, what, why, fix, seen, code } = finding;
  const lines = labelled(level, `${clean(what)} (${code})`, pen);
  // what the command names anyway is not told twice
  const told = fix === null ? seen : seen.filter((one) => !fix.includes(one));
  for (const one of told.slice(0, SHOWN)) lines.push(`${' '.repeat(INDENT)}- ${clean(one)}`);
  if (told.length > SHOWN) lines.push(`${' '.repeat(INDENT)}- and ${told.length - SHOWN} more (--json)`);
  // what is only for knowing takes one line less
  if (why !== '' && level !== 'info') lines.push(...wrap(clean(why), INDENT, pen));
  if (fix !== null) lines.push(...fixLines(clean(fix), pen));
  return lines;
}

function labelled(level: Level, text: string, pen: Pen): string[] {
  const [first = '', ...rest] = wrap(text, INDENT, pen);
  return [`${pen.paint(level, LABELS[level].padEnd(4))}${' '.repeat(INDENT - 4)}${first.trimStart()}`, ...rest];
}

function fixLines(fix: string, pen: Pen): string[] {
  const [first = '', ...rest] = wrap(fix, INDENT + 3, pen);
  return [`${' '.repeat(INDENT)}-> ${first.trimStart()}`, ...rest];
}

function wrap(text: string, indent: number, { width }: Pen): string[] {
  return wrapped(' '.repeat(indent) + text, width, indent).split('\n');
}

function summary(reports: readonly GroupReport[]): string[] {
  const { bad, warn, unknown, info, ok } = tally(reports);
  const parts = [
    [bad, 'bad'],
    [warn, warn === 1 ? 'warning' : 'warnings'],
    [unknown, 'unknown'],
    [info, info === 1 ? 'note' : 'notes'],
    [ok, 'ok'],
  ] as const;
  const words = parts.filter(([count]) => count > 0).map(([count, name]) => `${count} ${name}`);
  const fixable = reports.flatMap(({ findings }) => findings).filter(({ repair }) => repair !== null).length;
  const mend = fixable === 0 ? [] : [`${fixable} can be mended by: ncpatch doctor --fix (--dry-run shows how)`];
  return [words.length === 0 ? 'nothing was looked at' : words.join(', '), ...mend];
}

function clean(text: string): string {
  return text.replaceAll(/\p{C}/gu, (letter) => `\\u{${(letter.codePointAt(0) ?? 0).toString(16)}}`);
}

/** Groups as the command line names them. */
export const GROUP_NAMES = GROUPS.join(', ');
