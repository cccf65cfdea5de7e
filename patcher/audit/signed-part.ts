import { isLatchkeyError } from '../../platform/errors.ts';
import { readSignedList, type SignedList } from '../vendor/vendor-signature.ts';
import type { TreeDifference } from '../vendor/vendor-tree.ts';
import type { Case } from './case.ts';
import { markOf, textOf } from './listing-parts.ts';
import type { TreeListing } from './tree-listing.ts';

/** A folder with a signed list: `core`, or an app by its id. */
export interface SignedPart {
  readonly id: string;
  /** Its folder, absolute. */
  readonly path: string;
  readonly listing: TreeListing;
}

export function partName(id: string): string {
  return id === 'core' ? 'core' : `app ${id}`;
}

/** The list of a folder, if the vendor really signed it; otherwise what is wrong with it is written down. */
export function signedListOf({ id, path, listing }: SignedPart, about: Case): SignedList | null {
  const { notes, rootCrt, evidence, revocations } = about;
  const name = id === 'core' ? 'core/signature.json' : 'appinfo/signature.json';
  const file = `${path}/${name}`;
  const mark = markOf(listing, name);
  const text = textOf(listing, name);
  if (text === null) {
    notes.find('signature_missing', partName(id), file, { words: 'nothing can be said about its files', mark });
    return null;
  }
  let list: SignedList;
  try {
    list = readSignedList(text, { id, rootCrt, now: evidence.now });
  } catch (error) {
    if (!isLatchkeyError(error, 'vendor_signature_invalid')) throw error;
    const words = `${error.message}: nothing can be said about its files`;
    notes.find('signature_refused', partName(id), file, { words, mark });
    return null;
  }
  const revoked = revocations?.revoked.get(list.serial);
  if (revoked !== undefined) {
    const words = `its certificate ${list.serial} was revoked on ${revoked.toISOString().slice(0, 10)} (list ${revocations?.number}): nothing can be said about its files`;
    notes.find('certificate_revoked', partName(id), file, { words, mark });
    return null;
  }
  notes.verified.push(id);
  return list;
}

/** Writes down how a folder differs from its signed list. */
export function tellDifferences({ id, path, listing }: SignedPart, difference: TreeDifference, about: Case): void {
  const { notes } = about;
  for (const name of difference.changed) {
    const link = listing.links.get(name);
    const regenerated = id === 'core' && name === 'core/js/mimetypelist.js';
    const words =
      link !== undefined
        ? `a link to ${JSON.stringify(link)}`
        : regenerated
          ? 'occ maintenance:mimetype:update-js writes this file anew; look whether somebody did'
          : null;
    const kind = listing.files.get(name) === '' ? 'unreadable' : 'changed';
    notes.find(kind, partName(id), `${path}/${name}`, { words, mark: markOf(listing, name) });
  }
  for (const name of difference.extra) {
    notes.find('added', partName(id), `${path}/${name}`, { mark: markOf(listing, name) });
  }
  for (const name of difference.missing) notes.find('missing', partName(id), `${path}/${name}`, { mark: 'nothing' });
}
