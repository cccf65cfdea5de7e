import type { Facts } from '../facts.ts';
import { bad, dayOf, type Finding, info, ok, shellWord, spanWords, unknown, warn } from './finding.ts';
import { supportOf } from './nextcloud-releases.ts';

export interface UpkeepEvidence {
  /** What stands before a command among Nextcloud's files, for whoever is on the machine. */
  readonly door: string;
  readonly facts: Facts | null;
  /** Whether the settings are what Nextcloud works with, and not only what could be read of config.php. */
  readonly known: boolean;
  readonly debug: boolean;
  readonly logLevel: number | null;
  readonly integrityOff: boolean;
  readonly maintenance: boolean;
  /** `cron`, `ajax` or `webcron`; `null` where it is not known. */
  readonly jobs: string | null;
  /** ms since 1970, 0 for never. */
  readonly lastJob: number | null;
  readonly nowThere: number;
  readonly config: { readonly path: string; readonly mode: string; readonly owner: string } | null;
  /** Who the web's PHP runs as, where that is known. */
  readonly poolUser: string | null;
  readonly data: { readonly path: string; readonly mode: string; readonly owner: string } | null;
  /** False where nobody could say which folder it is. */
  readonly dataKnown: boolean;
  readonly dataBelowRoot: boolean;
  readonly hasHtaccess: boolean;
  readonly address: string | null;
}

const HALF_YEAR_MS = 183 * 24 * 3_600_000;
const MONTH_MS = 31 * 24 * 3_600_000;
const HOUR_MS = 3_600_000;

/** Pure: how Nextcloud itself is kept, as far as keys depend on it. */
export function upkeepFindings(evidence: UpkeepEvidence, now: number): Finding[] {
  return [...release(evidence, now), ...switches(evidence), ...jobs(evidence), ...config(evidence), ...data(evidence)];
}

function release({ facts }: UpkeepEvidence, now: number): Finding[] {
  if (facts === null) return [];
  const { major, versionString } = facts.version;
  const support = supportOf(major);
  if (support === null) {
    return [info('release_unknown', `nextcloud ${versionString} is newer than the dates known here`)];
  }
  const fix = 'upgrade nextcloud, one major release at a time; then: ncpatch apply';
  const why = 'holes found from then on stay open, and a hole in nextcloud reads what it decrypts';
  if (support.until === null || now > support.until) {
    const since = support.until === null ? '' : ` since ${dayOf(support.until)}`;
    return [warn('release_ended', `nextcloud ${major} gets no fixes any more${since}`, { why, fix })];
  }
  if (support.until - now < MONTH_MS)
    return [warn('release_ending', `nextcloud ${major} gets fixes until ${dayOf(support.until)}`, { why, fix })];
  const report = support.until - now < HALF_YEAR_MS / 2 ? info : ok;
  return [report('release', `nextcloud ${versionString}, with fixes until ${dayOf(support.until)}`)];
}

function switches({ known, debug, logLevel, integrityOff, maintenance }: UpkeepEvidence): Finding[] {
  const found: Finding[] = [];
  if (debug) {
    found.push(
      warn('debug_on', '"debug" is on in config.php', {
        why: 'errors are shown and logged at length, to whoever causes them',
        fix: 'occ config:system:delete debug',
      }),
    );
  }
  if (logLevel === 0) {
    found.push(
      warn('log_level', '"loglevel" is 0: everything is logged', {
        why: 'the more is logged, the likelier a secret is among it',
        fix: 'occ config:system:set loglevel --value 2 --type integer',
      }),
    );
  }
  if (integrityOff) {
    found.push(
      warn('integrity_off', '"integrity.check.disabled" is on: nextcloud does not notice changed code', {
        why: 'changed code can read the key; "ncpatch audit" still tells',
        fix: 'occ config:system:delete integrity.check.disabled',
      }),
    );
  }
  if (maintenance) {
    found.push(
      warn('maintenance_mode', 'nextcloud is in maintenance mode', {
        why: 'nobody can use it; the app works behind it',
        fix: 'once its cause is gone: occ maintenance:mode --off',
      }),
    );
  }
  if (found.length > 0) return found;
  return known
    ? [ok('switches', 'no debug, no full log, integrity check on')]
    : [unknown('settings_unknown', 'settings were read as text only, as occ does not run')];
}

