import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { canPretend, type Placed, PretendRoot } from './pretend-root.ts';

// Servers of other distributions, laid out as their packages do; PHP and occ are scripts that answer as the real ones.
const NODE = new URL('../../node_modules/.bin/node', import.meta.url).pathname;
const MAIN = new URL('../../patcher/main.ts', import.meta.url).pathname;
const UID = 4711;

const pool = (name: string, listen: string, more = ''): Placed => ({
  text: `[${name}]\nuser = ${name}\nlisten = ${listen}\n${more}`,
});
const nginx = (root: string, socket: string): Placed => ({
  text: `server { listen 443; root ${root}; location ~ \\.php { fastcgi_pass unix:${socket}; } }\n`,
});
const apache = (root: string, handler: string): Placed => ({
  text: `<VirtualHost *:443>\n DocumentRoot "${root}"\n <FilesMatch "\\.php$">\n  SetHandler "${handler}"\n </FilesMatch>\n</VirtualHost>\n`,
});

/** A Nextcloud tree, as much of it as is looked at. */
function tree(root: string, config = `${root}/config`): Record<string, Placed> {
  return {
    [`${root}/version.php`]: {
      text: "<?php\n$OC_Version = array(32,0,2,2);\n$OC_VersionString = '32.0.2';\n$OC_Channel = 'stable';\n",
    },
    [`${root}/occ`]: { text: '#!/usr/bin/env php\n' },
    [`${root}/lib/base.php`]: { text: '<?php\n' },
    [`${config}/config.php`]: {
      text: "<?php\n$CONFIG = array (\n  'instanceid' => 'ocfake123456',\n);\n",
      mode: 0o640,
      uid: UID,
    },
  };
}

function php(path: string, version: string): Record<string, Placed> {
  const config = { system: { version: '32.0.2.2', dbtype: 'mysql' }, apps: {} };
  const status = { installed: true, maintenance: false, needsDbUpgrade: false };
  const probe = { version, extensions: ['curl', 'openssl'], ignoreArgs: true };
  const info = `PHP Version => ${version}\\nLoaded Configuration File => /from/${path}\\nzend.exception_ignore_args => On => On\\n`;
  const text = `#!/bin/sh
echo "$0 $(id -un) config=$NEXTCLOUD_CONFIG_DIR" >> /var/tmp/php-calls 2>/dev/null
case "$*" in
  *'config:system:get datadirectory'*) echo /srv/cloud-data ;;
  *'config:system:get instanceid'*) echo ocfake123456 ;;
  *config:list*) echo '${JSON.stringify(config)}' ;;
  *' status '*) echo '${JSON.stringify(status)}' ;;
  *' -r '*) echo '${JSON.stringify(probe)}' ;;
  -i) printf '${info}' ;;
  -m) printf 'curl\\nopenssl\\n' ;;
  *) exit 1 ;;
esac
`;
  return { [path]: { text, mode: 0o755 } };
}

const passwd = (user: string): Record<string, Placed> => ({
  '/etc/passwd': {
    text: `${readFileSync('/etc/passwd', 'utf8')}${user}:x:${UID}:${UID}::/nonexistent:/usr/sbin/nologin\n`,
  },
  '/etc/group': { text: `${readFileSync('/etc/group', 'utf8')}${user}:x:${UID}:\n` },
  '/var/tmp/php-calls': { text: '', mode: 0o666 },
});

interface Layout {
  readonly name: string;
  readonly files: Record<string, Placed>;
  readonly root: string;
  readonly configFile: string;
  readonly moved?: string;
  readonly user: string;
  readonly php: string;
  readonly web: { readonly sapi: string; readonly version: string };
}

