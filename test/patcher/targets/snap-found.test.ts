import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { canPretend, type Placed, PretendRoot } from '../pretend-root.ts';

// A machine whose snapd is a script with fixed answers; test/e2e/snap-life.ts has one that mounts and runs.
const NODE = new URL('../../../node_modules/.bin/node', import.meta.url).pathname;
const MAIN = new URL('../../../patcher/main.ts', import.meta.url).pathname;
const HEADER = 'Name Version Rev Tracking Publisher Notes';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lk-snap-found-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

interface Machine {
  readonly list: string;
  readonly exit?: number;
  readonly services?: string;
  readonly config?: string;
  readonly mount?: string;
}

function machine({ list, exit = 0, services = 'active', config, mount = '/snap' }: Machine): PretendRoot {
  const snap = `#!/bin/sh
case "$1" in
  list) printf '${list}'; exit ${exit} ;;
  services) printf 'Service Startup Current Notes\\nnextcloud.php-fpm enabled ${services} -\\n' ;;
  run) echo run >>/var/tmp/ran; exit 1 ;;
esac
`;
  const root = `${mount}/nextcloud/51000/htdocs`;
  const files: Record<string, Placed> = {
    '/usr/bin/snap': { text: snap, mode: 0o755 },
    [`${root}/version.php`]: {
      text: "<?php\n$OC_Version = array(33,0,1,2);\n$OC_VersionString = '33.0.1';\n$OC_Channel = 'stable';\n",
    },
    [`${root}/occ`]: { text: '' },
    [`${root}/lib/base.php`]: { text: '' },
    [`${root}/config/config.php`]: { text: '<?php $CONFIG = array();' },
    [`${mount}/nextcloud/current`]: { link: '51000' },
    '/var/snap/nextcloud/51000/nextcloud/keep': { text: '' },
    '/var/snap/nextcloud/current': { link: '51000' },
    ...(config === undefined ? {} : { '/var/snap/nextcloud/51000/nextcloud/config/config.php': { text: config } }),
  };
  return new PretendRoot(folder, files);
}

function detect(on: PretendRoot, ...more: string[]): { exit: number; stdout: string; stderr: string } {
  return on.run([NODE, '--disable-warning=ExperimentalWarning', MAIN, 'detect', '--local', ...more]);
}

const line = (notes = '-', name = 'nextcloud'): string =>
  `${HEADER}\\n${name} 33.0.1snap1 51000 latest/stable nextcloud** ${notes}\\n`;
const INSTALLED = "<?php\n$CONFIG = array (\n  'installed' => true,\n);\n";

describe.skipIf(!canPretend())('ncpatch finds a snap', () => {
  test.each<[string, Machine, number, string]>([
    ['a disabled one', { list: line('disabled'), config: INSTALLED }, 3, 'the snap is installed, but disabled'],
    ['a broken one', { list: line('broken'), config: INSTALLED }, 3, 'snapd calls revision 51000 of the snap broken'],
    [
      'one whose PHP is stopped',
      { list: line(), services: 'inactive', config: INSTALLED },
      3,
      'php-fpm of the snap do not run, and occ waits for them',
    ],
    [
      'a parallel installation',
      { list: line('-', 'nextcloud_two'), config: INSTALLED },
      3,
      'nextcloud_two is a parallel installation of the snap',
    ],
    ['one without a configuration', { list: line() }, 1, 'the snap was never set up: its Nextcloud has no account yet'],
    [
      'one without an account',
      { list: line(), config: '<?php\n$CONFIG = array (\n);\n' },
      1,
      'the snap was never set up: its Nextcloud has no account yet',
    ],
    ['a snapd that is silent', { list: '', exit: 1, config: INSTALLED }, 1, '"snap list" could not be asked'],
  ])('and refuses %s before it runs anything of it', (_, described, exit, message) => {
    const on = machine(described);
    const done = detect(on);
    expect(done).toMatchObject({ exit, stdout: '' });
    expect(done.stderr).toContain(`ncpatch: error: ${message}\n`);
    expect(on.run(['cat', '/var/tmp/ran']).exit).toBe(1);
  });

  test('where distributions without /snap mount it', () => {
    const on = machine({ list: line(), config: INSTALLED, mount: '/var/lib/snapd/snap' });
    expect(JSON.parse(detect(on, '--all', '--json').stdout)).toEqual([
      {
        target: 'snap',
        root: '/var/lib/snapd/snap/nextcloud/current/htdocs',
        versionString: '33.0.1',
        configFile: '/var/snap/nextcloud/current/nextcloud/config/config.php',
      },
    ]);
  });

  test('under its own path and that of its revision, and never as plain files', () => {
    const on = machine({ list: line(), config: INSTALLED });
    for (const root of ['/snap/nextcloud/current/htdocs', '/snap/nextcloud/51000/htdocs']) {
      const found = JSON.parse(detect(on, '--all', '--json', '--root', root).stdout);
      expect(found).toMatchObject([{ target: 'snap', root: '/snap/nextcloud/current/htdocs' }]);
    }
  });

  test('only where snapd knows one', () => {
    const other = `${HEADER}\\nlxd 5.0 24322 5.0/stable canonical** -\\n`;
    const on = machine({ list: other, config: INSTALLED });
    expect(detect(on)).toMatchObject({ exit: 1, stdout: '' });
    expect(detect(on).stderr).toContain('no nextcloud was found');
  });
});
