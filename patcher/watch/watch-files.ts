import { readFile } from 'node:fs/promises';
import { quoteForCron } from '../../platform/crontab.ts';
import { scriptText } from '../../platform/script-text.ts';
import { commandWords, wholePath } from '../../platform/service-text.ts';
import {
  type Facts,
  type HeartbeatWay,
  type HookName,
  type Scheduler,
  STATE_PARENT,
  type WatchFacts,
} from '../facts.ts';
import { becomeUser } from '../transports/elevation.ts';
import { hashLines, packTree } from '../transports/tar.ts';
import { UPLOAD_TREE } from '../transports/target-scripts.ts';
import type { TreeFile } from '../transports/transport.ts';

/** A file of the watch as it is to be on the machine, root's. */
export interface WatchFile {
  readonly path: string;
  readonly data: Buffer;
  readonly mode: number;
}

/** What of the watch is the same on every machine. */
export interface WatchParts {
  readonly script: string;
  readonly inside: string;
  readonly archive: Buffer;
  readonly hashes: string;
}

/** What its script needs to know of one Nextcloud. */
export interface WatchSettings {
  readonly instanceId: string;
  readonly root: string;
  readonly configFile: string;
  /** The app's folder, wherever it is to be. */
  readonly appPath: string;
  readonly appVersion: string;
  readonly stateFolder: string;
  readonly heartbeat: HeartbeatWay;
  readonly way: Pick<WatchFacts, 'occCommand' | 'filesCommand' | 'owner'>;
  /** Files among the machine's own whose change starts it, besides those of every Nextcloud. */
  readonly alsoFollowed: readonly string[];
  /** The file of the core that holds the hook, where one does. */
  readonly core: WatchedCore | null;
}

/** A patched file of the core. A copy of it is put back as long as what took its place is the release's of before. */
export interface WatchedCore {
  readonly file: string;
  /** SHA-512 of the release's, and of the patched one. */
  readonly before: string;
  readonly after: string;
  /** False where a changed copy is mounted over a file that cannot be written: then the owner is only told. */
  readonly mayPut: boolean;
}

/** Longer than `occ upgrade` and all around it may take (watch.sh). */
const START_SECONDS = 3600;
const DIRECTORY_MODE = 0o755;

/** Reads what does not depend on the machine: the scripts, and the app as `apply` puts it there. */
export async function readWatchParts(files: readonly TreeFile[]): Promise<WatchParts> {
  return {
    script: scriptText(new URL('watch.sh', import.meta.url), { folders: { own: new URL('parts/', import.meta.url) } }),
    inside: await readFile(new URL('inside.sh', import.meta.url), 'utf8'),
    archive: packTree(files, DIRECTORY_MODE),
    // as `sort` puts them in the C locale
    hashes: hashLines(files)
      .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      .join(''),
  };
}

/** The folder on the machine with all that the script needs and leaves. */
export function watchFolder(instanceId: string): string {
  return `${STATE_PARENT}/watch-${instanceId}`;
}

/** The copy of the patched file of the core, which is made from the file itself once it is patched. */
export function patchedCopy(instanceId: string): string {
  return `${watchFolder(instanceId)}/core.patched`;
}

/** Names for systemctl: what starts the script, in the order in which they are started. */
export function watchUnits(instanceId: string): readonly [timer: string, path: string] {
  return [`latchkey-watch-${instanceId}.timer`, `latchkey-watch-${instanceId}.path`];
}

/** Everything outside of its folder that it may have, however it was installed. */
export function watchPathsOutside(instanceId: string): readonly string[] {
  const unit = `/etc/systemd/system/latchkey-watch-${instanceId}`;
  return [`${unit}.service`, `${unit}.timer`, `${unit}.path`, `/etc/cron.d/latchkey-watch-${instanceId}`];
}

/** What of a Nextcloud with these facts is to be looked after. */
export interface Watched {
  /** The app's folder, wherever it is to be. */
  readonly path: string;
  readonly version: string;
  readonly core: WatchedCore | null;
}

/** Pure: `hook` is the one that is to be used. */
export function watchedOf(facts: Facts, app: Pick<Watched, 'path' | 'version'>, hook: HookName): Watched {
  const { core } = facts;
  if (hook !== 'core' || core === undefined || core.signed === null || core.hooked === null)
    return { ...app, core: null };
  return { ...app, core: { file: core.path, before: core.signed, after: core.hooked, mayPut: core.cover === null } };
}

/** Pure: what the settings are for a Nextcloud with these facts. */
export function watchSettingsOf(facts: Facts, way: WatchFacts, watched: Watched): WatchSettings {
  const { instanceId, root, configFile, heartbeat } = facts;
  const { path: appPath, version: appVersion, core } = watched;
  const alsoFollowed = [
    ...(facts.target === 'snap' ? ['/snap/nextcloud/current'] : []),
    ...(core === null ? [] : [core.file]),
  ];
  const stateFolder = facts.stateFolder.path;
  return { instanceId, root, configFile, appPath, appVersion, stateFolder, heartbeat, way, alsoFollowed, core };
}

