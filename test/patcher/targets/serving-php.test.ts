import { expect, test } from 'vitest';
import { listensOn, parseFpmPools } from '../../../patcher/targets/fpm-pool.ts';
import { parsePhpInfo, phpModuleOf, phpOfPoolFile } from '../../../patcher/targets/php-runtime.ts';
import { settingsFrom, splitByFile } from '../../../patcher/targets/server-settings.ts';
import { configDirectoryFor, servingPhp } from '../../../patcher/targets/serving-php.ts';
import { hostServing, parseApache, parseNginx } from '../../../patcher/targets/web-server.ts';

const NGINX = `
# the ordinary set-up of the manual
upstream php-handler {
    server unix:/run/php/php8.3-fpm.sock; # with a comment; and a semicolon
}
server {
    listen 443 ssl;
    root "/var/www/nextcloud";
    location ~ \\.php(?:$|/) {
        fastcgi_param NEXTCLOUD_CONFIG_DIR /etc/nextcloud;
        fastcgi_pass php-handler;
    }
}
server { root /var/www/blog; location ~ \\.php$ { fastcgi_pass unix:/run/php/php7.4-fpm.sock; } }
`;
const APACHE = `
Define ROOT /srv/www/htdocs
<VirtualHost *:443>
  DocumentRoot \${ROOT}/nextcloud/
  SetEnv NEXTCLOUD_CONFIG_DIR "/etc/nextcloud"
  <FilesMatch "\\.php$">
    SetHandler "proxy:unix:/run/php-fpm/cloud.sock|fcgi://localhost"
  </FilesMatch>
</VirtualHost>
<VirtualHost *:80>
  DocumentRoot /srv/www/other
  ProxyPassMatch ^/(.*\\.php)$ fcgi://127.0.0.1:9001/srv/www/other/$1
</VirtualHost>
`;
const POOL = (name: string, listen: string, more = ''): string =>
  `[global]\nerror_log = /x\n[${name}]\nuser = ${name}\nlisten = ${listen}\n${more}`;

test('parseNginx() puts upstreams in and keeps the hosts apart', () => {
  const hosts = parseNginx('/etc/nginx/sites-enabled/cloud', NGINX);
  expect(hosts).toMatchObject([
    { folders: ['/var/www/nextcloud'], php: ['/run/php/php8.3-fpm.sock'], configDir: '/etc/nextcloud' },
    { folders: ['/var/www/blog'], php: ['/run/php/php7.4-fpm.sock'], configDir: null },
  ]);
});

test('parseApache() reads virtual hosts with definitions, sockets and ports', () => {
  expect(parseApache('/etc/httpd/conf.d/cloud.conf', APACHE)).toMatchObject([
    { folders: ['/srv/www/htdocs/nextcloud'], php: ['/run/php-fpm/cloud.sock'], configDir: '/etc/nextcloud' },
    { folders: ['/srv/www/other'], php: ['127.0.0.1:9001'] },
  ]);
});

test('parseFpmPools() lets an admin value win over a plain one, in either order', () => {
  const text = POOL('www', '/run/$pool.sock', 'php_admin_value[a.b] = 1\nphp_value[a.b] = 2\nenv[X] = "y z" ; why\n');
  expect(parseFpmPools('/f', text)).toEqual([
    { file: '/f', name: 'www', user: 'www', listen: '/run/www.sock', env: { X: 'y z' }, ini: { 'a.b': '1' } },
  ]);
});

test.each([
  ['/run/php/a.sock', 'unix:/var/run/php/a.sock', true],
  ['9000', '127.0.0.1:9000', true],
  ['[::]:9000', 'localhost:9000', true],
  ['/run/php/a.sock', '/run/php/b.sock', false],
  ['9000', '127.0.0.1:9001', false],
])('a pool on %s and a server that talks to %s: %s', (listen, address, same) => {
  const [pool] = parseFpmPools('/f', POOL('www', listen));
  expect(pool !== undefined && listensOn(pool, address)).toBe(same);
});

test.each([
  ['/etc/php/8.3/fpm/pool.d/www.conf', '/usr/bin/php8.3'],
  ['/etc/opt/remi/php82/php-fpm.d/www.conf', '/opt/remi/php82/root/usr/bin/php'],
  ['/opt/plesk/php/8.2/etc/php-fpm.d/example.org.conf', '/opt/plesk/php/8.2/bin/php'],
  ['/opt/cpanel/ea-php83/root/etc/php-fpm.d/u.conf', '/opt/cpanel/ea-php83/root/usr/bin/php'],
  ['/etc/php8/fpm/php-fpm.d/www.conf', '/usr/bin/php8'],
  ['/etc/php-legacy/php-fpm.d/www.conf', '/usr/bin/php-legacy'],
  ['/etc/php/php-fpm.d/www.conf', '/usr/bin/php'],
  ['/etc/php-fpm.d/www.conf', '/usr/bin/php'],
])('the pool file %s belongs to %s', (file, program) => {
  expect(phpOfPoolFile(file)?.cli[0]).toBe(program);
});