function jobs({ jobs: mode, lastJob, nowThere }: UpkeepEvidence): Finding[] {
  if (mode === null || lastJob === null)
    return [unknown('jobs_unknown', 'how background jobs are run could not be told')];
  const why = 'they renew the certificate of this server, and keep the log from growing for ever';
  const fix = 'run cron.php every 5 minutes as the owner of config.php; occ background:cron';
  const age = nowThere - lastJob;
  if (lastJob === 0) return [warn('jobs_never', 'no background job has ever run', { why, fix })];
  if (age > 24 * HOUR_MS)
    return [warn('jobs_late', `background jobs (${mode}) last ran ${spanWords(age)} ago`, { why, fix })];
  if (mode !== 'cron')
    return [info('jobs_mode', `background jobs are run by ${mode}, last ${spanWords(age)} ago`, { why, fix })];
  if (age > HOUR_MS) return [warn('jobs_late', `cron last ran ${spanWords(age)} ago`, { why, fix })];
  return [ok('jobs', `cron ran ${spanWords(age)} ago`)];
}

function config({ config: file, facts, poolUser, door }: UpkeepEvidence): Finding[] {
  if (file === null) return [bad('config_missing', 'config.php is not there', { fix: 'bring it back from a backup' })];
  const bits = Number.parseInt(file.mode, 8);
  if ((bits & 0o007) === 0) return [ok('config_closed', 'config.php is closed to others')];
  const closed = bits & 0o770;
  // what serves the web may read it by those very bits, unless it is the owner
  const isSafe = poolUser !== null && poolUser === file.owner;
  return [
    warn('config_open', `${file.path} is open to every user of the server (mode ${file.mode})`, {
      why: 'its secret is half of what opens the keys, and the password of the database is in it too',
      fix: `${door}chmod ${closed.toString(8)} ${shellWord(file.path)}${facts === null || isSafe ? '' : ' (first see that the web server runs PHP as its owner)'}`,
      repair: isSafe ? { kind: 'close_path', path: file.path, mode: closed, owner: file.owner } : null,
    }),
  ];
}

function data({ data: folder, dataBelowRoot, hasHtaccess, address, dataKnown, door }: UpkeepEvidence): Finding[] {
  if (!dataKnown) return [unknown('data_unknown', 'which folder the data directory is could not be read')];
  if (folder === null)
    return [bad('data_missing', 'the data directory is not there', { fix: 'see that its disk is mounted' })];
  const found: Finding[] = [];
  if ((Number.parseInt(folder.mode, 8) & 0o007) !== 0) {
    found.push(
      warn('data_open', `${folder.path} can be listed by every user of the server (mode ${folder.mode})`, {
        why: 'names of users and files, share keys and the log are in there',
        fix: `${door}chmod o-rwx ${shellWord(folder.path)}`,
      }),
    );
  }
  if (dataBelowRoot) {
    const test = `curl -sI ${address ?? 'https://CLOUD'}/data/.ncdata must not say 200`;
    found.push(
      hasHtaccess
        ? info('data_in_web', 'the data directory is below the web root; apache is told to keep out, nginx must be', {
            fix: test,
          })
        : warn('data_in_web', 'the data directory is below the web root, without the .htaccess that shields it', {
            why: 'a web server that serves it gives away keys, share keys and the log',
            fix: `occ maintenance:update:htaccess; ${test}`,
          }),
    );
  }
  return found.length === 0 ? [ok('data_closed', 'the data directory is closed to others')] : found;
}
