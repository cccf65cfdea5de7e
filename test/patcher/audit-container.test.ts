import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuditReport } from '../../patcher/audit/audit.ts';
import { run } from '../../platform/run.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { ContainerHost, containerHostObstacle } from '../harness/container-host.ts';
import { projectProgram } from '../harness/keyserver-process.ts';
import { listTrees, type NextcloudTree } from '../harness/nextcloud-tree.ts';

const tree = listTrees().at(-1) as NextcloudTree;
const obstacle = tree === undefined ? 'there is no release' : containerHostObstacle();
const root = '/var/www/html';

/** A small part of a release, with all that an audit goes by. */
const PARTS = [
  ...['version.php', 'occ', 'lib/base.php', 'config', 'core/signature.json', 'core/shipped.json'],
  ...['resources/codesigning', 'apps/encryption'],
];

describe.skipIf(obstacle !== null)('ncpatch audit of a container', { timeout: 120_000 }, () => {
  let cleanup: Cleanup;
  let host: ContainerHost;
  let volume: string;

  beforeEach(async () => {
    cleanup = new Cleanup();
    host = new ContainerHost(cleanup);
    volume = host.volume('nextcloud');
    for (const part of PARTS) cpSync(join(tree.folder, part), join(volume, part), { recursive: true });
    put('config/config.php', "<?php\n$CONFIG = array (\n  'instanceid' => 'oc1234567890',\n);\n");
    put('custom_apps/notes/appinfo/info.xml', '<info/>');
    put('config/apps.config.php', `<?php\n$CONFIG = ['apps_paths' => [['path' => '${root}/custom_apps']]];\n`);
    await host.start({
      name: 'cloud',
      image: 'nextcloud:33-apache',
      system: 'busybox',
      files: { '/usr/local/bin/php': { text: '#!/bin/sh\n', mode: 0o755 } },
      mounts: [{ name: 'nextcloud', source: volume, destination: root }],
    });
  });
  afterEach(async () => {
    expect(await cleanup.run()).toEqual([]);
  });

  function put(path: string, text: string): void {
    mkdirSync(dirname(join(volume, path)), { recursive: true });
    writeFileSync(join(volume, path), text);
  }

  async function audit(...more: string[]): Promise<{ readonly report: AuditReport; readonly lines: string[] }> {
    const command = [...projectProgram('patcher/main.ts'), 'audit', '--local', '--json', ...more];
    const done = await run(command as [string, ...string[]], {
      timeoutMs: 60_000,
      allowExit: [1],
      env: { PATH: host.path },
    });
    const report = JSON.parse(done.stdout.toString('utf8')) as AuditReport;
    // most of the release is not here
    const told = report.findings.filter(({ kind }) => kind !== 'missing');
    return { report, lines: told.map(({ kind, path }) => `${kind} ${path}`).sort() };
  }

  it('hashes with what the image has, and tells paths as they are inside', async () => {
    put('apps/encryption/lib/Evil.php', '<?php');
    put('custom_apps/shell.php', '<?php');
    const { report, lines } = await audit('--container', 'cloud');
    expect(report).toMatchObject({ root, appsPaths: [`${root}/apps`, `${root}/custom_apps`] });
    expect(report.verified).toEqual(['core', 'encryption']);
    expect(lines).toEqual([`added ${root}/apps/encryption/lib/Evil.php`, `foreign_code ${root}/custom_apps/shell.php`]);
  });

  it('looks into a container by itself, and at a Nextcloud in it that is broken when it is named', async () => {
    expect((await audit()).lines).toEqual([]);
    put('version.php', '<?php broken');
    const { report, lines } = await audit('--container', 'cloud', '--root', root);
    expect(report.version).toBeNull();
    expect(lines).toContain(`changed ${root}/version.php`);
  });
});
