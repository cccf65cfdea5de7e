import { posix } from 'node:path';
import { isLatchkeyError } from '../../platform/errors.ts';
import { APP_ID } from '../facts.ts';
import { appVersionIn } from '../targets/info-xml.ts';
import { compareVersions, parseVersionFile, type VersionFile } from '../targets/version-file.ts';
import { readSignedList } from '../vendor/vendor-signature.ts';
import { compareListing, sha512, splitHtaccess, type TreeDifference, UNSIGNED_FOLDERS } from '../vendor/vendor-tree.ts';
import { part, partsOf, textOf, withLinks } from './listing-parts.ts';
import type { SettingsLook } from './settings-look.ts';
import type { TreeListing } from './tree-listing.ts';
import type { Finding, FindingKind, Remark, Verdict } from './verdict.ts';
import { strangeRules } from './web-rules.ts';

/** Everything the judge looks at; nothing of it is taken for true but what the vendor's signature or a hash shows. */
export interface Evidence {
  readonly root: string;
  readonly tree: TreeListing;
  /** Apps paths below the root (by their absolute path) come out of `tree`; those elsewhere bring their own listing. */
  readonly appsPaths: readonly { readonly path: string; readonly listing: TreeListing | null }[];
  /** The folder of `config.php`, with its own listing where it is not `<root>/config`; `null` where there is none. */
  readonly config: { readonly path: string; readonly listing: TreeListing | null } | null;
  readonly settings: SettingsLook | null;
  /** The data directory's two uppermost levels. */
  readonly data: { readonly path: string; readonly listing: TreeListing } | null;
  /** What this ncpatch would deploy: path → SHA-512. */
  readonly ownApp: { readonly version: string; readonly files: ReadonlyMap<string, string> };
  readonly now: Date;
}

/** What a web server or PHP takes for code, or for orders where to find some. */
const CODE = /(\.(php[0-9]?|phtml|pht|phps|phar|inc)|(^|\/)\.(user\.ini|htaccess))$/i;

/** Files of every release that no list covers. */
const UNSIGNED_FILES: ReadonlyMap<string, string> = new Map([
  [
    'updater/index.php',
    'the updater replaces itself, and no list covers it: compare it with the release, or delete updater/',
  ],
  [
    'updater/updater.phar',
    'the updater replaces itself, and no list covers it: compare it with the release, or delete updater/',
  ],
  [
    'themes/example/defaults.php',
    'in every release, and in no signed list; it runs when config.php chooses the theme "example"',
  ],
]);

/** Pure: what of all this is not as it was made. */
export function judge(evidence: Evidence): Verdict {
  return new Judge(evidence).verdict();
}

class Judge {
  readonly #evidence: Evidence;
  readonly #findings: Finding[] = [];
  readonly #remarks: Remark[] = [];
  readonly #verified: string[] = [];
  readonly #appsSeen = new Set<string>();
  readonly #rootCrt: string;
  readonly #shipped: ReadonlySet<string>;
  #version: VersionFile | null = null;

  constructor(evidence: Evidence) {
    this.#evidence = evidence;
    this.#rootCrt = textOf(evidence.tree, 'resources/codesigning/root.crt') ?? '';
    this.#shipped = shippedApps(textOf(evidence.tree, 'core/shipped.json'));
  }

  verdict(): Verdict {
    const { root, tree, appsPaths, config, data } = this.#evidence;
    this.#readVersion();
    this.#core();
    for (const { path, listing } of appsPaths) {
      this.#apps(path, listing ?? part(tree, posix.relative(root, path)));
      if (listing !== null) this.#oddities(listing, path);
    }
    for (const id of this.#shipped) {
      const words = 'comes with every release and is not there; some kinds of installation leave one out';
      if (!this.#appsSeen.has(id)) this.#remark('app_absent', `${root}/apps/${id}`, words);
    }
    this.#writablePlaces();
    if (config?.listing != null) {
      this.#config(config.listing, config.path);
      this.#oddities(config.listing, config.path);
    }
    if (data !== null) this.#unsigned(data.listing, data.path, 'data');
    this.#settings();
    this.#oddities(tree, root);
    const all = [
      tree,
      ...appsPaths.flatMap(({ listing }) => listing ?? []),
      ...(config?.listing ? [config.listing] : []),
    ];
    return {
      findings: this.#findings,
      remarks: this.#remarks,
      version: this.#version?.versionString ?? null,
      verified: this.#verified,
      files: all.reduce((sum, { files }) => sum + files.size, 0),
    };
  }

  #find(kind: FindingKind, part: string, path: string, words: string | null = null): void {
    this.#findings.push({ kind, path, part, words });
  }

