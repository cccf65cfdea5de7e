/** systemd.service(5), "command lines": `%` and `$` stand for something unless doubled. */
export function quoteForSystemd(text: string): string {
  refuseControl(text);
  const escaped = text.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w@:.,/+=-]+$/.test(text) ? escaped : `"${escaped.replaceAll(/[\\"]/g, '\\$&')}"`;
}

/** systemd.unit(5): a path is taken as it stands, only `%` means something. */
export function conditionPath(path: string): string {
  refuseControl(path);
  return path.replaceAll('%', '%%');
}

function refuseControl(text: string): void {
  if (/\p{Cc}/u.test(text)) throw new TypeError('a path of a timer holds a control character');
}
