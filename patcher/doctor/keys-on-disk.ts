import { posix } from 'node:path';
import { bad, counted, dayOf, type Finding, info, ok, shellWord, spanWords, unknown, warn } from './finding.ts';

export interface PlaceSeen {
  readonly words: string;
  readonly fix: string;
  readonly paths: readonly string[];
}
export interface LogSeen {
  readonly path: string;
  readonly times: number;
  readonly line: number | null;
}
export interface SessionsSeen {
  readonly folder: string;
  readonly count: number;
  /** Last written before the keys were moved. */
  readonly before: number;
  /** ms since 1970. */
  readonly oldest: number | null;
}

export interface CopiesEvidence {
  readonly keysAway: readonly string[] | null;
  /** Names of this Nextcloud's private system keys; null where they are not known. */
  readonly keyIds: readonly string[] | null;
  /** Private system keys where Nextcloud itself reads them. */
  readonly live: readonly string[];
  /** What stands before a command among Nextcloud's files, for whoever is on the machine. */
  readonly door: string;
  readonly dataDirectory: string;
  /** Of these three none is a file in use. */
  readonly keys: readonly string[];
  readonly configs: readonly string[];
  /** Files in use by another name: through an overlay, or in a snapshot. */
  readonly seenTwice: readonly string[];
  readonly archives: readonly string[];
  readonly snap: readonly PlaceSeen[];
  readonly logs: readonly LogSeen[];
  readonly logsRead: number;
  readonly sessionHandler: string | null;
  readonly sessions: readonly SessionsSeen[];
  readonly sessionsInMemory: boolean;
  /** When the last key was moved, at the latest; ms. */
  readonly escrowedAt: number | null;
  readonly fileSystem: string;
  readonly unseen: readonly string[];
}

const REMAINS = 'what is deleted stays in snapshots and backups elsewhere, and in freed blocks for a while';
/** More than these are not put into a command for people; `--json` names them all. */
const NAMED = 4;

function removal(command: string, paths: readonly string[]): string {
  return paths.length <= NAMED
    ? `${command} ${paths.map(shellWord).join(' ')}`
    : `${command} each of the ${paths.length} that --json names`;
}

/** Pure: where keys, or what opens them, lie around. A copy is worse once the key itself is away. */
export function copiesFindings(evidence: CopiesEvidence, now: number): Finding[] {
  return [
    ...keyFindings(evidence),
    ...backupFindings(evidence),
    ...logFindings(evidence),
    ...sessionFindings(evidence, now),
    ...diskFindings(evidence),
    ...(evidence.unseen.length === 0
      ? []
      : [
          unknown('places_unseen', 'some places could not be looked into, or not in time', {
            fix: 'look there as root: find PLACE -xdev -name "*.privateKey*"',
            seen: evidence.unseen,
          }),
        ]),
  ];
}

