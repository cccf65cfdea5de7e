import { appendFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditReport } from '../../patcher/audit/audit.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { NextcloudFiles } from '../harness/nextcloud-files.ts';
import { listTrees, type NextcloudTree } from '../harness/nextcloud-tree.ts';
import { runNcpatch } from './ncpatch-run.ts';

const tree = listTrees().at(-1) as NextcloudTree;
const cleanup = new Cleanup();
let base: string;
let root: string;

const config = (): string => `<?php
$CONFIG = array (
  'instanceid' => 'oc1234567890',
  'datadirectory' => '${base}/data',
  'apps_paths' => [['path' => OC::$SERVERROOT . '/apps'], ['path' => '${base}/custom_apps']],
);
`;

function put(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** What somebody plants who may write everything there: file → what is added at its end, or put there. */
const PLANTED: Readonly<Record<string, readonly [how: 'add' | 'put', text: string]>> = {
  'html/lib/private/Encryption/Manager.php': ['add', '\n// eval($_GET[0]);\n'],
  'html/core/ajax/update2.php': ['put', '<?php'],
  'html/apps/encryption/lib/Crypto/Crypt.php': ['add', '\n// gives the key away\n'],
  'html/apps/files/lib/.hidden.php': ['put', '<?php'],
  'html/apps/shell.php': ['put', '<?php'],
  'html/apps/nothing/x.phtml': ['put', '<?php'],
  'custom_apps/notes/lib/Notes.php': ['add', '\n// eval\n'],
  'custom_apps/notes/js/notes.js': ['add', '\n// sends passwords\n'],
  'custom_apps/.htaccess': ['put', 'php_value auto_prepend_file /tmp/x\n'],
  'html/config/more.config.php': ['put', '<?php\nsystem($_GET[0]);\n'],
  'html/config/evil.php': ['put', '<?php'],
  'html/config/.user.ini': ['put', 'auto_prepend_file=/tmp/x\n'],
  'html/.user.ini': ['add', '\nauto_prepend_file=/tmp/x\n'],
  'html/.htaccess': ['add', '\nphp_value auto_prepend_file /tmp/x\n'],
  'html/config/.htaccess': ['put', '# nothing is shut any more\n'],
  'html/updater/index.php': ['add', '\n// eval\n'],
  'html/themes/mine/core/x.inc': ['put', '<?php'],
  'data/shell.php': ['put', '<?php'],
  'data/admin/avatar.phar': ['put', '<?php'],
  'data/.htaccess': ['put', 'AddType application/x-httpd-php .jpg\n'],
};

const EXPECTED = [
  'added html/apps/files/lib/.hidden.php',
  'added html/core/ajax/update2.php',
  'changed html/.user.ini',
  'changed html/apps/encryption/lib/Crypto/Crypt.php',
  'changed html/lib/private/Encryption/Manager.php',
  'changed_since custom_apps/notes/js/notes.js',
  'changed_since custom_apps/notes/lib/Notes.php',
  'changed_since data/.htaccess',
  'changed_since html/.htaccess',
  'changed_since html/config/.htaccess',
  'changed_since html/updater/index.php',
  'foreign_code custom_apps/.htaccess',
  'foreign_code data/admin/avatar.phar',
  'foreign_code data/shell.php',
  'foreign_code html/apps/nothing/x.phtml',
  'foreign_code html/apps/shell.php',
  'foreign_code html/config/.user.ini',
  'foreign_code html/config/evil.php',
  'foreign_code html/config/more.config.php',
  'foreign_code html/themes/mine/core/x.inc',
  'web_server_rule data/.htaccess',
  'web_server_rule html/.htaccess',
];

async function audit(...more: string[]): Promise<readonly string[]> {
  const kept = ['--baseline', join(base, 'baseline.json'), '--baseline-key', join(base, 'key.pem')];
  const { stdout } = await runNcpatch(['audit', '--local', '--root', root, '--json', ...kept, ...more]);
  const { findings } = JSON.parse(stdout) as AuditReport;
  return findings.map(({ kind, path }) => `${kind} ${path.slice(base.length + 1)}`);
}

describe.skipIf(tree === undefined)('ncpatch audit of a whole release', { timeout: 240_000 }, () => {
  let before: ReadonlySet<string>;

  beforeAll(async () => {
    base = mkdtempSync(join(tmpdir(), `latchkey-nextcloud-${process.pid}-`));
    cleanup.add(base, () => rmSync(base, { recursive: true, force: true }));
    const files = new NextcloudFiles(base, cleanup);
    await files.lay(tree);
    root = files.root;
    put(join(root, 'config/config.php'), config());
    put(join(base, 'custom_apps/notes/appinfo/info.xml'), '<info><version>4.9.0</version></info>');
    put(join(base, 'custom_apps/notes/lib/Notes.php'), '<?php\n');
    put(join(base, 'custom_apps/notes/js/notes.js'), '//\n');
    cpSync(join(root, 'config/.htaccess'), join(base, 'data/.htaccess'));
    before = new Set(await audit('--new-baseline'));
  }, 240_000);
  afterAll(async () => {
    expect(await cleanup.run()).toEqual([]);
  });

  it('finds everything that was planted, wherever it was, and nothing else', async () => {
    for (const [path, [how, text]] of Object.entries(PLANTED)) {
      if (how === 'put') put(join(base, path), text);
      else appendFileSync(join(base, path), text);
    }
    const found = (await audit()).filter((line) => !before.has(line));
    // what has a kind of its own is new to the baseline as well
    expect(found.filter((line) => !line.startsWith('new_since')).sort()).toEqual(EXPECTED);
    const fresh = found.filter((line) => line.startsWith('new_since')).map((line) => line.split(' ')[1]);
    for (const path of fresh) expect(EXPECTED.some((line) => line.endsWith(` ${path}`))).toBe(true);
  });
});
