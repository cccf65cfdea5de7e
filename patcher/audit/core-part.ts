import { posix } from 'node:path';
import { isOurPatch } from '../hooks/file-patch.ts';
import type { SignedList } from '../vendor/vendor-signature.ts';
import { compareListing, sha512, splitHtaccess, type TreeDifference, UNSIGNED_FOLDERS } from '../vendor/vendor-tree.ts';
import type { Case } from './case.ts';
import { markOf, withLinks } from './listing-parts.ts';
import { sawAll, tellRules } from './open-places.ts';
import { signedListOf, tellDifferences } from './signed-part.ts';

/** The server itself: everything in the root but what the vendor leaves out of its own check. */
export function judgeCore(about: Case): void {
  const { evidence, notes, version } = about;
  const { root, tree, appsPaths, data } = evidence;
  const core = { id: 'core', path: root, listing: tree };
  const files = new Map(tree.files);
  const content = tree.texts.get('.htaccess');
  const marked = content === undefined || sha512(content) !== files.get('.htaccess') ? null : splitHtaccess(content);
  if (marked !== null) {
    files.set('.htaccess', sha512(marked.signed));
    tellRules(about, { text: marked.below, path: `${root}/.htaccess`, part: 'core', place: 'root' });
  }
  const inside = [...appsPaths.map(({ path }) => path), ...(data === null ? [] : [data.path])]
    .map((path) => posix.relative(root, path))
    .filter((path) => path !== '' && !path.startsWith('..'));
  const list = signedListOf(core, about);
  if (list === null) {
    sawCore(about, inside);
    return;
  }
  const ownVersion = list.hashes.get('version.php');
  if (ownVersion !== undefined && ownVersion !== files.get('version.php')) {
    const words = 'the signed list is not the one of this version, or version.php was changed';
    const mark = markOf(tree, 'version.php');
    notes.find('other_version', 'core', `${root}/version.php`, { words, mark });
  } else notes.core = version?.version ?? null;
  const difference = compareListing(withLinks(files, tree, root), list, { kind: 'core', leaveOut: inside });
  tellDifferences(core, withoutOwnPatch(difference, list, about), about);
}

/** A file is not changed that is what the vendor signed and our own patch, and nothing else. */
function withoutOwnPatch(difference: TreeDifference, list: SignedList, { evidence, notes }: Case): TreeDifference {
  const { tree, root, coreHook } = evidence;
  const { file } = coreHook;
  const content = tree.texts.get(file);
  const signed = list.hashes.get(file);
  if (!difference.changed.includes(file) || content === undefined || signed === undefined) return difference;
  // what was read must be what was hashed
  if (sha512(content) !== tree.files.get(file) || !isOurPatch(coreHook, content, signed)) return difference;
  notes.remark(
    'own_patch',
    `${root}/${file}`,
    'as the vendor signed it, with the hook of this ncpatch and nothing else',
  );
  return { ...difference, changed: difference.changed.filter((name) => name !== file) };
}

/** Without a list that holds, everything of it is for the baseline. */
function sawCore({ evidence: { root, tree }, notes }: Case, inside: readonly string[]): void {
  const leftOut = [...UNSIGNED_FOLDERS, ...inside].map((folder) => `${folder}/`);
  const isIn = (name: string): boolean => !leftOut.some((folder) => name.startsWith(folder));
  const cut = <T>(all: ReadonlyMap<string, T>): Map<string, T> => new Map([...all].filter(([name]) => isIn(name)));
  sawAll({ ...tree, files: cut(tree.files), links: cut(tree.links) }, root, 'core', notes);
}
