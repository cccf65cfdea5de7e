import { compareVersions } from '../targets/version-file.ts';

/** `<version>` of an app's info.xml as it stands there, `6.0.0-dev.0` too; `null` when it has none. */
export function versionIn(infoXml: string | null): string | null {
  return /<version>\s*([0-9][0-9A-Za-z.+-]{0,40})\s*<\/version>/.exec(infoXml ?? '')?.[1] ?? null;
}

/** Negative when `a` is older; `null` where it cannot be told: numbers decide, words behind them (`-dev.0`) do not. */
export function versionOrder(a: string, b: string): number | null {
  if (a === b) return 0;
  const [left, right] = [a, b].map((version) => /^[0-9]{1,9}(\.[0-9]{1,9}){0,5}(?=$|[-+])/.exec(version)?.[0]);
  if (left === undefined || right === undefined) return null;
  const order = compareVersions(left, right);
  return order === 0 && left.length + right.length < a.length + b.length ? null : order;
}