function keyFindings(evidence: CopiesEvidence): Finding[] {
  const { keysAway, keyIds, live, keys, dataDirectory } = evidence;
  const users = keys.filter((path) => isUserKey(path, dataDirectory));
  const copies = keys.filter((path) => !users.includes(path) && isOurs(path, keyIds));
  const strangers = keys.filter((path) => !users.includes(path) && !copies.includes(path));
  const left = live.filter((path) => keysAway?.includes(posix.basename(path)) === true);
  const away = keysAway === null || keysAway.length > 0;
  const found: Finding[] = [];
  if (left.length > 0) {
    found.push(
      bad(
        'keys_left_here',
        `${counted(left.length, 'moved key is', 'moved keys are')} still where nextcloud reads them`,
        {
          why: 'whoever takes the disk has the keys, and need not ask the key server',
          fix: 'occ remotekey:escrow --stage=remove; on the way back: ncpatch restore',
          seen: left,
        },
      ),
    );
  } else if (live.length > 0) {
    found.push(
      warn(
        'keys_local',
        `${counted(live.length, 'private key is', 'private keys are')} on this disk, where nextcloud keeps them`,
        {
          why: 'together with config.php on the same disk they open every file',
          fix: 'ncpatch escrow',
          seen: live,
        },
      ),
    );
  }
  if (copies.length > 0) {
    const report = away ? bad : warn;
    // a copy may be the last one: it is not to go before the other way is known to work
    const when = away ? 'once "ncpatch verify" works' : 'after escrow';
    found.push(
      report(
        'key_copy',
        `${counted(copies.length, 'copy of a private key lies', 'copies of private keys lie')} around`,
        {
          why: `with the secret in config.php each opens the files it is for; ${REMAINS}`,
          fix: `${when}: ${removal('shred -u', copies)}`,
          seen: copies,
        },
      ),
    );
  }
  if (users.length > 0) {
    found.push(
      info(
        'user_keys_on_disk',
        `${counted(users.length, 'key of a single user is', 'keys of single users are')} on the disk, locked by passwords`,
        {
          why: 'they open what was encrypted before master-key mode, and stay where they are',
          seen: users,
        },
      ),
    );
  }
  if (strangers.length > 0 && keyIds === null) {
    found.push(
      unknown(
        'key_of_somebody',
        `${counted(strangers.length, 'private key', 'private keys')}: of this nextcloud, or in use by another`,
        {
          why: 'how its keys are called could not be read; do not delete what another one reads',
          seen: strangers,
        },
      ),
    );
  } else if (strangers.length > 0) {
    found.push(
      info(
        'key_of_another',
        `${counted(strangers.length, 'private key', 'private keys')} by other names: of another nextcloud, or older`,
        {
          seen: strangers,
        },
      ),
    );
  }
  if (evidence.seenTwice.length > 0) {
    found.push(
      info(
        'seen_twice',
        'files in use were seen by another name too: a mount of the same files, or a snapshot of them',
        {
          seen: evidence.seenTwice,
        },
      ),
    );
  }
  if (left.length + live.length + copies.length === 0) {
    const where = evidence.unseen.length === 0 ? '' : ' where it could be looked';
    found.push(
      keysAway !== null && keysAway.length > 0
        ? ok('no_key_on_disk', `no private key was found${where || ' on the disk'}`)
        : ok('no_key_copy', `no copies of private keys were found${where}`),
    );
  }
  return found;
}

/** `<data>/<user>/files_encryption/OC_DEFAULT_MODULE/<user>.privateKey` */
function isUserKey(path: string, data: string): boolean {
  const parts = path.startsWith(`${data}/`) ? path.slice(data.length + 1).split('/') : [];
  const [user, folder, module, name, ...more] = parts;
  return (
    more.length === 0 &&
    folder === 'files_encryption' &&
    module === 'OC_DEFAULT_MODULE' &&
    name === `${user}.privateKey`
  );
}

function isOurs(path: string, keyIds: readonly string[] | null): boolean {
  const name = /^(.*?\.privateKey)(?:\..*)?$/.exec(posix.basename(path))?.[1] ?? '';
  return keyIds?.includes(name) === true;
}

