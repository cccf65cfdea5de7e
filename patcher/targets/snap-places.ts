/** Name of the snap, and of its folders. */
export const SNAP = 'nextcloud';
/** Where the squashfs of each revision is mounted, by distribution; the second has no `/snap` unless one is made. */
export const SNAP_MOUNTS: readonly string[] = [`/snap/${SNAP}`, `/var/lib/snapd/snap/${SNAP}`];
/** One folder a revision, `current` to the one in use, and `common` to all. */
export const SNAP_VAR = `/var/snap/${SNAP}`;
/** Copied by snapd from revision to revision, and back to an older state by `snap revert`. */
export const SNAP_DATA = `${SNAP_VAR}/current`;
/** Outlives every refresh and every revert. */
export const SNAP_COMMON = `${SNAP_VAR}/common`;
export const SNAP_CONFIG_DIRECTORY = `${SNAP_DATA}/nextcloud/config`;
/** The snap's own /tmp, as the machine sees it: since snapd 2.57, and before. */
export const SNAP_PRIVATE_TMP: readonly string[] = [`/tmp/snap-private-tmp/snap.${SNAP}/tmp`, `/tmp/snap.${SNAP}/tmp`];
/** Zip files of everything below /var/snap: of "snap save", and made by itself at "snap remove". */
export const SNAPSHOTS = '/var/lib/snapd/snapshots';
/** What "nextcloud.export" writes: data with the keys, and config.php that opens them. */
export const SNAP_BACKUPS = `${SNAP_COMMON}/backups`;

/** A place where a snap leaves copies of keys, or of what opens them. */
export interface SnapPlace {
  readonly path: string;
  /** Which names in `path` are meant; `null` for all of it. */
  readonly names: RegExp | null;
  /** `backup`: data with keys, and config.php; `config`: config.php with its secret; `sessions`; `logs`. */
  readonly holds: 'backup' | 'config' | 'sessions' | 'logs';
  readonly words: string;
  /** How its owner gets rid of it. */
  readonly hint: string;
}

/**
 * Pure: where to look on the machine itself, whose root sees all of it; the app is confined and does not. `revisions` are
 * the folders of SNAP_VAR, `current` the one in use, whose config.php is the live one and no copy.
 */
export function snapPlaces(revisions: readonly string[], current: string): SnapPlace[] {
  const old = revisions.filter((revision) => revision !== current && isRevision(revision));
  return [
    {
      path: SNAP_BACKUPS,
      names: null,
      holds: 'backup',
      words: 'backups of "nextcloud.export"',
      hint: `move them to another machine, then: rm -r ${SNAP_BACKUPS}`,
    },
    {
      path: SNAPSHOTS,
      names: new RegExp(`^\\d+_${SNAP}_.+\\.zip$`),
      holds: 'backup',
      words: 'snapshots of snapd',
      hint: 'snap saved; snap forget ID',
    },
    ...old.map(
      (revision): SnapPlace => ({
        path: `${SNAP_VAR}/${revision}/nextcloud/config`,
        names: /^config\.php/,
        holds: 'config',
        words: `revision ${revision}, kept by snapd`,
        hint: `snap remove ${SNAP} --revision=${revision}`,
      }),
    ),
    ...SNAP_PRIVATE_TMP.map(
      (path): SnapPlace => ({
        path,
        names: /^sess_/,
        holds: 'sessions',
        words: "sessions in the snap's own /tmp",
        hint: 'delete those written before escrow, or have people log in again',
      }),
    ),
    ...revisions.filter(isRevision).map(
      (revision): SnapPlace => ({
        path: `${SNAP_VAR}/${revision}/logs`,
        names: /^(?:nextcloud|php_errors)\.log/,
        holds: 'logs',
        words: `logs of revision ${revision}`,
        hint: 'delete what quotes a private key',
      }),
    ),
  ];
}

/** snapd's own numbers, or `x1`, `x2` for what was installed from a file. */
export function isRevision(name: string): boolean {
  return /^x?[1-9][0-9]{0,9}$/.test(name);
}
