import { describe, expect, test } from 'vitest';
import type { Finding } from '../../../patcher/doctor/finding.ts';
import { type CopiesEvidence, copiesFindings } from '../../../patcher/doctor/keys-on-disk.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');
const MASTER = 'master_1.privateKey';

/** After a move, on a disk where nothing was left. */
function evidence(changes: Partial<CopiesEvidence> = {}): CopiesEvidence {
  return {
    keysAway: [MASTER],
    keyIds: [MASTER],
    live: [],
    door: '',
    dataDirectory: '/data',
    keys: [],
    configs: [],
    seenTwice: [],
    archives: [],
    snap: [],
    logs: [],
    logsRead: 2,
    sessionHandler: 'files',
    sessions: [{ folder: '/sessions', count: 3, before: 0, oldest: NOW - 60_000 }],
    sessionsInMemory: false,
    escrowedAt: NOW - 3_600_000,
    fileSystem: 'ext2/ext3',
    unseen: [],
    ...changes,
  };
}
const found = (changes: Partial<CopiesEvidence> = {}): Finding[] => copiesFindings(evidence(changes), NOW);
const levels = (findings: Finding[]): Record<string, string> =>
  Object.fromEntries(findings.map(({ code, level }) => [code, level]));
const one = (findings: Finding[], code: string): Finding => {
  const finding = findings.find((candidate) => candidate.code === code);
  if (finding === undefined) throw new Error(`${code} is not among ${findings.map((each) => each.code)}`);
  return finding;
};

test('a clean disk has nothing bad, and is told to have held the keys', () => {
  expect(levels(found())).toEqual({
    no_key_on_disk: 'ok',
    no_backups: 'ok',
    logs_clean: 'ok',
    sessions_new: 'ok',
    disk_held_keys: 'info',
  });
});

describe('private keys', () => {
  test('a copy is bad once the key is away, and only a warning before', () => {
    const keys = ['/backup/files_encryption/OC_DEFAULT_MODULE/master_1.privateKey'];
    expect(one(found({ keys }), 'key_copy').level).toBe('bad');
    expect(one(found({ keys, keysAway: [] }), 'key_copy').level).toBe('warn');
  });

  test('a copy may be the last one: it goes only after the other way was seen to work', () => {
    const keys = [`/backup/${MASTER}`];
    expect(one(found({ keys }), 'key_copy').fix).toBe(`once "ncpatch verify" works: shred -u /backup/${MASTER}`);
    expect(one(found({ keys, keysAway: [] }), 'key_copy').fix).toMatch(/^after escrow: shred -u /);
  });

  test('a copy with a suffix is one too', () => {
    expect(one(found({ keys: [`/data/${MASTER}.bak`] }), 'key_copy').seen).toEqual([`/data/${MASTER}.bak`]);
  });

  test('a key that moved and is still read from the disk is bad', () => {
    const live = [`/data/files_encryption/OC_DEFAULT_MODULE/${MASTER}`];
    expect(levels(found({ live }))).toMatchObject({ keys_left_here: 'bad' });
    expect(levels(found({ live, keysAway: [] }))).toMatchObject({ keys_local: 'warn' });
  });

  test("keys of another nextcloud are no copies of this one's, and nothing says to delete them", () => {
    const findings = found({ keys: ['/srv/other/data/files_encryption/OC_DEFAULT_MODULE/master_2.privateKey'] });
    expect(levels(findings)).toMatchObject({ key_of_another: 'info', no_key_on_disk: 'ok' });
    expect(one(findings, 'key_of_another').fix).toBeNull();
  });

  test('where the names of its keys are not known, no key is called a copy', () => {
    const findings = found({ keyIds: null, keysAway: null, keys: [`/srv/other/${MASTER}`] });
    expect(levels(findings)).toMatchObject({ key_of_somebody: 'unknown' });
    expect(one(findings, 'key_of_somebody').fix).toBeNull();
    expect(findings.some(({ code }) => code === 'key_copy')).toBe(false);
  });

  test('keys of single users are told apart, but not by a name alone', () => {
    const user = '/data/alice/files_encryption/OC_DEFAULT_MODULE/alice.privateKey';
    expect(levels(found({ keys: [user] }))).toMatchObject({ user_keys_on_disk: 'info' });
    expect(levels(found({ keys: ['/elsewhere/alice.privateKey'] }))).toMatchObject({ key_of_another: 'info' });
  });

  test('a file in use that has another name is never to be deleted', () => {
    const finding = one(found({ seenTwice: ['/upper/config.php'] }), 'seen_twice');
    expect(finding).toMatchObject({ level: 'info', fix: null });
  });

  test('names are quoted for the shell, and many are not put into one command', () => {
    expect(one(found({ keys: [`/a b/it's/${MASTER}`] }), 'key_copy').fix).toMatch(
      /'\/a b\/it'\\''s\/master_1.privateKey'$/,
    );
    const keys = [1, 2, 3, 4, 5].map((n) => `/${n}/${MASTER}`);
    expect(one(found({ keys }), 'key_copy').fix).toMatch(/shred -u each of the 5 that --json names$/);
  });
});

