import type { WebPhp } from '../facts.ts';
import { isOn } from '../targets/php-runtime.ts';
import { type Finding, info, ok, type Repair, shellWord, unknown, warn } from './finding.ts';

/** What one PHP says of itself, with what its pool lays over it. */
export interface PhpSeen {
  readonly version: string;
  readonly iniFile: string | null;
  /** Folder of further settings files, read after the main one. */
  readonly iniFolder: string | null;
  readonly exceptionIgnoreArgs: string;
  readonly opcacheFiles: string;
  readonly apcuFile: string;
}

export interface PhpEvidence {
  readonly cli: PhpSeen | null;
  /** What is known of the web's PHP by any way. */
  readonly web: WebPhp | null;
  /** The web's PHP asked by itself; `null` where only `web` is known. */
  readonly serving: PhpSeen | null;
  readonly pool: { readonly file: string; readonly user: string | null; readonly sets: readonly string[] } | null;
  /** ms since 1970: newest change of the settings, start of the oldest worker. */
  readonly times: { readonly changed: number; readonly workersSince: number } | null;
  /** Whether a settings file written there stays and is read. */
  readonly mendable: boolean;
}

export const INI_NAME = '99-latchkey.ini';
const IGNORE_ARGS = 'zend.exception_ignore_args';
const INI_TEXT = `; written by "ncpatch doctor --fix": arguments of failed calls, keys among them, stay out of logs
${IGNORE_ARGS} = On
`;

/** Pure: settings of PHP by which keys or the secret reach a disk, or which slow the app down. */
export function phpFindings(evidence: PhpEvidence): Finding[] {
  const { cli, serving, web } = evidence;
  const found: Finding[] = [];
  if (cli === null) found.push(unknown('cli_php_unknown', 'the PHP of occ could not be asked for its settings'));
  else found.push(args(evidence, 'the command line', cli, null));
  if (serving !== null) found.push(args(evidence, 'the web', serving, evidence.pool));
  else if (web?.exceptionArgsIgnored == null) {
    found.push(
      unknown('web_php_unknown', "the settings of the web's PHP could not be told", {
        fix: `look at ${IGNORE_ARGS} on the system page of the admin settings`,
      }),
    );
  } else if (web.exceptionArgsIgnored)
    found.push(ok('args_kept_out', 'exceptions of the web are logged without arguments'));
  else found.push(logged('the web', null, null));
  for (const [words, seen] of [
    ['the web', serving],
    ['the command line', cli],
  ] as const) {
    if (seen !== null) found.push(...onDisk(words, seen));
  }
  return [...found, ...apcu(web), ...reload(evidence)];
}

function args(evidence: PhpEvidence, words: string, seen: PhpSeen, pool: PhpEvidence['pool']): Finding {
  if (isOn(seen.exceptionIgnoreArgs)) return ok('args_kept_out', `exceptions of ${words} are logged without arguments`);
  if (pool?.sets.includes(IGNORE_ARGS) === true) return logged(words, pool.file, null);
  const path = seen.iniFolder === null ? null : `${seen.iniFolder}/${INI_NAME}`;
  const repair: Repair | null =
    path !== null && evidence.mendable ? { kind: 'write_ini', path, content: INI_TEXT } : null;
  return logged(words, path ?? seen.iniFile, repair);
}

function logged(words: string, file: string | null, repair: Repair | null): Finding {
  return warn(
    words === 'the web' ? 'exception_args_logged_web' : 'exception_args_logged_cli',
    `PHP for ${words} writes arguments of failed calls into the log`,
    {
      why: 'a failed decryption then logs the master key in clear; nextcloud hides only some of the calls',
      fix: `set ${IGNORE_ARGS} = On${file === null ? '' : ` in ${file}`}, then reload PHP`,
      repair,
    },
  );
}

function onDisk(words: string, seen: PhpSeen): Finding[] {
  const found: Finding[] = [];
  if (seen.opcacheFiles !== '') {
    found.push(
      warn('opcache_on_disk', `PHP for ${words} keeps compiled code in ${seen.opcacheFiles}`, {
        why: 'config.php is code: its secret lies there a second time, and goes along with backups of that folder',
        fix: `unset opcache.file_cache, reload PHP, then: rm -r ${shellWord(seen.opcacheFiles)}`,
      }),
    );
  }
  // anonymous memory, or a file in memory
  if (seen.apcuFile !== '' && seen.apcuFile !== '/dev/zero' && !/^\/(?:dev\/shm|run)\//.test(seen.apcuFile)) {
    found.push(
      warn('apcu_on_disk', `PHP for ${words} maps the memory of APCu to ${seen.apcuFile}`, {
        why: 'the app keeps keys out of it then, and asks the key server more often',
        fix: 'take apc.mmap_file_mask out of its settings',
      }),
    );
  }
  return found;
}

function apcu(web: WebPhp | null): Finding[] {
  if (web === null || web.apcu === null) return [info('apcu_unknown', 'whether the web has APCu could not be told')];
  if (web.apcu) return [ok('apcu', 'the web has APCu')];
  return [
    warn('apcu_missing', 'PHP has no APCu for the web', {
      why: 'each request without a session asks the key server',
      fix: 'install the apcu extension and restart PHP',
    }),
  ];
}

function reload({ times, serving }: PhpEvidence): Finding[] {
  // processes and files are timed by different clocks, a second apart at most
  if (times === null || times.changed <= times.workersSince + 2000) return [];
  return [
    warn('php_reload_due', "PHP's settings were changed after its workers began", {
      why: 'they go on with the old ones, whatever is said here of the new',
      fix: `systemctl reload php${serving === null ? '' : serving.version.split('.').slice(0, 2).join('.')}-fpm`,
    }),
  ];
}
