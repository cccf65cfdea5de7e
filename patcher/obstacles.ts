import { LatchkeyError } from '../platform/errors.ts';
import type { Facts, Obstacle } from './facts.ts';
import { containerObstacles, exceptionArgsHint } from './targets/container-obstacles.ts';
import { platformObstacles } from './targets/platform-obstacles.ts';
import { snapObstacles } from './targets/snap-obstacles.ts';
import { compareVersions } from './targets/version-file.ts';

/** The majors of Nextcloud that the app was made for; others are told, not refused. */
const KNOWN_MAJORS = { first: 28, last: 35 };
const OLDEST_PHP = '8.0';

/** Pure: what stands in the way of a Nextcloud whose keys live elsewhere, the blocking ones first. */
export function obstaclesOf(facts: Facts): Obstacle[] {
  const found = [
    ...platform(facts),
    ...nextcloud(facts),
    ...encryption(facts),
    ...leaks(facts),
    ...snapObstacles(facts),
  ];
  found.push(...containerObstacles(facts), ...platformObstacles(facts));
  return [...found.filter((o) => o.blocking), ...found.filter((o) => !o.blocking)];
}

/** Throws the first obstacle that blocks, under its own code (exit 3). */
export function refuseObstacles(obstacles: readonly Obstacle[]): void {
  const first = obstacles.find((obstacle) => obstacle.blocking);
  if (first === undefined) return;
  const more = obstacles.filter((obstacle) => obstacle.blocking).length - 1;
  throw new LatchkeyError(first.code, first.message + (more > 0 ? ` (and ${more} more, see "detect")` : ''), {
    exit: 3,
    hint: first.hint,
  });
}

function blocker(code: string, message: string, hint: string): Obstacle {
  return { code, message, hint, blocking: true };
}

function warning(code: string, message: string, hint: string): Obstacle {
  return { code, message, hint, blocking: false };
}

function platform(facts: Facts): Obstacle[] {
  const found: Obstacle[] = [];
  if (!facts.isRoot) {
    found.push(
      blocker(
        'not_root',
        'the account on the server cannot become root',
        'connect as root, or add --sudo for an account with sudo',
      ),
    );
  }
  if (compareVersions(facts.cli.version, OLDEST_PHP) < 0) {
    found.push(
      blocker(
        'php_too_old',
        `php ${facts.cli.version} is too old, ${OLDEST_PHP} is needed`,
        'choose another PHP with --php PROGRAM',
      ),
    );
  }
  const missing = new Set([...facts.cli.missingExtensions, ...(facts.web?.missingExtensions ?? [])]);
  if (missing.size > 0) {
    const names = [...missing].join(', ');
    found.push(
      blocker('php_extension_missing', `php lacks ${names}`, `install the php extension packages for ${names}`),
    );
  }
  if (facts.web === null) {
    found.push(
      warning(
        'web_php_unknown',
        'which PHP serves this Nextcloud could not be told from the web server and FPM settings',
        'compare "php -v" with the admin pages; choose the command-line PHP with --php PROGRAM',
      ),
    );
  } else if (facts.web.version !== null && minor(facts.web.version) !== minor(facts.cli.version)) {
    found.push(
      warning(
        'php_versions_differ',
        `the web server runs php ${facts.web.version}, occ runs on ${facts.cli.version}`,
        'install the command-line PHP of the same version, or name it with --php PROGRAM',
      ),
    );
  }
  if (facts.web?.apcu === false) {
    found.push(
      warning(
        'apcu_missing',
        'php has no APCu for the web server: each request without a session asks the key server',
        facts.snap === undefined
          ? 'install the apcu extension and restart PHP'
          : 'the snap brings it from 33.0.5snap1 on',
      ),
    );
  }
  if (facts.scheduler === 'none') {
    found.push(
      warning(
        'no_scheduler',
        'neither systemd nor /etc/cron.d is there, so nothing sends the heartbeat',
        'run the heartbeat script of the app once a minute by other means',
      ),
    );
  } else if (facts.missingPrograms.length > 0) {
    const names = facts.missingPrograms.join(', ');
    found.push(
      warning('heartbeat_program_missing', `the heartbeat needs ${names} beside Nextcloud`, `install ${names} there`),
    );
  }
  if (facts.selinuxEnforcing) {
    found.push(
      warning(
        'selinux_enforcing',
        'SELinux is enforcing: PHP may connect nowhere by itself',
        'setsebool -P httpd_can_network_connect on',
      ),
    );
  }
  return found;
}

function minor(version: string): string {
  return version.split('.').slice(0, 2).join('.');
}