describe('backups', () => {
  const updater = '/data/updater-oc1/backups/nextcloud-31.0.0-1';
  test("the updater's are told by their folder, other copies of config.php by their name", () => {
    const findings = found({ configs: [`${updater}/config/config.php`, '/root/config.php.bak'] });
    expect(one(findings, 'updater_backup')).toMatchObject({ level: 'warn', fix: `rm -r ${updater}`, seen: [updater] });
    expect(one(findings, 'config_copy')).toMatchObject({ level: 'warn', seen: ['/root/config.php.bak'] });
  });

  test('what a snap left, and archives, are warned of', () => {
    const snap = [
      { words: 'snapshots of snapd', fix: 'snap forget ID', paths: ['/var/lib/snapd/snapshots/1_nextcloud.zip'] },
    ];
    const findings = found({ snap, archives: ['/mnt/nextcloud-bkp_1.tar'] });
    expect(one(findings, 'snap_copy')).toMatchObject({ level: 'warn', fix: 'snap forget ID' });
    expect(levels(findings)).toMatchObject({ backup_archive: 'warn' });
    expect(findings.some(({ code }) => code === 'no_backups')).toBe(false);
  });
});

describe('logs', () => {
  test('one that quotes a key is bad whether keys have moved or not', () => {
    const logs = [{ path: '/data/nextcloud.log', times: 2, line: 7 }];
    for (const keysAway of [[MASTER], []]) {
      const finding = one(found({ logs, keysAway }), 'log_holds_key');
      expect(finding).toMatchObject({ level: 'bad', seen: ['/data/nextcloud.log: 2 times, first in line 7'] });
    }
  });

  test('no log at all is not the same as clean ones', () => {
    expect(levels(found({ logsRead: 0 }))).toMatchObject({ no_logs: 'info' });
  });
});

describe('sessions', () => {
  const old = [{ folder: '/sessions', count: 5, before: 2, oldest: NOW - 7_200_000 }];
  test('those last written before the escrow are bad; the command spares the younger ones', () => {
    const finding = one(found({ sessions: old }), 'sessions_hold_key');
    expect(finding).toMatchObject({ level: 'bad', repair: null });
    expect(finding.fix).toBe("find /sessions -name 'sess_*' ! -newermt '2026-11-21T11:00:00.000Z' -delete");
  });

  test('in a container the command goes there, and its find may be one that knows no dates', () => {
    const door = 'docker exec -u 0 cloud ';
    const fixAt = (escrowedAt: number): string | null =>
      one(found({ sessions: old, door, escrowedAt }), 'sessions_hold_key').fix;
    expect(fixAt(NOW - 3_600_000)).toBe("docker exec -u 0 cloud find /sessions -name 'sess_*' -mmin +59 -delete");
    expect(fixAt(NOW - 60_000)).toBe("docker exec -u 0 cloud find /sessions -name 'sess_*' -mmin +0 -delete");
    expect(fixAt(NOW - 59_999)).toBe("docker exec -u 0 cloud find /sessions -name 'sess_*' -delete");
  });

  test('before the escrow all of them are, so it is only told', () => {
    expect(levels(found({ sessions: old, keysAway: [], escrowedAt: null }))).toMatchObject({ sessions_stored: 'info' });
  });

  test('a place that nobody knows is not taken for an empty one', () => {
    expect(levels(found({ sessionHandler: null, sessions: [] }))).toMatchObject({ sessions_unknown: 'unknown' });
    expect(levels(found({ sessionHandler: 'redis', sessions: [] }))).toMatchObject({ sessions_elsewhere: 'info' });
    expect(levels(found({ sessions: [] }))).toMatchObject({ sessions_unread: 'unknown' });
    expect(levels(found({ sessions: [{ folder: '/s', count: 0, before: 0, oldest: null }] }))).toMatchObject({
      no_sessions: 'ok',
    });
  });

  test('in memory they are fine', () => {
    expect(levels(found({ sessions: [], sessionsInMemory: true }))).toMatchObject({ sessions_in_memory: 'ok' });
  });
});

test('places that could not be looked into are named', () => {
  const findings = found({ unseen: ['/home'] });
  expect(one(findings, 'places_unseen')).toMatchObject({ level: 'unknown', seen: ['/home'] });
  expect(one(findings, 'no_key_on_disk').what).toBe('no private key was found where it could be looked');
});

test('snapshots of btrfs and zfs are asked for by their own programs', () => {
  expect(one(found({ fileSystem: 'btrfs' }), 'disk_held_keys').fix).toMatch(/^btrfs subvolume list/);
  expect(one(found({ fileSystem: 'zfs' }), 'disk_held_keys').fix).toMatch(/^zfs list -t snapshot/);
  expect(found({ keysAway: [] }).some(({ code }) => code === 'disk_held_keys')).toBe(false);
});
