import { posix } from 'node:path';
import { APP_ID } from '../facts.ts';
import { compareListing } from '../vendor/vendor-tree.ts';
import { versionIn } from './app-version.ts';
import type { Case } from './case.ts';
import { markOf, part, partsOf, textOf, withLinks } from './listing-parts.ts';
import { CODE, judgeOpenPlace, sawAll } from './open-places.ts';
import { judgeOwnApp } from './own-app.ts';
import { type SignedPart, signedListOf, tellDifferences } from './signed-part.ts';
import type { TreeListing } from './tree-listing.ts';

const INFO = 'appinfo/info.xml';

/** Every apps path, and which apps of a release are in none. */
export function judgeApps(about: Case): void {
  const { notes, shipped, evidence } = about;
  const seen = new Set<string>();
  for (const { path, listing } of evidence.appsPaths) {
    judgeFolder(path, listing ?? part(evidence.tree, posix.relative(evidence.root, path)), about, seen);
  }
  for (const id of shipped) {
    if (seen.has(id)) continue;
    const words =
      evidence.target === 'snap' && id === 'updatenotification'
        ? 'the snap leaves it out on purpose'
        : 'comes with every release and is not there; some kinds of installation leave one out';
    notes.remark('app_absent', `${evidence.root}/apps/${id}`, words);
  }
}

function judgeFolder(path: string, listing: TreeListing, about: Case, seen: Set<string>): void {
  const { notes } = about;
  for (const name of [...listing.files.keys()].filter((one) => !one.includes('/'))) {
    const mark = markOf(listing, name);
    if (mark !== null) notes.saw('apps', `${path}/${name}`, mark);
    if (CODE.test(name)) notes.find('foreign_code', 'apps', `${path}/${name}`, { mark });
  }
  for (const [name, target] of listing.links) {
    if (name.includes('/')) continue;
    const words = `a link to ${JSON.stringify(target)}, whose files were not looked at`;
    notes.find('foreign_code', 'apps', `${path}/${name}`, { words, mark: markOf(listing, name) });
  }
  for (const [id, app] of [...partsOf(listing)].sort(([a], [b]) => (a < b ? -1 : 1))) {
    seen.add(id);
    judgeApp({ id, path: `${path}/${id}`, listing: app }, about);
  }
}

function judgeApp(app: SignedPart, about: Case): void {
  const { id, path, listing } = app;
  const { notes, shipped } = about;
  const hasList = listing.files.has('appinfo/signature.json');
  if (id === APP_ID) judgeOwnApp(app, about);
  else if (!listing.files.has(INFO) && !hasList) judgeOpenPlace({ listing, path, part: 'apps' }, about);
  else if (shipped.has(id) || hasList) judgeSignedApp(app, about);
  else {
    notes.remark('unsigned_app', path, `${id} has no signed list: nothing can be said about its files`);
    sawApp(app, about);
  }
}

function judgeSignedApp(app: SignedPart, about: Case): void {
  const { id, path, listing } = app;
  const { notes, shipped } = about;
  const list = signedListOf(app, about);
  if (list === null) {
    sawApp(app, about);
    return;
  }
  const info = textOf(listing, INFO);
  const isSignedInfo = info !== null && list.hashes.get(INFO) === listing.files.get(INFO);
  notes.apps.set(path, { version: isSignedInfo ? versionIn(info) : null, signer: list.signer });
  if (shipped.has(id) && list.signer !== 'core') {
    const words = `${id} belongs to the server and must be signed by "core", not by "${list.signer}"`;
    const mark = markOf(listing, 'appinfo/signature.json');
    notes.find('signature_refused', `app ${id}`, `${path}/appinfo/signature.json`, { words, mark });
  }
  tellDifferences(app, compareListing(withLinks(listing.files, listing, path), list, { kind: 'app' }), about);
  judgeFit(app, info, about);
}

/** Without a list that holds, all of it is for the baseline. */
function sawApp({ id, path, listing }: SignedPart, { notes }: Case): void {
  notes.apps.set(path, { version: versionIn(textOf(listing, INFO)), signer: null });
  sawAll(listing, path, `app ${id}`, notes);
}

/** An older app that says itself it does not fit; an older one of the same Nextcloud looks like any other. */
function judgeFit({ id, path, listing }: SignedPart, info: string | null, { notes, version, shipped }: Case): void {
  const wish = /<nextcloud\s[^>]*>/.exec(info ?? '')?.[0] ?? '';
  const [min, max] = ['min', 'max'].map(
    (end) => new RegExp(`\\b${end}-version="([0-9]{1,3})(\\.[0-9.]+)?"`).exec(wish)?.[1],
  );
  const major = version?.major;
  if (major === undefined || !shipped.has(id)) return;
  if ((min !== undefined && Number(min) > major) || (max !== undefined && Number(max) < major)) {
    const words = `${id} is the one of Nextcloud ${min ?? ''}${max === min ? '' : `-${max ?? ''}`}, and this is ${major}`;
    notes.find('other_version', `app ${id}`, `${path}/${INFO}`, { words, mark: markOf(listing, INFO) });
  }
}