/** Pure: every file of the watch; none where nothing could start it. Settings come last: without them the script does nothing. */
export function watchFilesFor(scheduler: Scheduler, settings: WatchSettings, parts: WatchParts): WatchFile[] {
  if (scheduler === 'none') return [];
  const folder = watchFolder(settings.instanceId);
  const [service = '', timer = '', path = '', cron = ''] = watchPathsOutside(settings.instanceId);
  const text = (name: string, content: string, mode = 0o600): WatchFile => ({
    path: name.startsWith('/') ? name : `${folder}/${name}`,
    data: Buffer.from(content),
    mode,
  });
  const files = [
    text('watch.sh', parts.script),
    text('inside.sh', parts.inside),
    text('upload.sh', UPLOAD_TREE),
    { path: `${folder}/app.tar`, data: parts.archive, mode: 0o600 },
    text('app.sha256', parts.hashes),
    text('settings.sh', settingsText(settings)),
  ];
  if (scheduler === 'cron') return [...files, text(cron, cronFile(folder), 0o644)];
  const followed = pathUnit(settings);
  return [
    ...files,
    text(service, serviceUnit(settings.instanceId, folder), 0o644),
    text(timer, TIMER_UNIT, 0o644),
    ...(followed === null ? [] : [text(path, followed, 0o644)]),
  ];
}

const WRITTEN = '# written by ncpatch; "ncpatch watch remove" takes it away';

/** Values for the script, and three ways to run a program with a deadline: occ, as root among the files, as their owner. */
export function settingsText(settings: WatchSettings): string {
  const { appPath, heartbeat, way, instanceId, core } = settings;
  const values = {
    root: settings.root,
    config_file: settings.configFile,
    app_folder: appPath.slice(0, appPath.lastIndexOf('/')),
    app_version: settings.appVersion,
    app_owner: way.owner,
    state_folder: settings.stateFolder,
    journal: `${STATE_PARENT}/ncpatch/${instanceId}`,
    core_file: core?.file ?? '',
    core_before: core?.before ?? '',
    core_after: core?.after ?? '',
  };
  const tool = way.occCommand[0] === 'su' ? 'su' : 'runuser';
  const functions = {
    occ: way.occCommand,
    among: way.filesCommand,
    as_owner: heartbeat.via === 'container' ? heartbeat.command : becomeUser(heartbeat.user, tool, ['sh']).slice(0, -1),
  };
  const lines = [
    ...Object.entries(values).map(([name, value]) => `${name}=${shellWord(value)}`),
    ...Object.entries(functions).map(
      ([name, words]) =>
        `${name}() { limit=$1; shift; ${['within "$limit"', ...words.map(shellWord), '"$@"'].join(' ')}; }`,
    ),
  ];
  return `${WRITTEN}\n${lines.join('\n')}\n`;
}

function shellWord(word: string): string {
  if (/\p{Cc}/u.test(word)) throw new TypeError('a path of the watch holds a control character');
  return `'${word.replaceAll("'", "'\\''")}'`;
}

function serviceUnit(instanceId: string, folder: string): string {
  return `${WRITTEN}
[Unit]
Description=Latchkey puts its app back into the Nextcloud ${instanceId} after an upgrade
# a path that changes often is no reason to stop looking
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=${commandWords(['/bin/sh', `${folder}/watch.sh`, folder])}
TimeoutStartSec=${START_SECONDS}
PrivateTmp=yes
LimitCORE=0
`;
}

const TIMER_UNIT = `${WRITTEN}
[Unit]
Description=Latchkey looks after its app each minute

[Timer]
OnBootSec=30s
OnUnitActiveSec=60s
AccuracySec=5s

[Install]
WantedBy=timers.target
`;

/** What an upgrade changes; `null` in a container, whose files are not the machine's. */
function pathUnit({ instanceId, root, configFile, appPath, way, alsoFollowed }: WatchSettings): string | null {
  if (way.filesCommand.length > 0) return null;
  const paths = [`${root}/version.php`, configFile, appPath, `${appPath}/appinfo/info.xml`, ...alsoFollowed];
  return `${WRITTEN}
[Unit]
Description=Latchkey follows upgrades of the Nextcloud ${instanceId}

[Path]
${paths.map((path) => `PathChanged=${wholePath(path)}`).join('\n')}

[Install]
WantedBy=paths.target
`;
}

function cronFile(folder: string): string {
  return `${WRITTEN}
SHELL=/bin/sh
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
* * * * * root /bin/sh ${quoteForCron(`${folder}/watch.sh`)} ${quoteForCron(folder)} >/dev/null 2>&1
`;
}