  #remark(kind: Remark['kind'], path: string, words: string): void {
    this.#remarks.push({ kind, path, words });
  }

  #readVersion(): void {
    const { root, tree, settings } = this.#evidence;
    try {
      this.#version = parseVersionFile(textOf(tree, 'version.php') ?? '');
    } catch (error) {
      if (!isLatchkeyError(error, 'version_unreadable')) throw error;
      this.#find('other_version', 'core', `${root}/version.php`, error.message);
      return;
    }
    const ran = settings?.version ?? null;
    if (ran === null) return;
    const order = compareVersions(this.#version.version, ran);
    const words = `the code is ${this.#version.version}, config.php says ${ran} has run`;
    if (order < 0) this.#find('other_version', 'core', `${root}/version.php`, `${words}: older code was put in place`);
    if (order > 0) this.#remark('upgrade_waits', `${root}/version.php`, words);
  }

  #core(): void {
    const { root, tree, appsPaths, data } = this.#evidence;
    const files = new Map(tree.files);
    const content = tree.texts.get('.htaccess');
    const marked = content === undefined || sha512(content) !== files.get('.htaccess') ? null : splitHtaccess(content);
    if (marked !== null) {
      files.set('.htaccess', sha512(marked.signed));
      this.#rules(marked.below, `${root}/.htaccess`, 'core', 'root');
    }
    const inside = [...appsPaths.map(({ path }) => path), ...(data === null ? [] : [data.path])]
      .map((path) => posix.relative(root, path))
      .filter((path) => path !== '' && !path.startsWith('..'));
    const list = this.#signedList(tree, root, 'core', 'core/signature.json');
    if (list === null) return;
    const ownVersion = list.hashes.get('version.php');
    if (ownVersion !== undefined && ownVersion !== files.get('version.php')) {
      const words = 'the signed list is not the one of this version, or version.php was changed';
      this.#find('other_version', 'core', `${root}/version.php`, words);
    }
    const found = compareListing(withLinks(files, tree, root), list, { kind: 'core', leaveOut: inside });
    this.#differences('core', root, tree, found);
  }

  #apps(path: string, listing: TreeListing): void {
    for (const [name] of listing.files) {
      if (!name.includes('/') && CODE.test(name)) this.#find('foreign_code', 'apps', `${path}/${name}`);
    }
    for (const [name, target] of listing.links) {
      if (!name.includes('/')) {
        const words = `a link to ${JSON.stringify(target)}, whose files were not looked at`;
        this.#find('foreign_code', 'apps', `${path}/${name}`, words);
      }
    }
    const parts = partsOf(listing);
    for (const [id, app] of [...parts].sort(([a], [b]) => (a < b ? -1 : 1))) this.#app(id, `${path}/${id}`, app);
  }

  #app(id: string, path: string, listing: TreeListing): void {
    this.#appsSeen.add(id);
    if (id === APP_ID) {
      this.#ownApp(path, listing);
      return;
    }
    if (!listing.files.has('appinfo/info.xml') && !listing.files.has('appinfo/signature.json')) {
      this.#unsigned(listing, path, 'apps');
      return;
    }
    const shipped = this.#shipped.has(id);
    if (!shipped && !listing.files.has('appinfo/signature.json')) {
      this.#remark('unsigned_app', path, `${id} has no signed list: nothing can be said about its files`);
      return;
    }
    const list = this.#signedList(listing, path, id, 'appinfo/signature.json');
    if (list === null) return;
    if (shipped && list.signer !== 'core') {
      const words = `${id} belongs to the server and must be signed by "core", not by "${list.signer}"`;
      this.#find('signature_refused', `app ${id}`, `${path}/appinfo/signature.json`, words);
    }
    const found = compareListing(withLinks(listing.files, listing, path), list, { kind: 'app' });
    this.#differences(`app ${id}`, path, listing, found);
    this.#appVersion(id, path, textOf(listing, 'appinfo/info.xml'));
  }

  /** An older app that says itself it does not fit; an older one of the same Nextcloud looks like any other. */
  #appVersion(id: string, path: string, info: string | null): void {
    const wish = /<nextcloud\s[^>]*>/.exec(info ?? '')?.[0] ?? '';
    const [min, max] = ['min', 'max'].map(
      (end) => new RegExp(`\\b${end}-version="([0-9]{1,3})(\\.[0-9.]+)?"`).exec(wish)?.[1],
    );
    const major = this.#version?.major;
    if (major === undefined || !this.#shipped.has(id)) return;
    if ((min !== undefined && Number(min) > major) || (max !== undefined && Number(max) < major)) {
      const words = `${id} is the one of Nextcloud ${min ?? ''}${max === min ? '' : `-${max ?? ''}`}, and this is ${major}`;
      this.#find('other_version', `app ${id}`, `${path}/appinfo/info.xml`, words);
    }
  }

  #ownApp(path: string, listing: TreeListing): void {
    const { ownApp } = this.#evidence;
    const here = appVersionIn(textOf(listing, 'appinfo/info.xml') ?? '');
    const difference = compareListing(
      withLinks(listing.files, listing, path),
      { hashes: ownApp.files },
      { kind: 'app' },
    );
    const names = { changed: 'changed', extra: 'added', missing: 'missing' } as const;
    for (const how of ['changed', 'extra', 'missing'] as const) {
      for (const name of difference[how]) this.#find('own_app_differs', `app ${APP_ID}`, `${path}/${name}`, names[how]);
    }
    if (here !== ownApp.version) {
      const words = `it is ${here ?? 'of no version'}, this ncpatch brings ${ownApp.version}: audit with the ncpatch that put it there, or run ncpatch apply`;
      this.#find('own_app_differs', `app ${APP_ID}`, `${path}/appinfo/info.xml`, words);
    }
    if (listing.files.has('appinfo/signature.json')) {
      this.#find('own_app_differs', `app ${APP_ID}`, `${path}/appinfo/signature.json`, 'added');
    }
  }

  #signedList(listing: TreeListing, path: string, id: string, name: string) {
    const owner = id === 'core' ? 'core' : `app ${id}`;
    const text = textOf(listing, name);
    if (text === null) {
      this.#find('signature_missing', owner, `${path}/${name}`, 'nothing can be said about its files');
      return null;
    }
    try {
      const list = readSignedList(text, { id, rootCrt: this.#rootCrt, now: this.#evidence.now });
      this.#verified.push(id);
      return list;
    } catch (error) {
      if (!isLatchkeyError(error, 'vendor_signature_invalid')) throw error;
      this.#find(
        'signature_refused',
        owner,
        `${path}/${name}`,
        `${error.message}: nothing can be said about its files`,
      );
      return null;
    }
  }

  #differences(owner: string, path: string, listing: TreeListing, difference: TreeDifference): void {
    for (const name of difference.changed) {
      const link = listing.links.get(name);
      const regenerated = owner === 'core' && name === 'core/js/mimetypelist.js';
      const words =
        link !== undefined
          ? `a link to ${JSON.stringify(link)}`
          : regenerated
            ? 'occ maintenance:mimetype:update-js writes this file anew; look whether somebody did'
            : null;
      this.#find(listing.files.get(name) === '' ? 'unreadable' : 'changed', owner, `${path}/${name}`, words);
    }
    for (const name of difference.extra) this.#find('added', owner, `${path}/${name}`);
    for (const name of difference.missing) this.#find('missing', owner, `${path}/${name}`);
  }

  /** The folders of the root that nobody signed; apps paths are judged by themselves. */
  #writablePlaces(): void {
    const { root, tree, appsPaths } = this.#evidence;
    const apps = new Set(appsPaths.map(({ path }) => path));
    for (const name of UNSIGNED_FOLDERS) {
      if (apps.has(`${root}/${name}`)) continue;
      const listing = part(tree, name);
      if (name === 'config') this.#config(listing, `${root}/config`);
      else this.#unsigned(listing, `${root}/${name}`, name, name);
    }
  }

  #config(listing: TreeListing, path: string): void {
    const { config, settings } = this.#evidence;
    const judgedAsSettings = config?.path === path ? ['config.php', ...(settings?.code.keys() ?? [])] : [];
    const known = new Set(['config.sample.php', ...judgedAsSettings]);
    const rest = new Map([...listing.files].filter(([name]) => !known.has(name)));
    this.#unsigned({ ...listing, files: rest }, path, 'config');
    if (listing.files.has('config.sample.php')) {
      this.#remark(
        'unsigned_file',
        `${path}/config.sample.php`,
        'in every release, and in no signed list; nothing runs it',
      );
    }
  }

  #settings(): void {
    const { config, settings, root } = this.#evidence;
    if (config === null) {
      const words = 'there is no config.php for it: apps paths and the data directory are not known';
      this.#remark('not_installed', root, words);
      return;
    }
    if (settings === null) {
      this.#find('unreadable', 'config', config.path, 'the settings could not be read: use --sudo');
      return;
    }
    for (const [name, lines] of settings.code) {
      const path = `${config.path}/${name}`;
      if (lines.length === 0) {
        if (name !== 'config.php')
          this.#remark('settings_file', path, 'read beside config.php; it holds plain values only');
      } else {
        const shown = `${lines.slice(0, 8).join(', ')}${lines.length > 8 ? ', …' : ''}`;
        const words = `runs with every request, and line ${shown} is more than plain values`;
        this.#find(name === 'config.php' ? 'settings_code' : 'foreign_code', 'config', path, words);
      }
    }
    if (settings.unreadable > 0) {
      const words =
        'a path in it is put together by code and could not be read: an apps path or the data directory may be missing here';
      this.#remark('not_looked_at', config.path, words);
    }
  }

  /** A folder without a signed list: whatever could run there is named. */
  #unsigned(listing: TreeListing, path: string, owner: string, below = ''): void {
    for (const [name, hash] of listing.files) {
      if (!CODE.test(name)) continue;
      const known = UNSIGNED_FILES.get(below === '' ? '' : `${below}/${name}`);
      const content = listing.texts.get(name);
      if (known !== undefined) this.#remark('unsigned_file', `${path}/${name}`, known);
      else if (name === '.htaccess' && content !== undefined && sha512(content) === hash) {
        this.#rules(content.toString('latin1'), `${path}/${name}`, owner, 'shut');
      } else this.#find('foreign_code', owner, `${path}/${name}`);
    }
    for (const name of listing.links.keys()) {
      if (CODE.test(name)) this.#find('foreign_code', owner, `${path}/${name}`, 'a link');
    }
  }

  #rules(text: string, path: string, owner: string, place: 'root' | 'shut'): void {
    const lines = strangeRules(text, place);
    if (lines.length === 0) return;
    const where = place === 'root' ? 'below the marker, line' : 'line';
    this.#find(
      'web_server_rule',
      owner,
      path,
      `Nextcloud does not write this: ${where} ${lines.slice(0, 8).join(', ')}`,
    );
  }

  /** Links that lead out of the tree, and what is no file at all. */
  #oddities(listing: TreeListing, root: string): void {
    const { config, data, appsPaths } = this.#evidence;
    const meant = new Set([config?.path, data?.path, ...appsPaths.map(({ path }) => path)]);
    for (const [name, target] of listing.links) {
      const leads = posix.resolve(root, posix.dirname(name), target);
      const inside = leads === root || leads.startsWith(`${root}/`);
      const toData = data !== null && (leads === data.path || leads.startsWith(`${data.path}/`));
      if ((inside && !toData) || meant.has(leads) || meant.has(`${root}/${name}`)) continue;
      this.#find('link_outside', 'links', `${root}/${name}`, `leads to ${JSON.stringify(target)}`);
    }
    for (const name of listing.others)
      this.#find('special_file', 'links', `${root}/${name}`, 'a pipe, socket or device');
  }
}

function shippedApps(text: string | null): ReadonlySet<string> {
  try {
    const value = (JSON.parse(text ?? '') as { shippedApps?: unknown }).shippedApps;
    return new Set(Array.isArray(value) ? value.filter((id) => typeof id === 'string') : []);
  } catch {
    return new Set(); // core/shipped.json is signed: its damage is told as a changed file
  }
}
