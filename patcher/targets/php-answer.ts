import type { WebPhp } from '../facts.ts';
import type { RunResult, Transport } from '../transports/transport.ts';
import { isOn, parsePhpInfo } from './php-runtime.ts';

/** Extensions the app cannot do without. */
export const NEEDED_EXTENSIONS = ['curl', 'openssl'] as const;

/** What a PHP said of itself (`-i`, `-m`), and how that is to be understood. */
export interface PhpAnswer {
  readonly sapi: WebPhp['sapi'];
  readonly shown: RunResult;
  readonly listed: RunResult;
  /** Settings of a pool or a folder, which are laid over its own. */
  readonly over: Readonly<Record<string, string>>;
  /** Where a folder that PHP names lies for the transport; `null` where it is not to be seen. */
  readonly seenAt: (folder: string) => Promise<string | null>;
}

/** The PHP of a web server by what it said; `null` when that was no answer. */
export async function webPhpOf(transport: Transport, answer: PhpAnswer): Promise<WebPhp | null> {
  const info = parsePhpInfo(answer.shown.stdout.toString('utf8'));
  if (info === null) return null;
  const setting = (name: string): string => answer.over[name] ?? info.settings.get(name) ?? '';
  const modules = new Set(answer.listed.stdout.toString('utf8').toLowerCase().split('\n'));
  const handler = setting('session.save_handler');
  const path = handler === 'files' ? await answer.seenAt(sessionFolder(setting)) : null;
  return {
    sapi: answer.sapi,
    version: info.version,
    iniFile: info.iniFile,
    missingExtensions: NEEDED_EXTENSIONS.filter((name) => !modules.has(name)),
    apcu: modules.has('apcu') && isOn(setting('apc.enabled')),
    exceptionArgsIgnored: isOn(setting('zend.exception_ignore_args')),
    sessionHandler: handler,
    sessionPath: path,
    sessionsOnTmpfs: path === null ? null : await isTmpfs(transport, path),
    ...opcache(setting),
  };
}

function opcache(setting: (name: string) => string): Pick<WebPhp, 'opcacheSeconds' | 'opcacheFolder'> {
  if (!isOn(setting('opcache.enable'))) return { opcacheSeconds: null, opcacheFolder: null };
  const seconds = setting('opcache.revalidate_freq');
  const folder = setting('opcache.file_cache');
  return {
    opcacheSeconds: /^[0-9]{1,9}$/.test(seconds) ? Number(seconds) : null,
    opcacheFolder: folder === '' ? null : folder,
  };
}

/** `save_path` may start with a depth and a mode: `2;0600;/folder`. Empty means the folder for temporary files. */
function sessionFolder(setting: (name: string) => string): string {
  const path = setting('session.save_path');
  const temporary = setting('sys_temp_dir');
  const folder = path.slice(path.lastIndexOf(';') + 1).trim();
  return folder !== '' ? folder : temporary !== '' ? temporary : '/tmp';
}

async function isTmpfs(transport: Transport, path: string): Promise<boolean | null> {
  const result = await transport.run(['stat', '-f', '-c', '%T', path]);
  return result.exit === 0 ? /^(tmpfs|ramfs)$/.test(result.stdout.toString('utf8').trim()) : null;
}
