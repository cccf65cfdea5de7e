import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AuditReport } from '../../patcher/audit/audit.ts';
import { listTrees, type NextcloudTree } from '../harness/nextcloud-tree.ts';
import { runNcpatch } from './ncpatch-run.ts';

const tree = listTrees().at(-1) as NextcloudTree;
let base: string;
let root: string;

/** A small part of a release: the lists, two apps, and what a Nextcloud is recognised by. */
const PARTS = [
  ...['version.php', 'occ', 'lib/base.php', 'config', 'core/signature.json', 'core/shipped.json', 'themes', 'updater'],
  ...['resources/codesigning', 'apps/encryption', 'apps/cloud_federation_api'],
];

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'latchkey-audit-'));
  root = join(base, 'disk/var/www/nextcloud');
  for (const part of PARTS) cpSync(join(tree?.folder ?? '', part), join(root, part), { recursive: true });
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(base, { recursive: true, force: true });
});

function put(path: string, text: string): void {
  mkdirSync(dirname(join(base, path)), { recursive: true });
  writeFileSync(join(base, path), text);
}

function putConfig(lines: readonly string[]): void {
  put('disk/var/www/nextcloud/config/config.php', `<?php\n$CONFIG = array (\n${lines.join('\n')}\n);\n`);
}

async function audit(
  more: readonly string[] = [],
): Promise<{ exit: number | null; report: AuditReport; lines: string[] }> {
  const { exit, stdout } = await runNcpatch(['audit', '--local', '--root', root, '--json', ...more]);
  const report = JSON.parse(stdout) as AuditReport;
  // most of the release is not here
  const told = (report.findings ?? []).filter(({ kind, part }) => kind !== 'missing' || part !== 'core');
  return { exit, report, lines: told.map(({ kind, path }) => `${kind} ${path.slice(base.length)}`).sort() };
}

