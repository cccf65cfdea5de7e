import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** An unpacked Nextcloud release. Nothing may ever write into it: instances are made on top of it. */
export interface NextcloudTree {
  readonly version: string;
  readonly folder: string;
  /** `major.minor` of the versions that Nextcloud lets upgrade to this one. */
  readonly upgradesFrom: readonly string[];
}

/** Where releases lie, one folder a version: LATCHKEY_NEXTCLOUD_DIR, else `~/.cache/latchkey/nextcloud`. */
export function treesFolder(env: Readonly<Record<string, string | undefined>> = process.env): string {
  return env.LATCHKEY_NEXTCLOUD_DIR ?? join(homedir(), '.cache', 'latchkey', 'nextcloud');
}

/** Reads `version.php` as text, without running it; `null` when the folder is no Nextcloud. */
export function readTree(folder: string): NextcloudTree | null {
  const file = join(folder, 'version.php');
  if (!existsSync(file) || !existsSync(join(folder, 'occ')) || !existsSync(join(folder, 'lib', 'base.php')))
    return null;
  const text = readFileSync(file, 'utf8');
  const version = /^\$OC_VersionString = '([0-9]+\.[0-9]+\.[0-9]+)[^']*';$/m.exec(text)?.[1];
  const from =
    /\$OC_VersionCanBeUpgradedFrom\s*=\s*(?:array\s*\(|\[)\s*'nextcloud'\s*=>\s*(?:array\s*\(|\[)([^)\]]*)/.exec(
      text,
    )?.[1];
  if (version === undefined || from === undefined) return null;
  const upgradesFrom = [...from.matchAll(/'([0-9]+\.[0-9]+)'\s*=>\s*true/g)].map((match) => match[1] ?? '');
  return { version, folder, upgradesFrom };
}

function compareVersions(a: NextcloudTree, b: NextcloudTree): number {
  const [left, right] = [a, b].map((tree) => tree.version.split('.').map(Number));
  for (let at = 0; at < 3; at++) {
    const difference = (left?.[at] ?? 0) - (right?.[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** All releases in a folder, oldest first; none when the folder is not there. */
export function listTrees(folder: string = treesFolder()): NextcloudTree[] {
  if (!existsSync(folder)) return [];
  const trees = readdirSync(folder).map((name) => readTree(join(folder, name)));
  return trees.filter((tree) => tree !== null).sort(compareVersions);
}

/** The next newer release in the list, and whether Nextcloud allows going there in one step. */
export function nextTree(
  from: NextcloudTree,
  trees: readonly NextcloudTree[],
): { readonly tree: NextcloudTree; readonly allowed: boolean } | null {
  const tree = trees.find((other) => compareVersions(other, from) > 0);
  if (tree === undefined) return null;
  return { tree, allowed: tree.upgradesFrom.includes(from.version.split('.').slice(0, 2).join('.')) };
}
