import type { WebPhp } from '../facts.ts';
import type { Transport } from '../transports/transport.ts';
import { type FpmPool, listensOn } from './fpm-pool.ts';
import { webPhpOf } from './php-answer.ts';
import { type PhpPlace, phpOfPoolFile } from './php-runtime.ts';
import type { ServerSettings } from './server-settings.ts';
import { hostServing, type WebHost } from './web-server.ts';

/** Which PHP serves a folder: a pool of FPM, or the module of Apache. */
export type ServingPhp =
  | { readonly sapi: 'fpm'; readonly pool: FpmPool; readonly place: PhpPlace | null }
  | { readonly sapi: 'module'; readonly place: PhpPlace };

/** Pure: finds the PHP behind `root`; `null` when the settings do not tell. */
export function servingPhp(root: string, settings: ServerSettings): ServingPhp | null {
  const host = hostServing(root, settings.hosts);
  const addresses = host === null ? [] : addressesOf(host, settings.hosts);
  const pool = settings.pools.find((candidate) => addresses.some((address) => listensOn(candidate, address)));
  if (pool !== undefined) return { sapi: 'fpm', pool, place: phpOfPoolFile(pool.file) };
  if (settings.module !== null && host?.server !== 'nginx') {
    const { version } = settings.module;
    const cli = [...(version === null ? [] : [`/usr/bin/php${version}`]), '/usr/bin/php'];
    return { sapi: 'module', place: { version, cli, fpm: [] } };
  }
  const [only, ...others] = settings.pools;
  return only !== undefined && others.length === 0
    ? { sapi: 'fpm', pool: only, place: phpOfPoolFile(only.file) }
    : null;
}

/** What the host names itself, else what its server names for all hosts. */
function addressesOf(host: WebHost, hosts: readonly WebHost[]): readonly string[] {
  if (host.php.length > 0) return host.php;
  return hosts
    .filter((other) => other.server === host.server && other.folders.length === 0)
    .flatMap((other) => other.php);
}

/** The folder that PHP gets as NEXTCLOUD_CONFIG_DIR, from the pool or the web server; `null` when none is set. */
export function configDirectoryFor(root: string, settings: ServerSettings): string | null {
  const serving = servingPhp(root, settings);
  const fromPool = serving?.sapi === 'fpm' ? serving.pool.env.NEXTCLOUD_CONFIG_DIR : undefined;
  const found = fromPool ?? hostServing(root, settings.hosts)?.configDir ?? null;
  return found?.startsWith('/') === true ? found.replace(/\/+$/, '') : null;
}

/** Asks that PHP for its settings and modules, and lays the pool's and the folder's own settings over them. */
export async function readWebPhp(transport: Transport, serving: ServingPhp, root: string): Promise<WebPhp> {
  const command = await commandFor(transport, serving);
  const unknown: WebPhp = {
    sapi: serving.sapi,
    version: serving.place?.version ?? null,
    iniFile: null,
    missingExtensions: null,
    apcu: null,
    exceptionArgsIgnored: null,
    sessionHandler: null,
    sessionPath: null,
    sessionsOnTmpfs: null,
  };
  if (command === null) return unknown;
  const [shown, listed, local] = await Promise.all([
    transport.run([...command, '-i']),
    transport.run([...command, '-m']),
    transport.readFile(`${root}/.user.ini`, { max: 65_536 }),
  ]);
  const pool = serving.sapi === 'fpm' ? serving.pool.ini : {};
  const over = { ...userIni(local?.toString('utf8') ?? ''), ...pool };
  const seenAt = (folder: string): Promise<string> => Promise.resolve(folder);
  return (await webPhpOf(transport, { sapi: serving.sapi, shown, listed, over, seenAt })) ?? unknown;
}

/** The program that tells the settings of the PHP that serves; `null` where none is known or there. */
export async function commandFor(transport: Transport, serving: ServingPhp): Promise<[string, ...string[]] | null> {
  const { place } = serving;
  if (place === null) return null;
  const program = await firstThere(transport, serving.sapi === 'fpm' ? place.fpm : place.cli);
  if (program === null) return null;
  const debian = `/etc/php/${place.version}/apache2`;
  if (serving.sapi === 'fpm' || place.version === null || (await transport.stat(debian)) === null) return [program];
  return ['env', `PHP_INI_SCAN_DIR=${debian}/conf.d`, program, '-c', `${debian}/php.ini`];
}

/** The first of these programs that exists. */
export async function firstThere(transport: Transport, paths: readonly string[]): Promise<string | null> {
  for (const path of paths) if ((await transport.realPath(path)) !== null) return path;
  return null;
}

function userIni(text: string): Record<string, string> {
  const lines = text.matchAll(/^\s*([a-z][\w.]*)\s*=\s*"?([^"\n;]*?)"?\s*(?:;.*)?$/gim);
  return Object.fromEntries([...lines].map((match) => [match[1] ?? '', match[2] ?? '']));
}