function backupFindings({ configs, archives, snap }: CopiesEvidence): Finding[] {
  const found: Finding[] = [];
  const updater = configs.flatMap((path) => /^(.*\/updater-[^/]+\/backups\/[^/]+)\//.exec(path)?.[1] ?? []);
  const others = configs.filter((path) => !updater.some((folder) => path.startsWith(`${folder}/`)));
  if (updater.length > 0) {
    found.push(
      warn(
        'updater_backup',
        `${counted(updater.length, 'backup', 'backups')} of nextcloud's own updater with config.php and old code`,
        {
          why: 'the secret in it is half of what opens the keys, and goes along wherever the data is copied to',
          fix: removal('rm -r', updater),
          seen: updater,
        },
      ),
    );
  }
  if (others.length > 0) {
    found.push(
      warn('config_copy', `${counted(others.length, 'copy of config.php lies', 'copies of config.php lie')} around`, {
        why: 'the secret in it is half of what opens the keys',
        fix: removal('rm', others),
        seen: others,
      }),
    );
  }
  for (const { words, fix, paths } of snap) {
    found.push(
      warn('snap_copy', `the snap left ${words}`, {
        why: 'they hold config.php, and those made before escrow the keys as well',
        fix,
        seen: paths,
      }),
    );
  }
  if (archives.length > 0) {
    found.push(
      warn(
        'backup_archive',
        `${counted(archives.length, 'archive looks', 'archives look')} like a backup of a nextcloud, and was not opened`,
        {
          why: 'one made before escrow may hold the keys together with config.php',
          fix: `tar -tf ARCHIVE | grep privateKey; then: shred -u ARCHIVE`,
          seen: archives,
        },
      ),
    );
  }
  if (found.length === 0) found.push(ok('no_backups', 'no backups with keys or config.php'));
  return found;
}

function logFindings({ logs, logsRead }: CopiesEvidence): Finding[] {
  if (logs.length === 0) {
    return logsRead === 0
      ? [info('no_logs', 'no log files of nextcloud or the web server were found to look into')]
      : [ok('logs_clean', `no private key is quoted in ${logsRead} logs`)];
  }
  return [
    bad('log_holds_key', `${counted(logs.length, 'log quotes', 'logs quote')} a private key`, {
      why: 'an exception was logged with its arguments: that key is open to whoever reads the log',
      fix: `set zend.exception_ignore_args = On, reload PHP, then: ${removal(
        'shred -u',
        logs.map(({ path }) => path),
      )}`,
      seen: logs.map(
        ({ path, times, line }) => `${path}: ${counted(times, 'time', 'times')}, first in line ${line ?? '?'}`,
      ),
    }),
  ];
}

function sessionFindings(evidence: CopiesEvidence, now: number): Finding[] {
  const { keysAway, sessions, sessionHandler, sessionsInMemory, escrowedAt, door } = evidence;
  const all = sessions.reduce((sum, { count }) => sum + count, 0);
  const oldest = sessions.flatMap((one) => (one.oldest === null ? [] : [one.oldest]));
  const age = oldest.length === 0 ? '' : `, the oldest ${spanWords(now - Math.min(...oldest))} old`;
  if (sessionHandler === null && sessions.length === 0) {
    return [
      unknown('sessions_unknown', 'where PHP keeps sessions could not be told', {
        fix: 'php-fpm -i | grep session.save',
      }),
    ];
  }
  if (sessionHandler === 'files' && sessions.length === 0 && !sessionsInMemory) {
    return [
      unknown('sessions_unread', 'the folder of the sessions could not be listed', {
        fix: 'connect as root, or add --sudo',
      }),
    ];
  }
  if (sessionsInMemory && all === 0) return [ok('sessions_in_memory', 'sessions are in memory')];
  if (sessionHandler !== 'files' && sessions.length === 0) {
    return [info('sessions_elsewhere', `sessions are kept by ${sessionHandler}; see what it writes to a disk`)];
  }
  if (all === 0) return [ok('no_sessions', 'no session files')];
  const folders = sessions.filter(({ count }) => count > 0);
  const seen = folders.map(({ folder, count }) => `${folder}: ${count}`);
  if (keysAway === null || keysAway.length === 0 || escrowedAt === null) {
    return [
      info('sessions_stored', `${all} sessions are files on the disk${age}`, {
        why: 'each may hold the opened key, locked by nothing but the cookie of its visitor',
        fix: 'after escrow delete those from before; new ones stay free of the key',
        seen,
      }),
    ];
  }
  const before = sessions.reduce((sum, one) => sum + one.before, 0);
  if (before === 0) return [ok('sessions_new', `all ${all} sessions are younger than the escrow`)];
  const old = door === '' ? ` ! -newermt '${new Date(escrowedAt).toISOString()}'` : olderThan(now - escrowedAt);
  const commands = folders.map(({ folder }) => `${door}find ${shellWord(folder)} -name 'sess_*'${old} -delete`);
  return [
    bad('sessions_hold_key', `${before} of ${all} sessions are from before the escrow and may hold the key${age}`, {
      why: `a cookie of one of their visitors opens it; deleting them logs these out, of other programs here too. ${REMAINS}`,
      fix: commands.join('; '),
      seen,
    }),
  ];
}

/** For every find, that of an image with busybox too: files of that age in ms, to the minute, and older ones. */
function olderThan(age: number): string {
  const minutes = Math.floor(age / 60_000);
  return minutes < 1 ? '' : ` -mmin +${minutes - 1}`;
}

const SNAPSHOTS: Readonly<Record<string, string>> = {
  btrfs: 'btrfs subvolume list -s /',
  zfs: 'zfs list -t snapshot',
};

function diskFindings({ keysAway, fileSystem, escrowedAt, dataDirectory, door }: CopiesEvidence): Finding[] {
  if (keysAway === null || keysAway.length === 0) return [];
  const look = SNAPSHOTS[fileSystem];
  const when = escrowedAt === null ? '' : ` until ${dayOf(escrowedAt)}`;
  return [
    info('disk_held_keys', `this disk held the keys${when}: freed blocks, its snapshots and older backups still may`, {
      why: 'nothing here can show or erase those; a new disk, or decrypting and encrypting all with a new key, ends it',
      fix:
        look === undefined
          ? `fstrim ${door === '' ? shellWord(dataDirectory) : '-a'} (on an SSD); delete older backups`
          : `${look}; delete what is older`,
    }),
  ];
}
