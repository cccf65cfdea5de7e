/**
 * The simple commands in a line of shell, each as its words: pipes, lists, subshells and `&` part them, redirections and
 * a comment are left out, quotes are taken off. Substitutions stay as they are written. No shell, but enough of one for
 * what a page shows.
 */
export function wordsOfCommands(line: string): readonly (readonly string[])[] {
  const commands: string[][] = [[]];
  let rest = line.trim();
  const take = (pattern: RegExp): RegExpExecArray | null => {
    const match = pattern.exec(rest);
    if (match !== null) rest = rest.slice(match[0].length);
    return match;
  };
  while (rest !== '') {
    if (take(/^\s+/) !== null) continue;
    if (take(/^#.*$/s) !== null) break;
    if (take(/^[0-9]?(?:>>|>&|>|<<<|<)\s*/) !== null) {
      takeWord(take);
      continue;
    }
    if (take(/^(?:&&|\|\||[|;&()])/) !== null) {
      commands.push([]);
      continue;
    }
    commands.at(-1)?.push(takeWord(take));
  }
  return commands.filter((words) => words.length > 0);
}

function takeWord(take: (pattern: RegExp) => RegExpExecArray | null): string {
  let word = '';
  for (;;) {
    const part =
      take(/^'([^']*)'/)?.[1] ??
      take(/^"((?:\$\([^)]*\)|[^"\\]|\\.)*)"/)?.[1] ??
      take(/^(\$\([^)]*\))/)?.[1] ??
      take(/^\\(.)/)?.[1] ??
      take(/^([^\s'"\\|;&()<>$]+|["'$<>])/)?.[1];
    if (part === undefined) return word;
    word += part;
  }
}