describe.skipIf(tree === undefined)('ncpatch audit', () => {
  it('refuses what it cannot make out', async () => {
    const refused = async (...argv: string[]): Promise<unknown> => {
      const { exit, stdout } = await runNcpatch(['audit', '--json', ...argv]);
      return [exit, (JSON.parse(stdout) as { error: { code: string } }).error.code];
    };
    expect(await refused()).toEqual([2, 'usage']);
    expect(await refused('--local', '--root', 'relative')).toEqual([2, 'invalid_request']);
    expect(await refused('--local', '--root', '/srv/../etc')).toEqual([2, 'invalid_request']);
    expect(await refused('--local', '--disk', '/mnt')).toEqual([2, 'usage']);
    expect(await refused('--local', '--root', join(base, 'disk'))).toEqual([1, 'nextcloud_not_found']);
  });

  it('looks where config.php says that apps and data are, and never leaves out code because it says so', async () => {
    put('apps/own/notes/appinfo/info.xml', '<info/>');
    put('apps/own/evil.php', '<?php');
    put('data/admin/shell.php', '<?php');
    put('data/admin/files/mine.php', '<?php');
    put('disk/var/www/nextcloud/apps/encryption/lib/Evil.php', '<?php');
    putConfig([
      `  // 'datadirectory' => '${root}/apps/encryption/lib',`,
      `  'datadirectory' => '${base}/data',`,
      `  'apps_paths' => [['path' => '${base}/apps/own'], ['path' => OC::$SERVERROOT . '/apps']],`,
      "  'dbpassword' => 'canary',",
    ]);
    const { exit, report, lines } = await audit();
    expect(exit).toBe(1);
    expect(lines).toEqual([
      'added /disk/var/www/nextcloud/apps/encryption/lib/Evil.php',
      'foreign_code /apps/own/evil.php',
      'foreign_code /data/admin/shell.php',
    ]);
    expect(report).toMatchObject({ clean: false, dataDirectory: `${base}/data`, version: tree.version });
    expect(report.appsPaths).toEqual([`${root}/apps`, `${base}/apps/own`]);
    expect(report.verified).toEqual(['core', 'cloud_federation_api', 'encryption']);
    expect(JSON.stringify(report)).not.toContain('canary');
  });

  it('audits a Nextcloud that does not even start, with a config folder elsewhere', async () => {
    rmSync(join(root, 'occ'));
    put('disk/var/www/nextcloud/version.php', '<?php broken');
    rmSync(join(root, 'config'), { recursive: true });
    put('etc/config.php', "<?php\n$CONFIG = array (\n  'a' => system('id'),\n);\n");
    put('etc/evil.php', '<?php');
    symlinkSync(join(base, 'etc'), join(root, 'config'));
    const { exit, lines } = await audit();
    expect(exit).toBe(1);
    expect(lines).toEqual([
      'changed /disk/var/www/nextcloud/version.php',
      'foreign_code /etc/evil.php',
      'other_version /disk/var/www/nextcloud/version.php',
      'other_version /disk/var/www/nextcloud/version.php',
      'settings_code /etc/config.php',
    ]);
  });

  it('looks for the places of a mounted disk on that disk', async () => {
    put('disk/srv/apps/notes/appinfo/info.xml', '<info/>');
    put('disk/srv/apps/evil.php', '<?php');
    put('disk/srv/data/shell.phtml', '<?php');
    putConfig([
      "  'datadirectory' => '/srv/data',",
      "  'apps_paths' => [['path' => '/srv/apps'], ['path' => '/gone']],",
    ]);
    const { lines, report } = await audit(['--disk', join(base, 'disk')]);
    expect(lines).toEqual(['foreign_code /disk/srv/apps/evil.php', 'foreign_code /disk/srv/data/shell.phtml']);
    expect(report.remarks).toContainEqual(expect.objectContaining({ kind: 'not_looked_at', path: '/gone' }));
  });

  it('tells people in lines, and does not let a file name speak to their terminal', async () => {
    put('disk/var/www/nextcloud/apps/encryption/lib/\u001b[2J\nnothing was changed.php', '<?php');
    const { exit, stdout } = await runNcpatch(['audit', '--local', '--root', root]);
    expect(exit).toBe(1);
    expect(stdout).toContain('\\u001b[2J\\nnothing was changed.php"  (app encryption)');
    expect(stdout).not.toContain('\u001b');
    expect(stdout).toMatch(/^missing {4}and \d+ more in core; --json has all of them$/m);
  });

  describe('with a baseline', { timeout: 120_000 }, () => {
    const notes = 'disk/var/www/nextcloud/apps/notes';
    const key = (): string => join(base, 'auditor/key.pem');
    const file = (): string => join(base, 'auditor/cloud.json');
    const kept = (...more: string[]): string[] => ['--baseline', file(), '--baseline-key', key(), ...more];

    async function accept(...more: string[]): Promise<{ exit: number | null; stdout: string; code: unknown }> {
      const argv = ['audit', 'accept', '--local', '--root', root, '--json', ...kept(...more)];
      const { exit, stdout } = await runNcpatch(argv);
      return { exit, stdout, code: (JSON.parse(stdout) as { error?: { code: string } }).error?.code };
    }

    beforeEach(() => {
      mkdirSync(join(base, 'auditor'));
      put(`${notes}/appinfo/info.xml`, '<info><version>4.9.0</version></info>');
      put(`${notes}/lib/Notes.php`, '<?php');
      putConfig(["  'instanceid' => 'oc1234567890',"]);
    });

    it('refuses one that is not there, was tampered with, or is of another Nextcloud, before it hashes anything', async () => {
      const refused = async (...more: string[]): Promise<unknown> => {
        const { exit, stdout, stderr } = await runNcpatch(['audit', '--local', '--root', root, '--json', ...more]);
        expect(stderr).not.toContain('hash the code');
        return [exit, (JSON.parse(stdout) as { error: { code: string } }).error.code];
      };
      expect(await refused('--new-baseline')).toEqual([2, 'usage']);
      expect(await refused(...kept())).toEqual([3, 'baseline_key_missing']);
      expect((await audit(kept('--new-baseline'))).exit).toBe(1);
      expect(await refused(...kept('--new-baseline'))).toEqual([3, 'file_exists']);
      expect(await refused('--baseline', join(base, 'none'), '--baseline-key', key())).toEqual([3, 'baseline_missing']);
      putConfig(["  'instanceid' => 'oc0987654321',"]);
      expect(await refused(...kept())).toEqual([3, 'baseline_other']);
      writeFileSync(file(), readFileSync(file(), 'utf8').replace('4.9.0', '4.8.0'));
      expect(await refused(...kept())).toEqual([3, 'baseline_tampered']);
    });

    it('accepts nothing without a reason, at a path without a finding, or without being told what', async () => {
      await audit(kept('--new-baseline'));
      const before = readFileSync(file(), 'utf8');
      put(`${notes}/lib/Notes.php`, '<?php // more');
      for (const [more, code] of [
        [['/nowhere', '--reason', 'x'], 'nothing_found'],
        [[join(base, `${notes}/lib/Notes.php`)], 'usage'],
        [['--reason', 'x'], 'usage'],
        [['--everything', '/x', '--reason', 'x'], 'usage'],
      ] as const) {
        expect(await accept(...more)).toMatchObject({ exit: 2, code });
      }
      expect(readFileSync(file(), 'utf8')).toBe(before);
    });

    it('names what changed since, and lets be what a person accepts until it changes again', async () => {
      const first = await audit(kept('--new-baseline'));
      expect(first.lines).toEqual([]);
      expect((await audit(kept())).lines).toEqual([]);
      put(`${notes}/lib/Notes.php`, '<?php // mine now');
      put('disk/var/www/nextcloud/themes/mine/core/css/server.css', 'body {}');
      put('disk/var/www/nextcloud/config/evil.php', '<?php');
      const { lines } = await audit(kept());
      expect(lines).toEqual([
        'changed_since /disk/var/www/nextcloud/apps/notes/lib/Notes.php',
        'foreign_code /disk/var/www/nextcloud/config/evil.php',
        'new_since /disk/var/www/nextcloud/config/evil.php',
        'new_since /disk/var/www/nextcloud/themes/mine/core/css/server.css',
      ]);
      const accepted = await accept(join(base, notes), join(root, 'config'), '--reason', 'a patch of ours');
      expect(accepted.exit).toBe(0);
      const after = await audit(kept());
      expect(after.lines).toEqual(['new_since /disk/var/www/nextcloud/themes/mine/core/css/server.css']);
      expect(after.report.remarks).toContainEqual({
        kind: 'accepted',
        path: join(root, 'config/evil.php'),
        words: expect.stringMatching(/^foreign_code, accepted 20..-..-..: a patch of ours$/),
      });
      put('disk/var/www/nextcloud/config/evil.php', '<?php // worse');
      expect((await audit(kept())).lines).toContain('foreign_code /disk/var/www/nextcloud/config/evil.php');
    });

    it('raises versions by itself when something newer is signed, and then knows an older one', async () => {
      await audit(kept('--new-baseline'));
      const older = listTrees().at(-2) as NextcloudTree;
      const swap = (from: NextcloudTree): void => {
        for (const part of PARTS) {
          rmSync(join(root, part), { recursive: true, force: true });
          cpSync(join(from.folder, part), join(root, part), { recursive: true });
        }
        putConfig(["  'instanceid' => 'oc1234567890',"]);
      };
      swap(older);
      const back = await audit(kept());
      expect(back.lines).toContain('other_version /disk/var/www/nextcloud/version.php');
      expect(back.lines).toContain('other_version /disk/var/www/nextcloud/apps/encryption/appinfo/info.xml');
      rmSync(file());
      await audit(kept('--new-baseline'));
      swap(tree);
      const forward = await audit(kept());
      expect(forward.lines.filter((line) => !line.includes('_since'))).toEqual([]);
      expect(readFileSync(file(), 'utf8')).toContain(`"core": "${tree.version}`);
    });

    it('keeps a folder of them, under a key that is made in the folder for state', async () => {
      vi.stubEnv('XDG_STATE_HOME', join(base, 'state'));
      const { exit, stdout } = await runNcpatch([
        ...['audit', '--local', '--root', root, '--baseline', join(base, 'auditor'), '--new-baseline'],
      ]);
      expect(exit).toBe(1);
      expect(stdout).toContain(`${join(base, 'auditor/oc1234567890.json')} holds what no list covers`);
      expect(statSync(join(base, 'state/latchkey/audit-key.pem')).mode & 0o777).toBe(0o600);
      const again = await runNcpatch([
        'audit',
        '--local',
        '--root',
        root,
        '--baseline',
        join(base, 'auditor'),
        '--json',
      ]);
      expect((JSON.parse(again.stdout) as AuditReport).baseline).toMatch(/^20/);
    });
  });
});
