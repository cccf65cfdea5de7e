import { posix } from 'node:path';
import type { Case } from './case.ts';
import type { TreeListing } from './tree-listing.ts';

/** Links that lead out of the tree, and what is no file at all. */
export function judgeOddEntries({ evidence, notes }: Case): void {
  const { root, tree, config, data, appsPaths } = evidence;
  const meant = new Set([config?.path, data?.path, ...appsPaths.map(({ path }) => path)]);
  const look = (listing: TreeListing, folder: string): void => {
    for (const [name, target] of listing.links) {
      const leads = posix.resolve(folder, posix.dirname(name), target);
      const inside = leads === folder || leads.startsWith(`${folder}/`);
      const toData = data !== null && (leads === data.path || leads.startsWith(`${data.path}/`));
      if ((inside && !toData) || meant.has(leads) || meant.has(`${folder}/${name}`)) continue;
      const words = `leads to ${JSON.stringify(target)}`;
      notes.find('link_outside', 'links', `${folder}/${name}`, { words, mark: `link to ${target}` });
    }
    for (const name of listing.others) {
      notes.find('special_file', 'links', `${folder}/${name}`, { words: 'a pipe, socket or device', mark: 'special' });
    }
  };
  for (const { path, listing } of appsPaths) if (listing !== null) look(listing, path);
  if (config?.listing != null) look(config.listing, config.path);
  look(tree, root);
}