function nextcloud(facts: Facts): Obstacle[] {
  const found: Obstacle[] = [];
  if (facts.maintenance) {
    found.push(
      warning(
        'maintenance_mode',
        'nextcloud is in maintenance mode; the app is brought up behind it, and it stays on',
        'occ maintenance:mode --off, once its cause is gone and "apply" is done',
      ),
    );
  }
  if (facts.databaseVersion !== facts.version.version) {
    found.push(
      blocker(
        'upgrade_pending',
        `nextcloud's files are ${facts.version.version}, its database is at ${facts.databaseVersion}`,
        'finish the upgrade with "occ upgrade", then run this again',
      ),
    );
  } else if (facts.needsUpgrade && !isOurUpgrade(facts)) {
    found.push(blocker('upgrade_pending', 'an app waits for "occ upgrade"', 'run "occ upgrade", then this again'));
  }
  const { major } = facts.version;
  if (major < KNOWN_MAJORS.first) {
    found.push(
      blocker(
        'nextcloud_too_old',
        `nextcloud ${facts.version.versionString} is too old`,
        `upgrade to ${KNOWN_MAJORS.first} or newer`,
      ),
    );
  } else if (major > KNOWN_MAJORS.last) {
    found.push(
      warning(
        'nextcloud_unknown',
        `nextcloud ${major} is newer than what this was made for`,
        'try it on a copy first: "verify" tells whether it works',
      ),
    );
  }
  if (facts.version.channel === 'git') {
    found.push(
      warning('channel_git', 'the release channel is "git", which switches the integrity check off', 'use a release'),
    );
  }
  return found;
}

/** True when the only thing that waits for `occ upgrade` is our own app with other files than the database knows. */
export function isOurUpgrade(facts: Facts): boolean {
  const { enabled, installedVersion, files } = facts.app;
  return enabled && files !== null && installedVersion !== null && files.version !== installedVersion;
}

function encryption(facts: Facts): Obstacle[] {
  const { mode, masterKeyId, privateKeys } = facts.encryption;
  if (mode === 'off') {
    return [
      warning(
        'encryption_off',
        'server-side encryption is off, so there is no key to move',
        'occ app:enable encryption; occ encryption:enable; occ encryption:enable-master-key',
      ),
    ];
  }
  const found: Obstacle[] = [];
  if (mode === 'user') {
    found.push(
      warning(
        'user_keys',
        'files are sealed to keys of single users, which are protected by their passwords and stay where they are',
        'only system keys can be moved; master-key mode is what this is made for',
      ),
    );
  }
  if (mode === 'master' && masterKeyId === null) {
    found.push(
      blocker(
        'master_key_id_lost',
        'the database does not name the master key; nextcloud would make a new one',
        'set the app value encryption/masterKeyId to the name of the key file, without ".privateKey"',
      ),
    );
  }
  const moved = facts.enrolment?.keys ?? [];
  const file = `${masterKeyId}.privateKey`;
  if (mode === 'master' && masterKeyId !== null && !privateKeys.includes(file) && !moved.includes(file)) {
    found.push(
      blocker(
        'master_key_missing',
        `${file} is neither on the disk nor on a key server`,
        'bring it back from a backup, or from the owner\'s copy with "restore"',
      ),
    );
  }
  return found;
}

/** Ways by which a key reaches the disk although it is stored elsewhere. */
function leaks(facts: Facts): Obstacle[] {
  const found: Obstacle[] = [];
  const open = [
    ...(facts.cli.exceptionArgsIgnored ? [] : ['the command line']),
    ...(facts.web?.exceptionArgsIgnored === false ? ['the web server'] : []),
  ];
  if (open.length > 0) {
    found.push(
      warning(
        'exception_args_logged',
        `php for ${open.join(' and ')} writes function arguments into logged exceptions`,
        exceptionArgsHint(facts),
      ),
    );
  }
  const web = facts.web;
  if (typeof web?.opcacheFolder === 'string') {
    found.push(
      warning(
        'opcache_on_disk',
        `PHP keeps compiled code in ${web.opcacheFolder}, that of config.php with its secret too`,
        'remove opcache.file_cache from its settings, or have that folder on tmpfs; keys are never in there',
      ),
    );
  }
  if (web?.sessionHandler === 'files' && web.sessionsOnTmpfs === false && facts.app.state !== 'escrowed') {
    found.push(
      warning(
        'sessions_on_disk',
        `sessions are files in ${web.sessionPath ?? 'an unknown folder'}; those written so far may hold the key`,
        'the app keeps the key out of new ones; delete old session files after escrow, or have people log in again',
      ),
    );
  }
  return found;
}
