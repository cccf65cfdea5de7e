import { posix } from 'node:path';
import { isLatchkeyError } from '../../platform/errors.ts';
import { isRevision, SNAP_DATA, SNAP_VAR, type SnapPlace, snapPlaces } from '../targets/snap-places.ts';
import type { Transport } from '../transports/transport.ts';
import type { CopiesEvidence, LogSeen, PlaceSeen, SessionsSeen } from './keys-on-disk.ts';
import { doorTo, type Patient } from './patient.ts';
import { count, PROBE_START, runProbe, type Seen } from './probe-answer.ts';
import { textOf } from './settings.ts';

/** Where people put backups, with how deep to look. */
const USUAL_PLACES = [
  ...['/var/backups', '/var/lib/backups', '/backup', '/backups', '/root', '/home', '/opt', '/srv', '/mnt', '/media'],
  ...['/tmp', '/var/tmp', '/usr/local'],
];
const WALK_SECONDS = '30';
const LOOK_TIMEOUT_MS = 600_000;

/**
 * $1 data directory, $2 instance id or 'instanceid', $3 seconds for each place, then `depth:place` each. Stays on one file
 * system a place, and out of what people keep and what is large. Records: key, config, archive with their path and what
 * tells one file by two names from two files; cut and unread with the place.
 */
const WALK = `${PROBE_START}
data=$1; id=$2; seconds=$3; shift 3
NAME='k=$1; shift; for p do printf "%s\\0%s\\0%s\\0" "$k" "$(stat -c "%d:%i:%h/%s %z" "$p")" "$p"; done'
CONFIG='id=$1; shift; for p do grep -qaF -e "$id" -- "$p" 2>/dev/null &&
  printf "config\\0%s\\0%s\\0" "$(stat -c "%d:%i:%h/%s %z" "$p")" "$p"; done; :'
for one do
  depth=\${one%%:*}; place=\${one#*:}
  [ -d "$place" ] || continue
  { heard=$({ within find "$place" -xdev -maxdepth "$depth" \\
      -type d \\( -name node_modules -o -name .git -o -name .cache -o -name 3rdparty -o -name dist \\
        -o -path "$data/*/files" -o -path "$data/*/files_versions" -o -path "$data/*/files_trashbin" \\
        -o -path "$data/*/uploads" -o -path "$data/*/cache" -o -path "$data/appdata_*" \\
        -o -path '*/files_encryption/keys' -o -path '*/latchkey/nextcloud' -o -path '*/docker/overlay2' -o -path '*/containers/storage' \\) -prune \\
      -o -type f \\( -name '*.privateKey' -o -name '*.privateKey.*' \\) -exec sh -c "$NAME" sh key {} + \\
      -o -type f -name 'config.php*' -size -400 -exec sh -c "$CONFIG" sh "$id" {} + \\
      -o -type f \\( -name 'nextcloud-bkp_*' -o -iname '*nextcloud*backup*.tar*' -o -iname '*nextcloud*backup*.zip' \\
        -o -iname '*nextcloud*backup*.tgz' -o -iname '*backup*nextcloud*.tar*' -o -iname '*backup*nextcloud*.zip' \\
        -o -iname '*backup*nextcloud*.tgz' \\) -exec sh -c "$NAME" sh archive {} + \\
      2>&1 >&5; echo "exit:$?"; } | grep -aoE 'ermission denied|^exit:[0-9]+' | sort -u | tr '\\n' ' '); } 5>&1
  case $heard in *exit:124*|*exit:143*) rec cut '' "$place" ;; esac
  case $heard in *ermission*) rec unread '' "$place" ;; esac
done
`;

/** $1 config.php, $2 the folder of the keys in use: the files that are no copies. */
const LIVE = `${PROBE_START}
for one in "$1" "$2"/*.privateKey; do
  [ -f "$one" ] && rec live "$(stat -L -c "%d:%i:%h/%s %z" "$one")" "$one"
done
:
`;

/** $1 seconds, then log files: those that quote a private key, with how often and the first line. */
const LOGS = `${PROBE_START}
seconds=$1; shift
for one do
  [ -f "$one" ] || continue
  [ -r "$one" ] || { rec unread '' "$one"; continue; }
  case $one in *.gz) cat=zcat ;; *.xz) cat=xzcat ;; *.bz2) cat=bzcat ;; *) cat=cat ;; esac
  first=$(within "$cat" "$one" 2>/dev/null | grep -anm1 -F 'PRIVATE KEY-----' | cut -d: -f1)
  [ -n "$first" ] || { rec clean '' "$one"; continue; }
  rec log "$(within "$cat" "$one" 2>/dev/null | grep -acF 'PRIVATE KEY-----'):$first" "$one"
done
`;

/** $1 log file, $2 data directory, then more files: those that are there, the rotated ones too. */
const LOG_NAMES = `${PROBE_START}
for one in "$1"* "$2"/*.log*; do [ -f "$one" ] && rec name '' "$one"; done
find /var/log -xdev -maxdepth 4 -type f \\( -path '*nextcloud*' -o -path '*php*' -o -path '*nginx*' -o -path '*apache2*' \\
  -o -path '*httpd*' -o -name 'syslog*' -o -name 'messages*' \\) -exec sh -c 'for p do printf "name\\0\\0%s\\0" "$p"; done' sh {} + 2>/dev/null
:
`;

