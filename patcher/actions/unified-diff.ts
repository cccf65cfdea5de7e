import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';

/** A unified diff from one content to another; null stands for a file that is not there. '' when they are the same. */
export function unifiedDiff(path: string, before: Buffer | null, after: Buffer | null): string {
  if (before !== null && after !== null && before.equals(after)) return '';
  const names = [before === null ? '/dev/null' : path, after === null ? '/dev/null' : path] as const;
  const texts = [textOf(before), textOf(after)] as const;
  if (texts[0] === null || texts[1] === null) return `binary ${path} ${before === null ? 'is new' : 'differs'}\n`;
  const options = { context: 3, headerOptions: FILE_HEADERS_ONLY };
  return createTwoFilesPatch(names[0], names[1], texts[0], texts[1], '', '', options);
}

function textOf(data: Buffer | null): string | null {
  if (data === null) return '';
  const text = data.toString('utf8');
  return text.includes('\0') || !Buffer.from(text).equals(data) ? null : text;
}
