import { sha512, UNSIGNED_FOLDERS } from '../vendor/vendor-tree.ts';
import type { Case } from './case.ts';
import { markOf, part } from './listing-parts.ts';
import type { Notebook } from './notebook.ts';
import type { TreeListing } from './tree-listing.ts';
import { ruleMark, strangeRules } from './web-rules.ts';

/** What a web server or PHP takes for code, or for orders where to find some. */
export const CODE = /(\.(php[0-9]?|phtml|pht|phps|phar|inc)|(^|\/)\.(user\.ini|htaccess))$/i;

const UPDATER = 'the updater replaces itself, and no list covers it: compare it with the release, or delete updater/';

/** Files of every release that no list covers. */
const UNSIGNED_FILES: ReadonlyMap<string, string> = new Map([
  ['updater/index.php', UPDATER],
  ['updater/updater.phar', UPDATER],
  [
    'themes/example/defaults.php',
    'in every release, and in no signed list; it runs when config.php chooses the theme "example"',
  ],
]);

/** A folder without a signed list. */
export interface OpenPlace {
  readonly listing: TreeListing;
  readonly path: string;
  /** What its findings belong to. */
  readonly part: string;
  /** Its name below the root, where releases put files of their own. */
  readonly below?: string;
}

/** The folders of the root that nobody signed; apps paths are judged by themselves. */
export function judgeOpenPlaces(about: Case): void {
  const { root, tree, appsPaths, config, data } = about.evidence;
  const apps = new Set(appsPaths.map(({ path }) => path));
  for (const name of UNSIGNED_FOLDERS) {
    if (apps.has(`${root}/${name}`)) continue;
    const listing = part(tree, name);
    if (name === 'config') judgeConfigFolder(listing, `${root}/config`, about);
    else judgeOpenPlace({ listing, path: `${root}/${name}`, part: name, below: name }, about);
  }
  if (config?.listing != null) judgeConfigFolder(config.listing, config.path, about);
  if (data !== null) judgeOpenPlace({ listing: data.listing, path: data.path, part: 'data' }, about);
}

function judgeConfigFolder(listing: TreeListing, path: string, about: Case): void {
  const { config, settings } = about.evidence;
  const judgedAsSettings = config?.path === path ? ['config.php', ...(settings?.code.keys() ?? [])] : [];
  // config.php itself changes by itself: its values are Nextcloud's, and the rest of it is judged as settings
  const kept = without(listing, (name) => config?.path === path && name === 'config.php');
  sawAll(kept, path, 'config', about.notes);
  const known = new Set(['config.sample.php', ...judgedAsSettings]);
  const rest = without(listing, (name) => known.has(name));
  judgeCode({ listing: rest, path, part: 'config' }, about);
  if (listing.files.has('config.sample.php')) {
    const words = 'in every release, and in no signed list; nothing runs it';
    about.notes.remark('unsigned_file', `${path}/config.sample.php`, words);
  }
}

function without(listing: TreeListing, isOut: (name: string) => boolean): TreeListing {
  return { ...listing, files: new Map([...listing.files].filter(([name]) => !isOut(name))) };
}

/** A folder without a signed list: whatever could run there is named, and everything is kept for the next time. */
export function judgeOpenPlace(place: OpenPlace, about: Case): void {
  sawAll(place.listing, place.path, place.part, about.notes);
  judgeCode(place, about);
}

function judgeCode({ listing, path, part: owner, below }: OpenPlace, about: Case): void {
  const { notes } = about;
  for (const [name, hash] of listing.files) {
    if (!CODE.test(name)) continue;
    const known = below === undefined ? undefined : UNSIGNED_FILES.get(`${below}/${name}`);
    const content = listing.texts.get(name);
    if (known !== undefined) notes.remark('unsigned_file', `${path}/${name}`, known);
    else if (name === '.htaccess' && content !== undefined && sha512(content) === hash) {
      tellRules(about, { text: content.toString('latin1'), path: `${path}/${name}`, part: owner, place: 'shut' });
    } else notes.find('foreign_code', owner, `${path}/${name}`, { mark: markOf(listing, name) });
  }
  for (const name of listing.links.keys()) {
    if (CODE.test(name)) {
      notes.find('foreign_code', owner, `${path}/${name}`, { words: 'a link', mark: markOf(listing, name) });
    }
  }
}

/** Rules for the web server: those that Nextcloud does not write are named, and all are kept for the next time. */
export function tellRules(
  { notes }: Case,
  rules: { readonly text: string; readonly path: string; readonly part: string; readonly place: 'root' | 'shut' },
): void {
  const mark = ruleMark(rules.text);
  notes.saw(rules.part, rules.path, mark);
  const lines = strangeRules(rules.text, rules.place);
  if (lines.length === 0) return;
  const where = rules.place === 'root' ? 'below the marker, line' : 'line';
  const words = `Nextcloud does not write this: ${where} ${lines.slice(0, 8).join(', ')}`;
  notes.find('web_server_rule', rules.part, rules.path, { words, mark });
}

/** Keeps everything of a folder for the next time. */
export function sawAll(listing: TreeListing, path: string, owner: string, notes: Notebook): void {
  for (const [name, hash] of listing.files) notes.saw(owner, `${path}/${name}`, hash === '' ? 'unread' : hash);
  for (const [name, target] of listing.links) notes.saw(owner, `${path}/${name}`, `link to ${target}`);
}