/** $1 time (seconds since 1970) before which a session may hold the key, then folders. `count:before:oldest` each. */
const SESSIONS = `${PROBE_START}
since=$1; shift
for one do
  [ -e "$one" ] || { rec sessions 0:0: "$one"; continue; }
  [ -r "$one" ] && [ -x "$one" ] || { rec unread '' "$one"; continue; }
  kind=$(stat -f -c %T "$one" 2>/dev/null)
  case $kind in tmpfs|ramfs) rec memory '' "$one"; continue ;; esac
  rec sessions "$(find "$one" -xdev -maxdepth 4 -type f -name 'sess_*' -exec stat -c %Y {} + 2>/dev/null |
    awk -v s="$since" '{ n++; if ($1 <= s) b++; if (o == "" || $1 < o) o = $1 } END { printf "%d:%d:%s", n, b, o }')" "$one"
done
`;

/** $1 a folder of Nextcloud's data: kind of its file system. */
const DISK = `${PROBE_START}
rec disk "$(stat -f -c %T "$1" 2>/dev/null)" "$1"
`;

/** Everything that may lie around; what one of the looks could not see is part of the answer. */
export async function probeCopies(patient: Patient): Promise<CopiesEvidence> {
  const { files, machine, root, web } = patient;
  const escrowedAt = await escrowTime(patient);
  const data = patient.dataDirectory ?? `${root}/data`;
  const apart = files !== machine;
  const snap = await snapPlacesOf(machine);
  const inside = await walk(files, patient, data, [
    ...nextcloudPlaces(root, data),
    ...(apart ? ['6:/tmp', '6:/root'] : usual()),
  ]);
  const below = apart ? await walk(machine, patient, data, usual()) : [];
  const backups = snap.filter(({ holds }) => holds === 'backup' || holds === 'config');
  const logs = await quotedIn(files, await logNames(files, patient, data));
  const logsBelow = await quotedIn(machine, await listed(machine, snap, 'logs'));
  const since = String(escrowedAt === null ? 0 : Math.floor(escrowedAt / 1000));
  const folders = web?.sessionHandler === 'files' && web.sessionPath !== null ? [web.sessionPath] : [];
  const sessions = await sessionsIn(files, since, folders);
  const snapSessions = await sessionsIn(
    machine,
    since,
    snap.filter(({ holds }) => holds === 'sessions').map(({ path }) => path),
  );
  const [disk] = await runProbe(files, DISK, [data]);
  const seen = [...inside, ...below, ...logs, ...logsBelow, ...sessions, ...snapSessions];
  const folder = liveFolderOf(patient, data);
  const live = await runProbe(files, LIVE, [patient.configFile, folder]);
  const found = tellApart(seen, live);
  const paths = (kind: string): string[] => [
    ...new Set(seen.filter((one) => one.kind === kind).map(({ path }) => path)),
  ];
  return {
    keysAway: patient.keysAway,
    keyIds: keyIdsOf(patient),
    live: live.map(({ path }) => path).filter((path) => path.startsWith(`${folder}/`)),
    door: doorTo(patient),
    dataDirectory: data,
    keys: found.copies('key'),
    configs: found.copies('config'),
    seenTwice: found.twice,
    archives: paths('archive'),
    snap: (await Promise.all(backups.map((place) => snapSeen(machine, place)))).flat(),
    logs: seen.flatMap((one) => logSeen(one)),
    logsRead: paths('clean').length + paths('log').length,
    sessionHandler: web?.sessionHandler ?? null,
    // the snap's own folder may be the one that PHP names
    sessions: [...new Map(seen.flatMap(sessionsSeen).map((one) => [one.folder, one])).values()],
    sessionsInMemory: paths('memory').length > 0,
    escrowedAt,
    fileSystem: disk?.value ?? '',
    unseen: [...paths('unread'), ...paths('cut')],
  };
}

/** The enrolment is written anew when keys move, and not later: what is younger is from after it. */
async function escrowTime({ files, stateFolder, keysAway }: Patient): Promise<number | null> {
  if (stateFolder === null || keysAway === null || keysAway.length === 0) return null;
  const state = await files.stat(`${stateFolder}/client.json`);
  return state === null ? null : state.mtime * 1000;
}

/** Deep in the data itself, where the updater, NextcloudPi and copies beside it are; less deep around it. */
function nextcloudPlaces(root: string, data: string): string[] {
  const around = [posix.dirname(data), posix.dirname(root)].filter((parent) => parent !== '/');
  return [`12:${data}`, ...new Set(around.map((parent) => `6:${parent}`)), `4:${root}`, '3:/etc'];
}

function usual(): string[] {
  return USUAL_PLACES.map((place) => `7:${place}`);
}