const LAYOUTS: readonly Layout[] = [
  {
    name: 'Debian: nginx, two PHPs, an archive unpacked by hand',
    root: '/var/www/nextcloud',
    configFile: '/var/www/nextcloud/config/config.php',
    user: 'lk-www',
    php: '/usr/bin/php8.3',
    web: { sapi: 'fpm', version: '8.3.9' },
    files: {
      ...tree('/var/www/nextcloud'),
      ...php('/usr/bin/php8.3', '8.3.9'),
      ...php('/usr/sbin/php-fpm8.3', '8.3.9'),
      ...php('/usr/bin/php7.4', '7.4.1'),
      '/etc/php/8.3/fpm/pool.d/www.conf': pool('www', '/run/php/php8.3-fpm.sock'),
      '/etc/php/7.4/fpm/pool.d/www.conf': pool('www', '/run/php/php7.4-fpm.sock'),
      '/etc/nginx/sites-available/cloud': nginx('/var/www/nextcloud', '/run/php/php8.3-fpm.sock'),
      '/etc/nginx/sites-enabled/cloud': { link: '../sites-available/cloud' },
    },
  },
  {
    name: 'Debian: PHP as a module of Apache',
    root: '/var/www/html/nextcloud',
    configFile: '/var/www/html/nextcloud/config/config.php',
    user: 'lk-www',
    php: '/usr/bin/php8.3',
    web: { sapi: 'module', version: '8.3.9' },
    files: {
      ...tree('/var/www/html/nextcloud'),
      ...php('/usr/bin/php8.3', '8.3.9'),
      '/etc/apache2/mods-enabled/php8.3.load': {
        text: 'LoadModule php_module /usr/lib/apache2/modules/libphp8.3.so\n',
      },
      '/etc/apache2/sites-enabled/000-default.conf': {
        text: '<VirtualHost *:80>\nDocumentRoot /var/www/html\n</VirtualHost>\n',
      },
    },
  },
  {
    name: 'RHEL: EPEL package, PHP from a software collection',
    root: '/usr/share/nextcloud',
    configFile: '/usr/share/nextcloud/config/config.php',
    user: 'lk-apache',
    php: '/opt/remi/php82/root/usr/bin/php',
    web: { sapi: 'fpm', version: '8.2.4' },
    files: {
      ...tree('/usr/share/nextcloud', '/etc/nextcloud'),
      '/usr/share/nextcloud/config': { link: '/etc/nextcloud' },
      ...php('/opt/remi/php82/root/usr/bin/php', '8.2.4'),
      ...php('/opt/remi/php82/root/usr/sbin/php-fpm', '8.2.4'),
      '/etc/opt/remi/php82/php-fpm.d/www.conf': pool('www', '/var/opt/remi/php82/run/php-fpm/www.sock'),
      '/etc/httpd/conf.d/nextcloud.conf': apache(
        '/usr/share/nextcloud',
        'proxy:unix:/var/opt/remi/php82/run/php-fpm/www.sock|fcgi://localhost',
      ),
    },
  },
  {
    name: 'Arch: configuration moved by the pool, the older PHP',
    root: '/usr/share/webapps/nextcloud',
    configFile: '/etc/webapps/nextcloud/config/config.php',
    moved: '/etc/webapps/nextcloud/config',
    user: 'lk-http',
    php: '/usr/bin/php-legacy',
    web: { sapi: 'fpm', version: '8.2.20' },
    files: {
      ...tree('/usr/share/webapps/nextcloud', '/etc/webapps/nextcloud/config'),
      ...php('/usr/bin/php-legacy', '8.2.20'),
      ...php('/usr/bin/php-fpm-legacy', '8.2.20'),
      '/etc/php-legacy/php-fpm.d/nextcloud.conf': pool(
        'nextcloud',
        '/run/php-fpm-legacy/nextcloud.sock',
        'env[NEXTCLOUD_CONFIG_DIR] = /etc/webapps/nextcloud/config\n',
      ),
      '/etc/nginx/nginx.conf': nginx('/usr/share/webapps/nextcloud', '/run/php-fpm-legacy/nextcloud.sock'),
    },
  },
  {
    name: 'openSUSE: Apache before FPM on a port',
    root: '/srv/www/htdocs/nextcloud',
    configFile: '/srv/www/htdocs/nextcloud/config/config.php',
    user: 'lk-wwwrun',
    php: '/usr/bin/php8',
    web: { sapi: 'fpm', version: '8.1.9' },
    files: {
      ...tree('/srv/www/htdocs/nextcloud'),
      ...php('/usr/bin/php8', '8.1.9'),
      ...php('/usr/sbin/php-fpm', '8.1.9'),
      '/etc/php8/fpm/php-fpm.d/www.conf': pool('www', '127.0.0.1:9000'),
      '/etc/apache2/vhosts.d/cloud.conf': {
        text: '<VirtualHost *:80>\nDocumentRoot /srv/www/htdocs/nextcloud\nProxyPassMatch ^/(.*\\.php)$ fcgi://127.0.0.1:9000/srv/www/htdocs/nextcloud/$1\n</VirtualHost>\n',
      },
    },
  },
  {
    name: 'Plesk: one pool for each domain',
    root: '/var/www/vhosts/example.org/httpdocs/cloud',
    configFile: '/var/www/vhosts/example.org/httpdocs/cloud/config/config.php',
    user: 'lk-domain',
    php: '/opt/plesk/php/8.2/bin/php',
    web: { sapi: 'fpm', version: '8.2.7' },
    files: {
      ...tree('/var/www/vhosts/example.org/httpdocs/cloud'),
      ...php('/opt/plesk/php/8.2/bin/php', '8.2.7'),
      ...php('/opt/plesk/php/8.2/sbin/php-fpm', '8.2.7'),
      '/opt/plesk/php/8.2/etc/php-fpm.d/example.org.conf': pool(
        'example.org',
        '/var/www/vhosts/system/example.org/php-fpm.sock',
      ),
      '/opt/plesk/php/8.2/etc/php-fpm.d/other.org.conf': pool(
        'other.org',
        '/var/www/vhosts/system/other.org/php-fpm.sock',
      ),
      '/var/www/vhosts/system/example.org/conf/httpd.conf': apache(
        '/var/www/vhosts/example.org/httpdocs',
        'proxy:unix:/var/www/vhosts/system/example.org/php-fpm.sock|fcgi://127.0.0.1:9000',
      ),
    },
  },
];

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lk-layout-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function ncpatch(root: PretendRoot, ...argv: string[]): { exit: number; stdout: string; stderr: string } {
  return root.run([NODE, '--disable-warning=ExperimentalWarning', MAIN, ...argv]);
}

