import { sha256 } from '../../platform/encoding.ts';
import type { WatchFacts } from '../facts.ts';
import type { Instance } from '../targets/target.ts';
import { watchFolder, watchPathsOutside } from './watch-files.ts';

/** What the script leaves in its folder, which is no part of what ncpatch wrote. */
const LEFT = new Set([
  'looked',
  'seen',
  'waiting',
  'repaired',
  'back-off',
  'closed',
  'running',
  'at-work',
  'said',
  '.stderr',
]);
const MAX_BYTES = 65_536;

/** The watch on the machine as its files tell it, and how a script of that machine reaches this Nextcloud. */
export async function readWatch(instance: Instance, instanceId: string): Promise<WatchFacts> {
  const { machine, occCommand, filesCommand, owner } = instance;
  const folder = watchFolder(instanceId);
  const outside = watchPathsOutside(instanceId);
  // the folder is root's alone
  const [inside, ...texts] = await Promise.all([
    machine.user.uid === 0 ? machine.treeDigest(folder) : null,
    ...outside.map((path) => machine.readFile(path, { max: MAX_BYTES })),
  ]);
  const files: Record<string, string> = {};
  for (const [name, digest] of inside ?? []) {
    if (!LEFT.has(name) && !name.startsWith('.')) files[`${folder}/${name}`] = digest.sha256;
  }
  for (const [i, path] of outside.entries()) {
    const text = texts[i];
    if (text !== undefined && text !== null) files[path] = sha256(text).toString('hex');
  }
  return { occCommand, filesCommand, owner: `${owner.uid}:${owner.gid}`, folder: inside !== null, files };
}