function walk(transport: Transport, patient: Patient, data: string, places: readonly string[]): Promise<Seen[]> {
  const values = [data, patient.instanceId ?? 'instanceid', WALK_SECONDS, ...new Set(places)];
  return runProbe(transport, WALK, values, LOOK_TIMEOUT_MS);
}

function keyIdsOf({ facts, keysAway }: Patient): readonly string[] | null {
  if (facts === null) return keysAway === null || keysAway.length === 0 ? null : keysAway;
  const { masterKeyId, publicShareKeyId, recoveryKeyId, privateKeys } = facts.encryption;
  const named = [masterKeyId, publicShareKeyId, recoveryKeyId].flatMap((id) =>
    id === null ? [] : [`${id}.privateKey`],
  );
  return [...new Set([...named, ...privateKeys, ...(keysAway ?? [])])];
}

function liveFolderOf({ settings }: Patient, data: string): string {
  const keyRoot = (settings.core.encryption_key_storage_root ?? '').replace(/^\/+|\/+$/g, '');
  return posix.join(data, keyRoot, 'files_encryption/OC_DEFAULT_MODULE');
}

async function logNames(transport: Transport, { settings }: Patient, data: string): Promise<string[]> {
  const log = textOf(settings, 'logfile') ?? `${data}/nextcloud.log`;
  return (await runProbe(transport, LOG_NAMES, [log, data])).map(({ path }) => path);
}

async function quotedIn(transport: Transport, names: readonly string[]): Promise<Seen[]> {
  if (names.length === 0) return [];
  return runProbe(transport, LOGS, [WALK_SECONDS, ...new Set(names)], LOOK_TIMEOUT_MS);
}

async function sessionsIn(transport: Transport, since: string, folders: readonly string[]): Promise<Seen[]> {
  return folders.length === 0 ? [] : runProbe(transport, SESSIONS, [since, ...folders]);
}

interface Apart {
  copies(kind: string): string[];
  readonly twice: string[];
}

/**
 * Pure: which of what was seen are copies. One that is the very file in use is none: the same inode without a further hard
 * link, as through a bind mount. One that only was last changed in the same moment may be it through an overlay, or its
 * picture in a snapshot: those are told apart by people.
 */
export function tellApart(seen: readonly Seen[], live: readonly Seen[]): Apart {
  const inode = (one: Seen): string => one.value.split('/')[0] ?? '';
  const moment = (one: Seen): string => one.value.slice(inode(one).length);
  const same = (one: Seen): boolean =>
    live.some((used) => used.path === one.path || (inode(used) === inode(one) && inode(one).endsWith(':1')));
  const alike = (one: Seen): boolean => live.some((used) => moment(used) === moment(one) && inode(used) !== inode(one));
  const rest = seen.filter((one) => (one.kind === 'key' || one.kind === 'config') && !same(one));
  const paths = (list: readonly Seen[]): string[] => [...new Set(list.map(({ path }) => path))];
  return {
    copies: (kind) => paths(rest.filter((one) => one.kind === kind && !alike(one))),
    twice: paths(rest.filter(alike)),
  };
}

/** None where no snap of Nextcloud was ever installed. */
async function snapPlacesOf(machine: Transport): Promise<SnapPlace[]> {
  const entries = await machine.list(SNAP_VAR).catch(nothing);
  if (entries === null) return [];
  const current = (await machine.realPath(SNAP_DATA).catch(nothing)) ?? '';
  const revisions = entries.map(({ name }) => name).filter(isRevision);
  return snapPlaces(revisions, posix.basename(current));
}

async function listed(machine: Transport, places: readonly SnapPlace[], holds: SnapPlace['holds']): Promise<string[]> {
  const wanted = places.filter((place) => place.holds === holds);
  return (await Promise.all(wanted.map((place) => snapSeen(machine, place)))).flat().flatMap(({ paths }) => paths);
}

async function snapSeen(machine: Transport, place: SnapPlace): Promise<PlaceSeen[]> {
  const entries = (await machine.list(place.path).catch(nothing)) ?? [];
  const names = entries.map(({ name }) => name).filter((name) => place.names?.test(name) ?? true);
  if (names.length === 0) return [];
  return [{ words: place.words, fix: place.hint, paths: names.map((name) => `${place.path}/${name}`) }];
}

function logSeen({ kind, value, path }: Seen): LogSeen[] {
  if (kind !== 'log') return [];
  const [times, line] = value.split(':').map(count);
  return [{ path, times: times ?? 1, line: line ?? null }];
}

function sessionsSeen({ kind, value, path }: Seen): SessionsSeen[] {
  if (kind !== 'sessions') return [];
  const [all, before, oldest] = value.split(':').map(count);
  return [
    {
      folder: path,
      count: all ?? 0,
      before: before ?? 0,
      oldest: oldest === null || oldest === undefined ? null : oldest * 1000,
    },
  ];
}

/** A place that cannot be looked into is none here; the walks tell of those. */
function nothing(error: unknown): null {
  if (isLatchkeyError(error) && error.code !== 'connection_lost') return null;
  throw error;
}
