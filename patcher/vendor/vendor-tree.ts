import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LatchkeyError } from '../../platform/errors.ts';
import type { SignedList } from './vendor-signature.ts';

/** How a folder differs from what the vendor signed; each list is sorted. */
export interface TreeDifference {
  /** Signed, and not there. */
  readonly missing: readonly string[];
  /** There, with other content than the signed one. */
  readonly changed: readonly string[];
  /** There, and not signed. */
  readonly extra: readonly string[];
}

/** `core` is the whole server, of which the vendor leaves out some folders; an app is checked to its last file. */
export type TreeKind = 'core' | 'app';

/** What the vendor's own check does not look at (lib/private/IntegrityCheck/Iterator of the server). */
export const UNSIGNED_FOLDERS: readonly string[] = [
  'data',
  'themes',
  'config',
  'apps',
  'assets',
  'lost+found',
  'updater',
  '_oc_upgrade',
];
const ignored =
  /^(\.DS_Store|\.directory|\.rnd|\.webapp|\.webapp-nextcloud-(\d+\.){2}\d+(-r\d+)?|Thumbs\.db|nextcloud-init-sync\.lock)$/;
const htaccessEnd = '#### DO NOT CHANGE ANYTHING ABOVE THIS LINE ####';

export function sha512(content: Buffer): string {
  return createHash('sha512').update(content).digest('hex');
}

/** The root's `.htaccess` is signed down to a marker only: Nextcloud writes below it. `null` where there is no one marker. */
export function splitHtaccess(content: Buffer): { readonly signed: Buffer; readonly below: string } | null {
  const parts = content.toString('latin1').split(htaccessEnd);
  if (parts.length !== 2) return null;
  return { signed: Buffer.from(parts[0] ?? '', 'latin1'), below: parts[1] ?? '' };
}

/**
 * Pure: compares what a folder holds with the vendor's signed list, by the rules of the vendor's own check. `files` maps
 * each path below the folder to its SHA-512 in hex; for the server's own `.htaccess` that is the hash of its signed part
 * (`splitHtaccess`). `leaveOut` names further folders below it that are nobody's business (a data directory, other apps
 * paths). The one file that `occ maintenance:mimetype:update-js` writes anew counts as changed: say so where it is shown.
 */
export function compareListing(
  files: ReadonlyMap<string, string>,
  list: Pick<SignedList, 'hashes'>,
  options: { readonly kind: TreeKind; readonly leaveOut?: readonly string[] },
): TreeDifference {
  const own = options.kind === 'core' ? 'core/signature.json' : 'appinfo/signature.json';
  const leaveOut = leftOut(options);
  const expected = new Map(list.hashes);
  if (options.kind === 'core')
    for (const path of list.hashes.keys()) if (path.startsWith('updater/')) expected.delete(path);
  expected.delete(own);

  const changed: string[] = [];
  const extra: string[] = [];
  for (const [path, hash] of files) {
    if (path === own || ignored.test(path.slice(path.lastIndexOf('/') + 1)) || isIn(path, leaveOut)) continue;
    const wanted = expected.get(path);
    expected.delete(path);
    if (wanted === undefined) extra.push(path);
    else if (wanted !== hash) changed.push(path);
  }
  return { missing: [...expected.keys()].sort(), changed: changed.sort(), extra: extra.sort() };
}

function leftOut(options: { readonly kind: TreeKind; readonly leaveOut?: readonly string[] }): ReadonlySet<string> {
  return new Set([...(options.kind === 'core' ? UNSIGNED_FOLDERS : []), ...(options.leaveOut ?? [])]);
}

/** The folder itself too: a link may stand in its place. */
function isIn(path: string, folders: ReadonlySet<string>): boolean {
  if (folders.has(path)) return true;
  for (let end = path.indexOf('/'); end >= 0; end = path.indexOf('/', end + 1)) {
    if (folders.has(path.slice(0, end))) return true;
  }
  return false;
}

async function hashFiles(folder: string, kind: TreeKind, leaveOut: ReadonlySet<string>): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const enter = async (below: string): Promise<void> => {
    for (const entry of await readdir(join(folder, below), { withFileTypes: true })) {
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!leaveOut.has(path)) await enter(path);
      } else if (!ignored.test(entry.name)) {
        const content = await readFile(join(folder, path));
        const marked = kind === 'core' && path === '.htaccess' ? splitHtaccess(content) : null;
        found.set(path, sha512(marked?.signed ?? content));
      }
    }
  };
  await enter('');
  return found;
}

/** The same for a folder on this machine. */
export async function compareTree(
  folder: string,
  list: Pick<SignedList, 'hashes'>,
  options: { readonly kind: TreeKind; readonly leaveOut?: readonly string[] },
): Promise<TreeDifference> {
  return compareListing(await hashFiles(folder, options.kind, leftOut(options)), list, options);
}

/** Throws `vendor_tree_differs` (exit 3) when anything was changed, added or taken away. */
export function assertUnchanged(difference: TreeDifference): void {
  const { missing, changed, extra } = difference;
  if (missing.length + changed.length + extra.length === 0) return;
  const first = [...changed, ...extra, ...missing][0] ?? '';
  throw new LatchkeyError(
    'vendor_tree_differs',
    `not as the vendor signed it: ${changed.length} changed, ${extra.length} added, ${missing.length} missing files`,
    { exit: 3, hint: `the first is ${JSON.stringify(first)}` },
  );
}
