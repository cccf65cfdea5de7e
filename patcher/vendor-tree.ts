import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LatchkeyError } from '../platform/errors.ts';
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

// what the vendor's own check does not look at (lib/private/IntegrityCheck/Iterator of the server)
const unchecked = ['data', 'themes', 'config', 'apps', 'assets', 'lost+found', 'updater', '_oc_upgrade'];
const ignored =
  /^(\.DS_Store|\.directory|\.rnd|\.webapp|\.webapp-nextcloud-(\d+\.){2}\d+(-r\d+)?|Thumbs\.db|nextcloud-init-sync\.lock)$/;
const htaccessEnd = '#### DO NOT CHANGE ANYTHING ABOVE THIS LINE ####';

async function listFiles(folder: string, leaveOut: ReadonlySet<string>, below = ''): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(join(folder, below), { withFileTypes: true })) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) {
      if (!leaveOut.has(path)) found.push(...(await listFiles(folder, leaveOut, path)));
    } else if (!ignored.test(entry.name)) {
      found.push(path);
    }
  }
  return found;
}

/** The root's `.htaccess` is signed down to a marker only: Nextcloud writes below it. */
function signedPart(kind: TreeKind, path: string, content: Buffer): Buffer | string {
  if (kind === 'app' || path !== '.htaccess') return content;
  const parts = content.toString('latin1').split(htaccessEnd);
  return parts.length === 2 ? Buffer.from(parts[0] ?? '', 'latin1') : content;
}

/**
 * Compares a folder on this machine with the vendor's signed list, by the rules of the vendor's own check. `leaveOut`
 * names further folders below it that are nobody's business (a data directory, other apps paths). The one file that
 * `occ maintenance:mimetype:update-js` writes anew counts as changed: say so where it is shown.
 */
export async function compareTree(
  folder: string,
  list: SignedList,
  options: { readonly kind: TreeKind; readonly leaveOut?: readonly string[] },
): Promise<TreeDifference> {
  const own = options.kind === 'core' ? 'core/signature.json' : 'appinfo/signature.json';
  const leaveOut = new Set([...(options.kind === 'core' ? unchecked : []), ...(options.leaveOut ?? [])]);
  const expected = new Map(list.hashes);
  if (options.kind === 'core')
    for (const path of list.hashes.keys()) if (path.startsWith('updater/')) expected.delete(path);
  expected.delete(own);

  const changed: string[] = [];
  const extra: string[] = [];
  for (const path of await listFiles(folder, leaveOut)) {
    if (path === own) continue;
    const wanted = expected.get(path);
    if (wanted === undefined) {
      extra.push(path);
      continue;
    }
    expected.delete(path);
    const content = await readFile(join(folder, path));
    if (
      createHash('sha512')
        .update(signedPart(options.kind, path, content))
        .digest('hex') !== wanted
    )
      changed.push(path);
  }
  return { missing: [...expected.keys()].sort(), changed: changed.sort(), extra: extra.sort() };
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
