import { LatchkeyError } from '../../platform/errors.ts';

const SPACE = /[ \t\r\n]*/y;
const STRING = /"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"/uy;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const WORD = /true|false|null/y;
const DEEPEST = 16;

/**
 * The line on which each value of a JSON text begins, by its path (`hosts.1.ssh`; the whole is the empty path). Stricter
 * than `JSON.parse`, which keeps the last of two members with one name: `json_invalid` (exit 2) names the line.
 */
export function jsonLines(text: string): ReadonlyMap<string, number> {
  const lines = new Map<string, number>();
  let at = 0;
  let line = 1;
  const fail = (words: string): never => {
    throw new LatchkeyError('json_invalid', `line ${line} ${words}`, { exit: 2, field: `line ${line}` });
  };
  const take = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0] ?? null;
    if (found !== null) at += found.length;
    return found;
  };
  const space = (): void => {
    line += take(SPACE)?.split('\n').length ?? 1;
    line -= 1;
  };
  const token = (sign: string): boolean => {
    space();
    if (text[at] !== sign) return false;
    at += 1;
    return true;
  };
  const members = (end: string, member: () => void): void => {
    if (token(end)) return;
    do member();
    while (token(','));
    if (!token(end)) fail(`must go on with "," or "${end}"`);
  };
  const value = (path: string, depth: number): void => {
    space();
    if (depth > DEEPEST) fail('is nested too deeply');
    lines.set(path, line);
    const inside = (name: string | number): string => (path === '' ? String(name) : `${path}.${name}`);
    if (token('{')) {
      members('}', () => {
        space();
        const quoted = take(STRING) ?? fail('must have a name in double quotes');
        const name = inside(JSON.parse(quoted) as string);
        if (lines.has(name)) fail(`gives "${name}" a second time`);
        if (!token(':')) fail('must have ":" after a name');
        value(name, depth + 1);
      });
    } else if (token('[')) {
      let index = 0;
      members(']', () => value(inside(index++), depth + 1));
    } else if ((take(STRING) ?? take(NUMBER) ?? take(WORD)) === null) {
      fail('has no value that JSON knows');
    }
  };
  value('', 0);
  space();
  if (at < text.length) fail('has more than one value');
  return lines;
}
