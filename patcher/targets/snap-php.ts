import type { WebPhp } from '../facts.ts';
import type { Transport } from '../transports/transport.ts';
import { parseFpmPools } from './fpm-pool.ts';
import { isOn, parsePhpInfo } from './php-runtime.ts';
import { NEEDED_EXTENSIONS } from './serving-php.ts';
import { SNAP_PRIVATE_TMP } from './snap-places.ts';
import type { RunPhp } from './target.ts';

/**
 * The PHP that serves the snap. Its FPM reads the same php.ini as the command line, so that is asked, and the pool's own
 * settings are laid over the answer.
 */
export async function readSnapPhp(transport: Transport, mount: string, runPhp: RunPhp): Promise<WebPhp | null> {
  const pool = `${mount}/current/config/php/php-fpm.d/www.conf`;
  const [shown, listed, poolText] = await Promise.all([
    runPhp(['-i']),
    runPhp(['-m']),
    transport.readFile(pool, { max: 262_144 }),
  ]);
  const info = parsePhpInfo(shown.stdout.toString('utf8'));
  if (info === null) return null;
  const over = poolText === null ? {} : (parseFpmPools(pool, poolText.toString('utf8'))[0]?.ini ?? {});
  const setting = (name: string): string => over[name] ?? info.settings.get(name) ?? '';
  const modules = new Set(listed.stdout.toString('utf8').toLowerCase().split('\n'));
  const handler = setting('session.save_handler');
  const path = handler === 'files' ? await onMachine(transport, sessionFolder(setting)) : null;
  return {
    sapi: 'fpm',
    version: info.version,
    iniFile: info.iniFile,
    missingExtensions: NEEDED_EXTENSIONS.filter((name) => !modules.has(name)),
    apcu: modules.has('apcu') && isOn(setting('apc.enabled')),
    exceptionArgsIgnored: isOn(setting('zend.exception_ignore_args')),
    sessionHandler: handler,
    sessionPath: path,
    sessionsOnTmpfs: path === null ? null : await isTmpfs(transport, path),
  };
}

function sessionFolder(setting: (name: string) => string): string {
  const path = setting('session.save_path');
  const folder = path.slice(path.lastIndexOf(';') + 1).trim();
  return folder !== '' ? folder : setting('sys_temp_dir') !== '' ? setting('sys_temp_dir') : '/tmp';
}

/** What the snap calls /tmp is a folder of its own; anywhere else the names are the same on both sides. */
async function onMachine(transport: Transport, folder: string): Promise<string | null> {
  if (folder !== '/tmp' && !folder.startsWith('/tmp/')) return folder;
  for (const place of SNAP_PRIVATE_TMP) {
    if ((await transport.stat(place)) !== null) return `${place}${folder.slice('/tmp'.length)}`;
  }
  return null;
}

async function isTmpfs(transport: Transport, path: string): Promise<boolean | null> {
  const result = await transport.run(['stat', '-f', '-c', '%T', path]);
  return result.exit === 0 ? /^(tmpfs|ramfs)$/.test(result.stdout.toString('utf8').trim()) : null;
}
