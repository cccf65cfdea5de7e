import type { Transport } from '../transports/transport.ts';
import { type FpmPool, parseFpmPools } from './fpm-pool.ts';
import { phpModuleOf } from './php-runtime.ts';
import { parseApache, parseNginx, type WebHost } from './web-server.ts';

/** The web server's and FPM's settings in one look, as far as they tell which PHP serves which folder. */
export interface ServerSettings {
  readonly hosts: readonly WebHost[];
  readonly pools: readonly FpmPool[];
  /** The PHP an Apache has loaded as a module. */
  readonly module: { readonly library: string; readonly version: string | null } | null;
}

const WEB_SERVER_PLACES = [
  '/etc/apache2/apache2.conf',
  '/etc/apache2/httpd.conf',
  '/etc/apache2/default-server.conf',
  ...['sites-enabled', 'conf-enabled', 'mods-enabled', 'vhosts.d', 'conf.d', 'plesk.conf.d'].map(
    (n) => `/etc/apache2/${n}`,
  ),
  ...['conf', 'conf.d', 'conf.modules.d', 'sites-enabled'].map((n) => `/etc/httpd/${n}`),
  '/etc/nginx/nginx.conf',
  ...['conf.d', 'sites-enabled', 'vhosts.d', 'servers', 'plesk.conf.d', 'default.d'].map((n) => `/etc/nginx/${n}`),
  '/var/www/vhosts/system',
];
const POOL_PLACES = [
  ...['/etc/php', '/etc/php7', '/etc/php8', '/etc/php-legacy', '/etc/php-fpm.d', '/etc/opt/remi'],
  ...['/opt/plesk/php', '/opt/cpanel', '/usr/local/etc/php-fpm.d'],
];
const TEXT_LIMIT = 32 * 1024 * 1024;

/** Reads all of them in two commands, because each costs a round trip. Places that are not there are no error. */
export async function readServerSettings(transport: Transport): Promise<ServerSettings> {
  const [web, fpm] = await Promise.all([
    collect(transport, ['*'], WEB_SERVER_PLACES),
    collect(transport, ['*.conf'], POOL_PLACES),
  ]);
  return settingsFrom(web, fpm);
}

/** Pure half of `readServerSettings`: file texts by path in, settings out. */
export function settingsFrom(web: ReadonlyMap<string, string>, fpm: ReadonlyMap<string, string>): ServerSettings {
  const hosts: WebHost[] = [];
  let module: ServerSettings['module'] = null;
  for (const [file, text] of web) {
    if (/(^|\/)nginx(\.conf$|\/)/.test(file)) hosts.push(...parseNginx(file, text));
    else {
      hosts.push(...parseApache(file, text));
      module ??= phpModuleOf(text);
    }
  }
  const pools = [...fpm].flatMap(([file, text]) => (/fpm/.test(file) ? parseFpmPools(file, text) : []));
  return { hosts, pools, module };
}

/** Lines that are neither empty nor comments, of each file below the places; grep follows the links in `sites-enabled`. */
async function collect(
  transport: Transport,
  names: readonly string[],
  places: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const result = await transport.run(
    [
      'grep',
      '-RHZsIv',
      ...names.map((name) => `--include=${name}`),
      '-e',
      '^[[:space:]]*[#;]',
      '-e',
      '^[[:space:]]*$',
      '--',
      ...places,
    ],
    { maxBytes: TEXT_LIMIT },
  );
  return splitByFile(result.stdout.toString('utf8'));
}

/** Takes apart grep's `path NUL line` form. */
export function splitByFile(text: string): ReadonlyMap<string, string> {
  const files = new Map<string, string[]>();
  for (const entry of text.split('\n')) {
    const end = entry.indexOf('\0');
    if (end <= 0) continue;
    const path = entry.slice(0, end);
    const lines = files.get(path);
    if (lines === undefined) files.set(path, [entry.slice(end + 1)]);
    else lines.push(entry.slice(end + 1));
  }
  return new Map([...files].map(([path, lines]) => [path, lines.join('\n')]));
}
