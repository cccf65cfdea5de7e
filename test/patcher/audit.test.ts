import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import forge from 'node-forge';
import { beforeAll, describe, expect, it } from 'vitest';
import { judgeApps } from '../../patcher/audit/apps-part.ts';
import { openCase } from '../../patcher/audit/case.ts';
import type { Evidence } from '../../patcher/audit/evidence.ts';
import { judge } from '../../patcher/audit/judge.ts';
import { listTree } from '../../patcher/audit/list-tree.ts';
import { Notebook } from '../../patcher/audit/notebook.ts';
import type { SettingsLook } from '../../patcher/audit/settings-look.ts';
import type { TreeListing } from '../../patcher/audit/tree-listing.ts';
import type { Finding, Verdict } from '../../patcher/audit/verdict.ts';
import { ruleMark } from '../../patcher/audit/web-rules.ts';
import { patchFile } from '../../patcher/hooks/file-patch.ts';
import { type HookDefinition, readHook } from '../../patcher/hooks/hook-definition.ts';
import { openLocalTransport } from '../../patcher/transports/local-transport.ts';
import { listTrees, type NextcloudTree } from '../harness/nextcloud-tree.ts';

const tree = listTrees().at(-1) as NextcloudTree;
const older = listTrees()[0] as NextcloudTree;
const sha512 = (content: string | Buffer): string => createHash('sha512').update(content).digest('hex');
const marker = '#### DO NOT CHANGE ANYTHING ABOVE THIS LINE ####';

/** A listing that can be tampered with as the folder could be. */
class Tampered {
  readonly files: Map<string, string>;
  readonly links: Map<string, string>;
  readonly others: string[];
  readonly texts: Map<string, Buffer>;

  constructor(listing: TreeListing) {
    this.files = new Map(listing.files);
    this.links = new Map(listing.links);
    this.others = [...listing.others];
    this.texts = new Map(listing.texts);
  }

  write(path: string, content: string): void {
    this.files.set(path, sha512(content));
    if (/signature\.json$|info\.xml$|root\.cr[tl]$|version\.php$|\.htaccess$|\.user\.ini$/.test(path)) {
      this.texts.set(path, Buffer.from(content));
    }
  }

  text(path: string): string {
    return this.texts.get(path)?.toString('utf8') ?? '';
  }
}

const settings: SettingsLook = {
  paths: [],
  dataDirectories: ['/srv/data'],
  instanceId: 'oc1234567890',
  version: '33.0.1.2',
  unreadable: 0,
  code: new Map([['config.php', { lines: [], hash: '' }]]),
};
const ownFiles = new Map([
  ['appinfo/info.xml', sha512('<info><version>1.0.0</version></info>')],
  ['lib/Storage.php', sha512('<?php')],
]);
const nothing: TreeListing = { files: new Map(), links: new Map(), others: [], texts: new Map() };

