/**
 * A value as one word of a POSIX shell, which then sees exactly this value: nothing in it is read as the shell's language. Throws
 * TypeError for what no shell variable can hold.
 */
export function shQuote(value: string): string {
  assertText(value);
  return `'${value.replaceAll("'", "'\\''")}'`;
}

/**
 * A value as an expression of PowerShell 5 in plain ASCII, since that reads a file without a byte order mark in the machine's own
 * code page. What is not ASCII, what ends a line and what PowerShell takes for a quotation mark goes as the number of its UTF-16
 * code unit.
 */
export function powershellQuote(value: string): string {
  assertText(value);
  const parts = [...value.matchAll(/[ -~]+|[^ -~]/gs)].flatMap(([part]) =>
    /^[ -~]/.test(part) ? [`'${part.replaceAll("'", "''")}'`] : codeUnits(part),
  );
  if (parts.length === 0) return "''";
  // a character first would be added as a number
  const text = parts[0]?.startsWith("'") ? parts : ["''", ...parts];
  return text.length === 1 ? String(text[0]) : `(${text.join(' + ')})`;
}

function codeUnits(text: string): string[] {
  return text.split('').map((unit) => `[char]0x${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function assertText(value: string): void {
  if (value.includes('\0') || !value.isWellFormed()) {
    throw new TypeError('a value of a script must be well-formed text without NUL');
  }
}
