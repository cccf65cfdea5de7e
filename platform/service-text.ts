import { LatchkeyError } from './errors.ts';

/** Refuses what no service file can hold. */
export function assertPlainWords(words: readonly string[]): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (!words.some((text) => /[\u0000-\u001f\u007f]/.test(text))) return;
  throw new LatchkeyError('invalid_request', 'a service file cannot hold a path with control characters', { exit: 2 });
}

/** The value of ExecStart= (systemd.service(5)). */
export function commandLine(program: string, words: readonly string[]): string {
  if (/["'\\]/.test(program)) {
    throw new LatchkeyError('invalid_request', 'systemd takes no program whose path has quotes or a backslash', {
      exit: 2,
    });
  }
  return [quoted(program), ...words.map(commandWord)].join(' ');
}

/** systemd.syntax(7): C escapes within double quotes; a percent sign begins a specifier. */
export function quoted(text: string): string {
  return `"${specifiersEscaped(text.replace(/[\\"]/g, '\\$&'))}"`;
}

/** A percent sign begins a specifier. */
export function specifiersEscaped(text: string): string {
  return text.replaceAll('%', '%%');
}

/** systemd.service(5): in a command line's arguments a dollar sign begins a variable. */
function commandWord(text: string): string {
  return quoted(text).replaceAll('$', '$$$$');
}

/** A whole command line for people to read as well: only words that need it are quoted. Refuses what no service file can hold. */
export function commandWords(words: readonly string[]): string {
  assertPlainWords(words);
  return words.map((word) => (BARE.test(word) ? word : commandWord(word))).join(' ');
}

const BARE = /^[\w@:.,/+=-]+$/;

/** One path of a setting that takes several, quoted where it needs it. Refuses what no service file can hold. */
export function pathWord(path: string): string {
  assertPlainWords([path]);
  return BARE.test(path) ? path : quoted(path);
}

/** The value of a setting that takes one path as it stands (systemd.unit(5)). Refuses what no service file can hold. */
export function wholePath(path: string): string {
  assertPlainWords([path]);
  return specifiersEscaped(path);
}

/** Text within an element of XML, or an attribute of it. */
export function xml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
