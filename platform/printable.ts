/** Pure: text that another machine may have worded, for a terminal that it must not steer; lines and tabs stay. */
export function printable(text: string): string {
  return text.replaceAll(/[^\P{C}\n\t]/gu, '?');
}
