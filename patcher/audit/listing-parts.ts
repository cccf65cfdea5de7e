import { posix } from 'node:path';
import { sha512 } from '../vendor/vendor-tree.ts';
import type { TreeListing } from './tree-listing.ts';

/** The text of a file, unless it is not what was hashed. */
export function textOf(listing: TreeListing, name: string): string | null {
  const content = listing.texts.get(name);
  return content === undefined || sha512(content) !== listing.files.get(name) ? null : content.toString('utf8');
}

/** What is there by this name: a file's SHA-512, `link to …`, `special`, `nothing`; `null` for a file that could not be read. */
export function markOf(listing: TreeListing, name: string): string | null {
  const link = listing.links.get(name);
  if (link !== undefined) return `link to ${link}`;
  const hash = listing.files.get(name);
  if (hash !== undefined) return hash === '' ? null : hash;
  return listing.others.includes(name) ? 'special' : 'nothing';
}

/** What lies below one folder of a listing. */
export function part(listing: TreeListing, folder: string): TreeListing {
  const prefix = `${folder}/`;
  const cut = <T>(map: ReadonlyMap<string, T>): Map<string, T> => {
    const found = new Map<string, T>();
    for (const [name, value] of map) if (name.startsWith(prefix)) found.set(name.slice(prefix.length), value);
    return found;
  };
  return { files: cut(listing.files), links: cut(listing.links), texts: cut(listing.texts), others: [] };
}

/** Every folder of a listing's first level, by name. */
export function partsOf(listing: TreeListing): Map<string, TreeListing> {
  const parts = new Map<string, Part>();
  const sort = <T>(all: ReadonlyMap<string, T>, into: (found: Part) => Map<string, T>): void => {
    for (const [name, value] of all) {
      const slash = name.indexOf('/');
      if (slash < 0) continue;
      const folder = name.slice(0, slash);
      const found = parts.get(folder) ?? { files: new Map(), links: new Map(), texts: new Map(), others: [] };
      parts.set(folder, found);
      into(found).set(name.slice(slash + 1), value);
    }
  };
  sort(listing.files, (found) => found.files);
  sort(listing.links, (found) => found.links);
  sort(listing.texts, (found) => found.texts);
  return parts;
}

interface Part extends TreeListing {
  readonly files: Map<string, string>;
  readonly links: Map<string, string>;
  readonly texts: Map<string, Buffer>;
}

/** A link counts as the file it leads to, if that is in the same listing; the vendor's check follows it too. */
export function withLinks(files: ReadonlyMap<string, string>, listing: TreeListing, root: string): Map<string, string> {
  const all = new Map(files);
  for (const [name, target] of listing.links) {
    const leads = posix.relative(root, posix.resolve(root, posix.dirname(name), target));
    all.set(name, files.get(leads) ?? 'a link');
  }
  return all;
}
