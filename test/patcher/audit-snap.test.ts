import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditReport } from '../../patcher/audit/audit.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { projectProgram } from '../harness/keyserver-process.ts';
import { listTrees, type NextcloudTree } from '../harness/nextcloud-tree.ts';
import { SnapMachine, snapObstacle } from '../harness/snap-machine.ts';

const tree = listTrees().at(-1) as NextcloudTree;
const obstacle = tree === undefined ? 'there is no release' : snapObstacle();
const data = '/var/snap/nextcloud/current/nextcloud';
const cleanup = new Cleanup();
let machine: SnapMachine;

async function audit(...more: string[]): Promise<AuditReport> {
  const kept = ['--baseline', '/root/baseline.json', '--baseline-key', '/root/key.pem'];
  const command = [...projectProgram('patcher/main.ts'), 'audit', '--local', '--json', ...kept, ...more];
  const { stdout } = await machine.command(command as unknown as [string, ...string[]], { anyExit: true });
  return JSON.parse(stdout) as AuditReport;
}

const lines = (report: AuditReport): string[] => report.findings.map(({ kind, path }) => `${kind} ${path}`);

describe.skipIf(obstacle !== null)('ncpatch audit of a snap', { timeout: 240_000 }, () => {
  beforeAll(async () => {
    const releases = ['41', '42'].map((revision) => ({ revision, tree }));
    machine = await SnapMachine.start(releases, { cleanup });
    await machine.command(['mkdir', '-p', `${data}/extra-apps/notes/appinfo`]);
    await machine.command(['tee', `${data}/extra-apps/notes/appinfo/info.xml`], {
      input: '<info><version>4.9.0</version></info>',
    });
  }, 240_000);
  afterAll(async () => {
    expect(await cleanup.run()).toEqual([]);
  });

  it('reads the code from the squashfs, and finds what was planted in what the snap may write, after a refresh too', async () => {
    const report = await audit('--new-baseline');
    expect(report).toMatchObject({ root: '/snap/nextcloud/41/htdocs', version: tree.version });
    // each folder once, although the snap has two names for it
    expect(report.appsPaths).toEqual(['/snap/nextcloud/41/htdocs/apps', '/var/snap/nextcloud/41/nextcloud/extra-apps']);
    expect(report.verified.filter((id) => id === 'core' || id === 'encryption')).toEqual(['core', 'encryption']);
    expect(report.remarks).toContainEqual({
      kind: 'app_absent',
      path: '/snap/nextcloud/41/htdocs/apps/updatenotification',
      words: 'the snap leaves it out on purpose',
    });
    expect(lines(report).filter((line) => line.includes('updatenotification'))).toEqual([]);
    expect(lines(report)).toContain('settings_code /var/snap/nextcloud/41/nextcloud/config/config.php');

    await machine.command(['snap', 'refresh', 'nextcloud']);
    await machine.command(['tee', `${data}/extra-apps/notes/shell.php`], { input: '<?php' });
    await machine.command(['tee', `${data}/config/evil.config.php`], { input: '<?php system(1);' });
    const before = lines(report).map((line) => line.replaceAll('/nextcloud/41/', '/nextcloud/42/'));
    const after = lines(await audit());
    expect(before.filter((line) => !after.includes(line))).toEqual([]);
    expect(after.filter((line) => !before.includes(line)).sort()).toEqual([
      'foreign_code /var/snap/nextcloud/42/nextcloud/config/evil.config.php',
      'new_since /var/snap/nextcloud/42/nextcloud/config/evil.config.php',
      'new_since /var/snap/nextcloud/42/nextcloud/extra-apps/notes/shell.php',
    ]);
  });
});
