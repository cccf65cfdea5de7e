import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { canPretend, type Placed, PretendRoot } from './pretend-root.ts';

// A pretended Debian whose PHP is a script: real ones have their settings right, and are shared by every test.
const NODE = new URL('../../node_modules/.bin/node', import.meta.url).pathname;
const MAIN = new URL('../../patcher/main.ts', import.meta.url).pathname;
const UID = 4712;
const ROOT = '/var/www/nextcloud';
const INI = '99-latchkey.ini';

/** Answers as occ and PHP do, and takes arguments of exceptions for kept out once `reads` holds a file that says so. */
function php(path: string, folder: string, reads: string): Record<string, Placed> {
  const status = { installed: true, maintenance: false, needsDbUpgrade: false };
  const probe = { version: '8.3.9', extensions: ['curl', 'openssl'], ignoreArgs: false };
  const config = { system: { version: '32.0.2.2', dbtype: 'mysql' }, apps: {} };
  const text = `#!/bin/sh
args=Off
grep -qs '^zend.exception_ignore_args = On' ${reads}/* && args=On
case "$*" in
  *'config:system:get datadirectory'*) echo ${ROOT}/data ;;
  *'config:system:get instanceid'*) echo ocfake123456 ;;
  *config:list*) echo '${JSON.stringify(config)}' ;;
  *' status '*) echo '${JSON.stringify(status)}' ;;
  *' -r '*) echo '${JSON.stringify(probe)}' ;;
  -i) printf 'PHP Version => 8.3.9\\nScan this dir for additional .ini files => ${folder}\\nzend.exception_ignore_args => %s => %s\\n' $args $args ;;
  -m) printf 'curl\\nopenssl\\n' ;;
  *) exit 1 ;;
esac
`;
  return { [path]: { text, mode: 0o755 } };
}

function debian(webReads: string): Record<string, Placed> {
  const user = `lk-www:x:${UID}:${UID}::/nonexistent:/usr/sbin/nologin\n`;
  return {
    '/etc/passwd': { text: `${readFileSync('/etc/passwd', 'utf8')}${user}` },
    '/etc/group': { text: `${readFileSync('/etc/group', 'utf8')}lk-www:x:${UID}:\n` },
    [`${ROOT}/version.php`]: {
      text: "<?php\n$OC_Version = array(32,0,2,2);\n$OC_VersionString = '32.0.2';\n$OC_Channel = 'stable';\n",
    },
    [`${ROOT}/occ`]: { text: '#!/usr/bin/env php\n' },
    [`${ROOT}/lib/base.php`]: { text: '<?php\n' },
    [`${ROOT}/config/config.php`]: {
      text: "<?php\n$CONFIG = array (\n  'instanceid' => 'ocfake123456',\n);\n",
      mode: 0o640,
      uid: UID,
    },
    ...php('/usr/bin/php8.3', '/etc/php/8.3/cli/conf.d', '/etc/php/8.3/cli/conf.d'),
    ...php('/usr/sbin/php-fpm8.3', '/etc/php/8.3/fpm/conf.d', webReads),
    '/etc/php/8.3/cli/conf.d/10-x.ini': { text: '; nothing\n' },
    '/etc/php/8.3/fpm/conf.d/10-x.ini': { text: '; nothing\n' },
    '/etc/php/8.3/fpm/pool.d/www.conf': { text: '[www]\nuser = lk-www\nlisten = /run/php/php8.3-fpm.sock\n' },
  };
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lk-doctor-php-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe.runIf(canPretend())('doctor --fix of settings of PHP', { timeout: 180_000 }, () => {
  const doctor = (machine: PretendRoot, ...more: string[]) => {
    const argv: [string, ...string[]] = [
      NODE,
      '--disable-warning=ExperimentalWarning',
      MAIN,
      'doctor',
      '--local',
      '--json',
      ...more,
    ];
    return machine.run([...argv, '--group', 'php']);
  };
  const written = (sapi: string): string => join(folder, 'layer/up/etc/php/8.3', sapi, 'conf.d', INI);

  test('writes a file of its own for the web and for occ, and shows it before', () => {
    const machine = new PretendRoot(folder, debian('/etc/php/8.3/fpm/conf.d'));
    const plan = doctor(machine, '--fix', '--dry-run');
    expect(plan.stderr).toBe('');
    expect(plan.stdout).toContain('+zend.exception_ignore_args = On');
    expect(['cli', 'fpm'].filter((sapi) => existsSync(written(sapi)))).toEqual([]);
    const done = doctor(machine, '--fix');
    expect(done.stderr).not.toContain('error:');
    expect(JSON.parse(done.stdout)).toMatchObject({
      done: [`write /etc/php/8.3/cli/conf.d/${INI}`, `write /etc/php/8.3/fpm/conf.d/${INI}`],
    });
    expect(done.stdout).not.toContain('exception_args_logged');
    expect(readFileSync(written('fpm'), 'utf8')).toMatch(/^zend\.exception_ignore_args = On$/m);
  });

  test('takes all of it back where PHP does not heed it', () => {
    const machine = new PretendRoot(folder, debian('/etc/nowhere'));
    const failed = doctor(machine, '--fix');
    expect(failed.exit).toBe(1);
    expect(JSON.parse(failed.stdout)).toMatchObject({ error: { code: 'fix_failed' } });
    const shown = machine.run(['/bin/sh', '-c', 'ls /etc/php/8.3/*/conf.d /var/lib/latchkey/ncpatch/ocfake123456']);
    expect(shown.stdout).not.toContain(INI);
    expect(shown.stdout).not.toContain('journal.jsonl');
    const archive = join(folder, 'layer/up/var/lib/latchkey/ncpatch/ocfake123456');
    expect(readdirSync(archive).filter((name) => name.endsWith('.jsonl'))).toHaveLength(1);
  });
});