describe.skipIf(tree === undefined)('judge() over a real release', () => {
  let released: TreeListing;
  let whole: Verdict;
  let before: Set<string>;
  let coreHook: HookDefinition;

  function evidenceOf(listing: TreeListing, more: Partial<Evidence> = {}): Evidence {
    return {
      root: '/nc',
      target: 'lamp',
      tree: listing,
      appsPaths: [{ path: '/nc/apps', listing: null }],
      config: { path: '/nc/config', listing: null },
      settings,
      data: { path: '/srv/data', listing: nothing },
      ownApp: { version: '1.0.0', files: ownFiles },
      coreHook,
      revocations: null,
      now: new Date('2026-11-20T12:00:00Z'),
      ...more,
    };
  }

  const line = ({ kind, path }: Finding): string => `${kind} ${path}`;

  /** What is found beyond what the copies of releases here lack or have too much of anyway. */
  function found(tamper: (listing: Tampered) => void, more: Partial<Evidence> = {}): string[] {
    const listing = new Tampered(released);
    tamper(listing);
    return judge(evidenceOf(listing, more))
      .verdict.findings.map(line)
      .filter((one) => !before.has(one))
      .sort();
  }

  beforeAll(async () => {
    const transport = await openLocalTransport({ prompter: null });
    coreHook = await readHook('core');
    released = (await listTree(transport, tree.folder, { read: coreHook.file })) as TreeListing;
    const installed = new Tampered(released);
    installed.write('config/config.php', '<?php\n');
    released = installed;
    whole = judge(evidenceOf(released)).verdict;
    // a few apps do for the rest
    const others = /^apps\/(?!encryption\/|files\/|dav\/)/;
    for (const map of [installed.files, installed.links, installed.texts]) {
      for (const name of map.keys()) if (others.test(name)) map.delete(name);
    }
    before = new Set(whole.findings.map(line));
  }, 120_000);

  it('names planted lines in core and in an app', () => {
    const planted = found((listing) => {
      listing.write('lib/private/Encryption/Manager.php', '<?php // and one line more');
      listing.write('apps/encryption/lib/KeyManager.php', '<?php // writes the key to a file');
    });
    expect(planted).toEqual([
      'changed /nc/apps/encryption/lib/KeyManager.php',
      'changed /nc/lib/private/Encryption/Manager.php',
    ]);
  });

  it('names files that were added to core or to a signed app, whatever their names', () => {
    const planted = found((listing) => {
      listing.write('core/evil.php', '<?php');
      listing.write('evil.txt', 'in the root');
      listing.write('apps/files/lib/a\nb\\c.php', '<?php');
    });
    expect(planted).toEqual(['added /nc/apps/files/lib/a\nb\\c.php', 'added /nc/core/evil.php', 'added /nc/evil.txt']);
  });

  it('names a file that was taken away, and one that could not be read', () => {
    const planted = found((listing) => {
      listing.files.delete('lib/private/IntegrityCheck/Checker.php');
      listing.files.set('lib/base.php', '');
    });
    expect(planted).toEqual(['missing /nc/lib/private/IntegrityCheck/Checker.php', 'unreadable /nc/lib/base.php']);
  });

  it('names code in places that nobody signed', () => {
    const planted = found(
      (listing) => {
        listing.write('config/evil.php', '<?php');
        listing.write('config/.user.ini', 'auto_prepend_file=/tmp/x');
        listing.write('themes/mine/core/x.phtml', '<?php');
        listing.write('updater/more.php', '<?php');
        listing.write('assets/x.phar', '');
        listing.write('apps/shell.php', '<?php');
        listing.write('apps/noapp/x.php', '<?php');
        listing.write('apps/noapp/picture.png', '');
      },
      { data: { path: '/srv/data', listing: { ...nothing, files: new Map([['admin/x.php', sha512('')]]) } } },
    );
    expect(planted).toEqual([
      'foreign_code /nc/apps/noapp/x.php',
      'foreign_code /nc/apps/shell.php',
      'foreign_code /nc/assets/x.phar',
      'foreign_code /nc/config/.user.ini',
      'foreign_code /nc/config/evil.php',
      'foreign_code /nc/themes/mine/core/x.phtml',
      'foreign_code /nc/updater/more.php',
      'foreign_code /srv/data/admin/x.php',
    ]);
  });

  it('names settings that are more than values, and only tells of those that are values', () => {
    const code = new Map([
      ['config.php', { lines: [3], hash: 'a' }],
      ['evil.config.php', { lines: [1, 2], hash: 'b' }],
      ['redis.config.php', { lines: [], hash: '' }],
    ]);
    const listing = new Tampered(released);
    listing.write('config/evil.config.php', '<?php');
    listing.write('config/redis.config.php', '<?php');
    const { verdict } = judge(evidenceOf(listing, { settings: { ...settings, code } }));
    const lines = verdict.findings.map(line).filter((one) => !before.has(one));
    expect(lines).toEqual(['settings_code /nc/config/config.php', 'foreign_code /nc/config/evil.config.php']);
    expect(verdict.remarks).toContainEqual(
      expect.objectContaining({ kind: 'settings_file', path: '/nc/config/redis.config.php' }),
    );
  });

  it('names a changed .user.ini, and rules in .htaccess that Nextcloud does not write', () => {
    const rule = 'php_value auto_prepend_file /tmp/x.php\n';
    const planted = found((listing) => {
      listing.write('.user.ini', `${readFileSync(join(tree.folder, '.user.ini'), 'utf8')}auto_prepend_file=/tmp/x\n`);
      listing.write('.htaccess', `${listing.text('.htaccess')}\n${rule}`);
      listing.write('config/.htaccess', `${listing.text('config/.htaccess')}\n${rule}`);
    });
    expect(planted).toEqual([
      'changed /nc/.user.ini',
      'web_server_rule /nc/.htaccess',
      'web_server_rule /nc/config/.htaccess',
    ]);
    expect(found((listing) => listing.write('.htaccess', rule + listing.text('.htaccess')))).toEqual([
      'changed /nc/.htaccess',
    ]);
  });

  it('does not take a text for a file that has other bytes', () => {
    const shown = new Tampered(released).text('.htaccess');
    const planted = found((listing) => {
      listing.write('.htaccess', 'php_value auto_prepend_file /tmp/x.php\n');
      listing.texts.set('.htaccess', Buffer.from(shown));
      listing.write('core/signature.json', 'something else');
      listing.texts.set('core/signature.json', released.texts.get('core/signature.json') ?? Buffer.alloc(0));
    });
    expect(planted).toContain('signature_missing /nc/core/signature.json');
  });

  it('takes the rules that Nextcloud writes below the marker', () => {
    const written = [
      'ErrorDocument 403 /cloud/index.php/error/403',
      'ErrorDocument 404 /cloud/index.php/error/404',
      '<IfModule mod_rewrite.c>',
      '  Options -MultiViews',
      '  RewriteRule ^core/js/oc.js$ index.php [PT,E=PATH_INFO:$1]',
      '  RewriteCond %{REQUEST_FILENAME} !/core/ajax/update\\.php',
      '  RewriteRule . index.php [PT,E=PATH_INFO:$1]',
      '  RewriteBase /cloud',
      '  <IfModule mod_env.c>',
      '    SetEnv front_controller_active true',
      '    <IfModule mod_dir.c>',
      '      DirectorySlash off',
      '    </IfModule>',
      '  </IfModule>',
      '</IfModule>',
    ].join('\n');
    const rewritten = (listing: Tampered): void =>
      listing.write('.htaccess', `${listing.text('.htaccess').split(marker)[0]}${marker}\n\n${written}\n`);
    expect(found(rewritten)).toEqual([]);
  });

  it('refuses a list that somebody signed anew, and says that its files could not be compared', () => {
    const keys = forge.pki.rsa.generateKeyPair(2048);
    const certificate = forge.pki.createCertificate();
    certificate.publicKey = keys.publicKey;
    certificate.validity.notBefore = new Date('2016-01-01T00:00:00Z');
    certificate.validity.notAfter = new Date('2041-01-01T00:00:00Z');
    certificate.setSubject([{ name: 'commonName', value: 'core' }]);
    certificate.setIssuer([{ name: 'commonName', value: 'Nextcloud Code Signing Intermediate Authority' }]);
    certificate.sign(keys.privateKey, forge.md.sha256.create());
    const pem = forge.pki.certificateToPem(certificate);
    const resign = (listing: Tampered, name: string): void => {
      const list = JSON.parse(listing.text(name)) as { hashes: Record<string, string>; certificate: string };
      listing.write(name, JSON.stringify({ ...list, certificate: pem }));
    };
    expect(found((listing) => resign(listing, 'core/signature.json'))).toEqual([
      'signature_refused /nc/core/signature.json',
    ]);
    expect(found((listing) => resign(listing, 'apps/dav/appinfo/signature.json'))).toEqual([
      'signature_refused /nc/apps/dav/appinfo/signature.json',
    ]);
    // with an authority of the forger's own beside it
    const replaced = found((listing) => {
      listing.write('resources/codesigning/root.crt', pem);
      resign(listing, 'core/signature.json');
    });
    expect(replaced).toContain('signature_refused /nc/core/signature.json');
    expect(replaced).toContain('signature_refused /nc/apps/encryption/appinfo/signature.json');
  });

  it('does not take the valid list of another app, nor none, for an app that belongs to the server', () => {
    const swapped = found((listing) => {
      listing.write('apps/dav/appinfo/signature.json', listing.text('apps/files/appinfo/signature.json'));
    });
    expect(swapped).toContain('missing /nc/apps/dav/lib/App.php');
    expect(swapped).toContain('added /nc/apps/dav/lib/Server.php');
    expect(found((listing) => listing.files.delete('apps/dav/appinfo/signature.json'))).toEqual([
      'signature_missing /nc/apps/dav/appinfo/signature.json',
    ]);
  });

  it('notices an app of the server that lies in another apps path too, without a list', () => {
    const custom = new Tampered(nothing);
    custom.write('encryption/appinfo/info.xml', '<info><version>99.0.0</version></info>');
    custom.write('encryption/lib/KeyManager.php', '<?php');
    const appsPaths = [
      { path: '/nc/apps', listing: null },
      { path: '/srv/apps', listing: custom },
    ];
    expect(found(() => undefined, { appsPaths })).toEqual([
      'signature_missing /srv/apps/encryption/appinfo/signature.json',
    ]);
  });

  it('names a foreign app without a list and does not condemn it', () => {
    const listing = new Tampered(released);
    listing.write('apps/notes/appinfo/info.xml', '<info/>');
    listing.write('apps/notes/lib/Notes.php', '<?php');
    const { verdict } = judge(evidenceOf(listing));
    expect(verdict.findings.map(line).filter((one) => !before.has(one))).toEqual([]);
    expect(verdict.remarks).toContainEqual(expect.objectContaining({ kind: 'unsigned_app', path: '/nc/apps/notes' }));
  });

  it('tells of an app of every release that is not there', () => {
    const absent = judge(evidenceOf(released)).verdict.remarks.filter(({ kind }) => kind === 'app_absent');
    const [first, ...others] = absent.map(({ path }) => path).sort();
    expect(first).toBe('/nc/apps/activity');
    expect(others.length).toBeGreaterThan(45);
    expect(others).not.toContain('/nc/apps/encryption');
    expect(whole.remarks.filter(({ kind }) => kind === 'app_absent')).toEqual([]);
  });

  it('compares our own app with what this ncpatch would deploy', () => {
    const own = (listing: Tampered): void => {
      listing.write('apps/remotekeystorage/appinfo/info.xml', '<info><version>1.0.0</version></info>');
      listing.write('apps/remotekeystorage/lib/Storage.php', '<?php');
    };
    expect(found(own)).toEqual([]);
    const changed = found((listing) => {
      own(listing);
      listing.write('apps/remotekeystorage/lib/Storage.php', '<?php // gives the key away');
      listing.write('apps/remotekeystorage/lib/More.php', '<?php');
      listing.write('apps/remotekeystorage/appinfo/signature.json', '{}');
    });
    expect(changed).toEqual([
      'own_app_differs /nc/apps/remotekeystorage/appinfo/signature.json',
      'own_app_differs /nc/apps/remotekeystorage/lib/More.php',
      'own_app_differs /nc/apps/remotekeystorage/lib/Storage.php',
    ]);
  });

  it('names links out of the tree and into the data directory, and lets those of the release and of the owner be', () => {
    const planted = found(
      (listing) => {
        listing.links.set('core/x', '../../etc');
        listing.links.set('themes/y', '/srv/data/admin/files');
        for (const name of ['.htaccess', 'config.php', 'config.sample.php']) listing.files.delete(`config/${name}`);
        listing.links.set('config', '/etc/nextcloud');
        listing.links.set('apps/linked', '../config');
        listing.others.push('core/pipe');
      },
      { config: { path: '/etc/nextcloud', listing: nothing } },
    );
    expect(planted).toEqual([
      'added /nc/core/x',
      'foreign_code /nc/apps/linked',
      'link_outside /nc/core/x',
      'link_outside /nc/themes/y',
      'special_file /nc/core/pipe',
    ]);
  });

  it('tells an older tree by config.php, an older list by version.php, and an older app by what it says it fits', () => {
    const ran = { ...settings, version: '34.0.0.1' };
    expect(found(() => undefined, { settings: ran })).toEqual(['other_version /nc/version.php']);
    expect(
      judge(evidenceOf(released, { settings: { ...settings, version: '33.0.0.9' } })).verdict.remarks,
    ).toContainEqual(expect.objectContaining({ kind: 'upgrade_waits' }));
    const mixed = found((listing) => {
      const read = (path: string): string => readFileSync(join(older.folder, path), 'utf8');
      listing.write('core/signature.json', read('core/signature.json'));
      listing.write('apps/dav/appinfo/info.xml', read('apps/dav/appinfo/info.xml'));
    });
    expect(mixed).toContain('other_version /nc/version.php');
    expect(mixed).toContain('other_version /nc/apps/dav/appinfo/info.xml');
  });

  it('takes exactly our own patch of a signed file for no change, and says so', () => {
    const { file } = coreHook;
    const patched = patchFile(coreHook, readFileSync(join(tree.folder, file)), 33).toString('utf8');
    const look = (text: string) => {
      const listing = new Tampered(released);
      listing.files.set(file, sha512(text));
      listing.texts.set(file, Buffer.from(text));
      return judge(evidenceOf(listing)).verdict;
    };
    const own = look(patched);
    expect(own.findings.map(line).filter((one) => !before.has(one))).toEqual([]);
    expect(own.remarks).toContainEqual(expect.objectContaining({ kind: 'own_patch', path: `/nc/${file}` }));
    const more = look(patched.replace(/core-hook\.php/, 'core-hook.php.bak'));
    expect(more.findings.map(line).filter((one) => !before.has(one))).toEqual([`changed /nc/${file}`]);
    expect(found((listing) => listing.files.set(file, sha512('what was hashed is another file')))).toEqual([
      `changed /nc/${file}`,
    ]);
  });

  it('knows no app whose certificate was revoked, and keeps its files for the baseline', () => {
    const notes = new Notebook();
    const real = openCase(evidenceOf(released), notes);
    expect(real.revocations?.revoked.size).toBeGreaterThan(80);
    const revoked = new Map([['1000', new Date('2026-01-02T00:00:00Z')]]);
    const about = { ...real, revocations: { number: 5000, madeAt: new Date(), revoked, pem: '' } };
    judgeApps(about);
    const path = '/nc/apps/encryption';
    expect(notes.findings).toContainEqual({
      kind: 'certificate_revoked',
      path: `${path}/appinfo/signature.json`,
      part: 'app encryption',
      words: 'its certificate 1000 was revoked on 2026-01-02 (list 5000): nothing can be said about its files',
      mark: released.files.get('apps/encryption/appinfo/signature.json'),
    });
    expect(notes.verified).toEqual([]);
    expect(notes.open.get('app encryption')?.has(`${path}/lib/KeyManager.php`)).toBe(true);
  });

  it('goes by the newest list of revoked certificates, and refuses one that was tampered with', () => {
    const crl = (of: NextcloudTree): string => readFileSync(join(of.folder, 'resources/codesigning/root.crl'), 'utf8');
    const old = new Tampered(released);
    old.write('resources/codesigning/root.crl', crl(older));
    const { verdict, seen } = judge(evidenceOf(old, { revocations: crl(tree) }));
    expect(verdict.remarks).toContainEqual(expect.objectContaining({ kind: 'older_revocations' }));
    expect(seen.revocations).toBe(crl(tree));
    expect(judge(evidenceOf(released, { revocations: crl(older) })).seen.revocations).toBe(crl(tree));
    const forged = crl(tree).replace('AgIQ', 'AgIR');
    expect(found((listing) => listing.write('resources/codesigning/root.crl', forged))).toEqual([
      'changed /nc/resources/codesigning/root.crl',
      'signature_refused /nc/resources/codesigning/root.crl',
    ]);
    const gone = new Tampered(released);
    gone.files.delete('resources/codesigning/root.crl');
    expect(judge(evidenceOf(gone, { revocations: crl(tree) })).seen.revocations).toBe(crl(tree));
  });

  it('keeps for a baseline what no list covers, and nothing that one covers', () => {
    const listing = new Tampered(released);
    listing.write('apps/notes/appinfo/info.xml', '<info><version>4.9.0-beta.1</version></info>');
    listing.write('apps/notes/img/icon.svg', '<svg/>');
    listing.write('config/more.config.php', '<?php');
    listing.links.set('themes/mine', '/srv/theme');
    const { seen } = judge(evidenceOf(listing));
    expect(seen.core).toBe('33.0.1.2');
    expect(seen.apps.get('/nc/apps/notes')).toEqual({ version: '4.9.0-beta.1', signer: null });
    expect(seen.apps.get('/nc/apps/encryption')).toMatchObject({
      signer: 'core',
      version: expect.stringMatching(/^2/),
    });
    expect([...(seen.open.get('app notes') ?? [])].map(([path]) => path)).toEqual([
      '/nc/apps/notes/appinfo/info.xml',
      '/nc/apps/notes/img/icon.svg',
    ]);
    expect(seen.open.get('themes')?.get('/nc/themes/mine')).toBe('link to /srv/theme');
    expect(seen.open.get('updater')?.has('/nc/updater/updater.phar')).toBe(true);
    expect([...(seen.open.get('config')?.keys() ?? [])].sort()).toEqual([
      '/nc/config/.htaccess',
      '/nc/config/config.sample.php',
      '/nc/config/more.config.php',
    ]);
    expect([...(seen.open.get('core') ?? [])].map(([path]) => path)).toEqual(['/nc/.htaccess']);
    const unsigned = new Tampered(released);
    unsigned.files.delete('core/signature.json');
    const { seen: all } = judge(evidenceOf(unsigned));
    expect(all.core).toBeNull();
    expect(all.open.get('core')?.has('/nc/lib/base.php')).toBe(true);
    expect(all.open.get('core')?.has('/nc/apps/files/lib/App.php')).toBe(false);
  });

  it('takes it for the same rules when only a comment differs, and for others when one is gone', () => {
    const rules = released.texts.get('config/.htaccess')?.toString() ?? '';
    expect(ruleMark(`# Generated by Nextcloud on 2026-11-21\n${rules}`)).toBe(ruleMark(rules));
    expect(ruleMark(rules.replace('Require all denied', ''))).not.toBe(ruleMark(rules));
  });

  it('finds nothing in a release but what the copies of it here lack', () => {
    const verdict = whole;
    const kinds = new Set(verdict.findings.map(({ kind }) => kind));
    expect([...kinds].filter((kind) => !['missing', 'added', 'changed'].includes(kind))).toEqual([]);
    for (const { kind, path } of verdict.findings) {
      // repositories of releases keep a file of their own beside them, and links whose targets are not kept
      if (kind === 'added') expect(path).toMatch(/^\/nc\/[A-Za-z.-]+$/);
      if (kind === 'changed') expect(path).toMatch(/\.js\.map\.license$/);
    }
    expect(verdict.verified.length).toBeGreaterThan(50);
    expect(verdict.version).toBe(tree.version);
  });
});