describe.runIf(canPretend())('detect', () => {
  test.each(LAYOUTS)('$name', (layout) => {
    const machine = new PretendRoot(folder, { ...passwd(layout.user), ...layout.files });
    const done = ncpatch(machine, 'detect', '--local', '--json');
    expect(done.stderr).toBe('');
    expect(JSON.parse(done.stdout)).toMatchObject({
      root: layout.root,
      configFile: layout.configFile,
      movedConfigDirectory: layout.moved ?? null,
      owner: { user: layout.user },
      cli: { program: layout.php },
      web: layout.web,
      instanceId: 'ocfake123456',
      dataDirectory: '/srv/cloud-data',
      app: { state: 'absent' },
    });
    const calls = readFileSync(join(folder, 'layer/up/var/tmp/php-calls'), 'utf8').trim().split('\n');
    const occ = calls.filter((line) => line.includes(`${layout.php} ${layout.user} `));
    expect(occ).toContain(`${layout.php} ${layout.user} config=${layout.moved ?? ''}`);
  });

  test('does not guess between two, names both, and takes --root', () => {
    const files = {
      ...passwd('lk-www'),
      ...php('/usr/bin/php', '8.2.1'),
      ...tree('/var/www/a'),
      ...tree('/srv/www/b'),
    };
    const machine = new PretendRoot(folder, files);
    const refused = ncpatch(machine, 'detect', '--local');
    expect(refused).toMatchObject({ exit: 2, stdout: '' });
    expect(refused.stderr).toContain('choose one with --root: /srv/www/b, /var/www/a\n');
    expect(ncpatch(machine, 'detect', '--local', '--root', '/srv/www/b').exit).toBe(0);
  });

  test('is not misled by other programs with an occ or a version.php', () => {
    const machine = new PretendRoot(folder, {
      '/var/www/blog/version.php': { text: "<?php $wp_version = '6';" },
      '/var/www/blog/occ': { text: '' },
      '/var/www/blog/lib/base.php': { text: '' },
    });
    const done = ncpatch(machine, 'detect', '--local');
    expect(done).toMatchObject({ exit: 1, stdout: '' });
    expect(done.stderr).toBe(
      'ncpatch: error: no nextcloud was found on the server\n' +
        'ncpatch: hint: name its folder, the one with version.php and occ in it: --root FOLDER\n',
    );
  });
});
