/** A stream that may be a terminal. */
export interface Paper {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** On less than that there is nothing to gain. */
const NARROWEST = 40;
/** Words that are typed as they stand; they are copied from the screen, and go on to the end of their line. */
const COMMAND = /(?<=: )(?:sudo (?:-u \S+ )?)?(?:ncpatch|keyserver|occ|docker|systemctl|journalctl|rm) .*$/;

/** Columns of a terminal; `null` for a file or a program, which have lines of any length. */
export function columnsOf({ isTTY, columns }: Paper): number | null {
  return isTTY === true && columns !== undefined && columns >= NARROWEST ? columns : null;
}

/** A mark of a list, which does not stand alone. */
const MARK = /^\s*(?:-|->)?$/;

/**
 * Pure: one line as lines of at most `width` columns, broken between words; all but the first begin with `indent` blanks, or as many as
 * the first where those are more. A word or a command at the end that is longer stays in one piece. `null` leaves everything as it is.
 */
export function wrapped(line: string, width: number | null, indent: number): string {
  if (width === null || line.length <= width) return line;
  const hanging = ' '.repeat(Math.max(indent, line.length - line.trimStart().length));
  const lines: string[] = [];
  let current = '';
  for (const [, blanks = '', word = ''] of pieces(line)) {
    if (!MARK.test(current) && current.length + blanks.length + word.length > width) {
      lines.push(current);
      current = hanging + word;
    } else current += blanks + word;
  }
  return [...lines, current].join('\n');
}

/** Blanks and what follows them. */
function pieces(line: string): Iterable<RegExpMatchArray> {
  const command = COMMAND.exec(line)?.[0] ?? '';
  const words = [...line.slice(0, line.length - command.length).matchAll(/(\s*)(\S+)/g)];
  return command === '' ? words : [...words, [`${command} `, ' ', command]];
}
