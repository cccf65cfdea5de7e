import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { run } from '../../platform/run.ts';
import type { NextcloudTree } from './nextcloud-tree.ts';
import { treesFolder } from './nextcloud-tree.ts';

/** Whom files belong to, by number. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Whether a release belongs to this user, whole. A release in the tests' own cache is given to them first, once: in an overlay
 * each file that changes its owner is a file made and removed again, 28,000 of them for each instance. The folder itself
 * is given last, so that its owner tells of all below it. A release of somebody else's folder stays as it is.
 */
export async function isHandedOver(
  tree: NextcloudTree,
  { uid, gid }: Owner,
  cache = treesFolder({}),
): Promise<boolean> {
  if (statSync(tree.folder).uid === uid) return true;
  if (dirname(tree.folder) !== cache) return false;
  const owner = `${uid}:${gid}`;
  const below = ['find', tree.folder, '-mindepth', '1', '-exec', 'chown', '-h', owner, '{}', '+'] as const;
  await run(below, { timeoutMs: 120_000 });
  await run(['chown', owner, tree.folder], { timeoutMs: 10_000 });
  return true;
}
