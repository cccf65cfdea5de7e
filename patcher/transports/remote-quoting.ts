/**
 * Longest command line we send. Linux refuses one argument of more than 128 KiB (MAX_ARG_STRLEN), and the remote shell
 * gets the whole line as one argument of `-c`.
 */
const MAX_COMMAND_BYTES = 120 * 1024;

/** Characters that mean themselves in every position but the first word. */
const PLAIN = /^[A-Za-z0-9_/:@%+,.-]+$/;

/**
 * An argument vector as one line for a POSIX shell, which then sees exactly these words. The first word is always
 * quoted, so that it is never an alias, a keyword or an assignment. Throws TypeError for what no command line can carry.
 */
export function quoteForRemoteShell(argv: readonly [string, ...string[]]): string {
  const line = argv.map((word, index) => quoteWord(word, index === 0)).join(' ');
  if (Buffer.byteLength(line) > MAX_COMMAND_BYTES) {
    throw new TypeError(`a remote command line must not be longer than ${MAX_COMMAND_BYTES} bytes`);
  }
  return line;
}

function quoteWord(word: string, first: boolean): string {
  if (word.includes('\0') || !word.isWellFormed()) {
    throw new TypeError('a remote argument must be well-formed text without NUL');
  }
  if (first && word === '') throw new TypeError('a remote command must name a program');
  if (!first && PLAIN.test(word)) return word;
  return `'${word.replaceAll("'", "'\\''")}'`;
}
