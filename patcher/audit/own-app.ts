import { APP_ID } from '../facts.ts';
import { appVersionIn } from '../targets/info-xml.ts';
import { compareListing } from '../vendor/vendor-tree.ts';
import type { Case } from './case.ts';
import { markOf, textOf, withLinks } from './listing-parts.ts';
import type { SignedPart } from './signed-part.ts';

/** The app that this ncpatch deploys, compared with what it would deploy now. */
export function judgeOwnApp({ path, listing }: SignedPart, { notes, evidence }: Case): void {
  const { ownApp } = evidence;
  const tell = (name: string, words: string): void =>
    notes.find('own_app_differs', `app ${APP_ID}`, `${path}/${name}`, { words, mark: markOf(listing, name) });
  const here = appVersionIn(textOf(listing, 'appinfo/info.xml') ?? '');
  const difference = compareListing(withLinks(listing.files, listing, path), { hashes: ownApp.files }, { kind: 'app' });
  const names = { changed: 'changed', extra: 'added', missing: 'missing' } as const;
  for (const how of ['changed', 'extra', 'missing'] as const) {
    for (const name of difference[how]) tell(name, names[how]);
  }
  if (here !== ownApp.version) {
    const words = `it is ${here ?? 'of no version'}, this ncpatch brings ${ownApp.version}: audit with the ncpatch that put it there, or run ncpatch apply`;
    tell('appinfo/info.xml', words);
  }
  if (listing.files.has('appinfo/signature.json')) tell('appinfo/signature.json', 'added');
}