test('phpOfPoolFile() does not guess for a layout it does not know', () => {
  expect(phpOfPoolFile('/srv/custom/fpm/www.conf')).toBeNull();
});

test('servingPhp() takes the pool behind the host that serves the folder, among several', () => {
  const settings = settingsFrom(
    new Map([['/etc/nginx/sites-enabled/cloud', NGINX]]),
    new Map([
      ['/etc/php/7.4/fpm/pool.d/www.conf', POOL('www', '/run/php/php7.4-fpm.sock')],
      ['/etc/php/8.3/fpm/pool.d/www.conf', POOL('www', '/run/php/php8.3-fpm.sock')],
    ]),
  );
  expect(servingPhp('/var/www/nextcloud', settings)).toMatchObject({ sapi: 'fpm', place: { version: '8.3' } });
  expect(servingPhp('/var/www/blog', settings)).toMatchObject({ place: { version: '7.4' } });
  expect(configDirectoryFor('/var/www/nextcloud', settings)).toBe('/etc/nextcloud');
  expect(configDirectoryFor('/var/www/blog', settings)).toBeNull();
});

test('servingPhp() does not choose between two pools that nothing points at', () => {
  const pools = new Map([
    ['/etc/php/7.4/fpm/pool.d/www.conf', POOL('www', '/a')],
    ['/etc/php/8.3/fpm/pool.d/www.conf', POOL('www', '/b')],
  ]);
  expect(servingPhp('/var/www/nextcloud', settingsFrom(new Map(), pools))).toBeNull();
});

test('servingPhp() takes a handler that Apache sets for all hosts', () => {
  const web = new Map([
    ['/etc/apache2/sites-enabled/c.conf', '<VirtualHost *:80>\nDocumentRoot /var/www/html\n</VirtualHost>\n'],
    [
      '/etc/apache2/conf-enabled/php8.2-fpm.conf',
      'SetHandler "proxy:unix:/run/php/php8.2-fpm.sock|fcgi://localhost"\n',
    ],
  ]);
  const fpm = new Map([
    ['/etc/php/8.2/fpm/pool.d/www.conf', POOL('www', '/run/php/php8.2-fpm.sock')],
    ['/etc/php/8.4/fpm/pool.d/www.conf', POOL('www', '/run/php/php8.4-fpm.sock')],
  ]);
  expect(servingPhp('/var/www/html/nextcloud', settingsFrom(web, fpm))).toMatchObject({ place: { version: '8.2' } });
});

test("servingPhp() takes Apache's module where no pool is spoken to", () => {
  const web = new Map([
    ['/etc/apache2/mods-enabled/php8.2.load', 'LoadModule php_module /usr/lib/apache2/modules/libphp8.2.so'],
    ['/etc/apache2/sites-enabled/c.conf', '<VirtualHost *:80>\nDocumentRoot /var/www/nextcloud\n</VirtualHost>'],
  ]);
  expect(servingPhp('/var/www/nextcloud', settingsFrom(web, new Map()))).toEqual({
    sapi: 'module',
    place: { version: '8.2', cli: ['/usr/bin/php8.2', '/usr/bin/php'], fpm: [] },
  });
});

test('phpModuleOf() is not fooled by a comment', () => {
  expect(phpModuleOf('# LoadModule php_module /x/libphp8.2.so')).toBeNull();
});

test('hostServing() prefers the folder itself to one above it', () => {
  const hosts = parseNginx('/etc/nginx/a', 'server { root /var/www; } server { root /var/www/nextcloud; }');
  expect(hostServing('/var/www/nextcloud', hosts)?.folders).toEqual(['/var/www/nextcloud']);
  expect(hostServing('/var/www/nextcloud2', hosts)?.folders).toEqual(['/var/www']);
  expect(hostServing('/srv/www', hosts)).toBeNull();
});

test('parsePhpInfo() reads the values in force, and is null for other text', () => {
  const text =
    'PHP Version => 8.2.1\nLoaded Configuration File => /etc/php.ini\nzend.exception_ignore_args => On => Off\nsession.save_path => no value => no value\n';
  const info = parsePhpInfo(text);
  expect(info).toMatchObject({ version: '8.2.1', iniFile: '/etc/php.ini' });
  expect(info?.settings.get('zend.exception_ignore_args')).toBe('On');
  expect(info?.settings.get('session.save_path')).toBe('');
  expect(parsePhpInfo('command not found')).toBeNull();
});

test('splitByFile() keeps colons and empty values', () => {
  expect(splitByFile('/a:b\0x: 1\n/a:b\0y\n/c\0z\n')).toEqual(
    new Map([
      ['/a:b', 'x: 1\ny'],
      ['/c', 'z'],
    ]),
  );
});
