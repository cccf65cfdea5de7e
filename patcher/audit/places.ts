import { posix } from 'node:path';
import { SNAP_DATA } from '../targets/snap-places.ts';
import type { Transport } from '../transports/transport.ts';
import { UNSIGNED_FOLDERS } from '../vendor/vendor-tree.ts';
import type { SettingsLook } from './settings-look.ts';
import type { Remark } from './verdict.ts';

const CODE_FOLDERS = ['3rdparty', 'core', 'dist', 'lib', 'LICENSES', 'ocs', 'ocs-provider', 'resources'];

/** Where the snap has the apps of its owner; its first config.php names the place by code, which nobody here runs. */
const EXTRA_APPS = `${SNAP_DATA}/nextcloud/extra-apps`;

export function isBelow(root: string, path: string): boolean {
  return path.startsWith(`${root}/`);
}

/** Below a folder of the root that holds code; nothing in there is left out because a setting says so. */
function isCode(root: string, path: string): boolean {
  if (!isBelow(root, path)) return path === root || isBelow(path, root);
  const first = posix.relative(root, path).split('/')[0] ?? '';
  return [...CODE_FOLDERS, ...UNSIGNED_FOLDERS.filter((name) => name !== 'data')].includes(first);
}

/** Apps paths and the data directory as the settings have them, as they really lie. */
export async function placesOf(
  transport: Transport,
  about: {
    readonly root: string;
    readonly target: string | null;
    readonly settings: SettingsLook | null;
    readonly disk: string;
  },
  remarks: Remark[],
): Promise<{ readonly appsPaths: readonly string[]; readonly data: string | null }> {
  const { root, settings, disk } = about;
  const appsPaths = new Set([`${root}/apps`]);
  const ownPlace = about.target === 'snap' ? await transport.realPath(EXTRA_APPS) : null;
  if (ownPlace !== null) appsPaths.add(ownPlace);
  for (const path of settings?.paths ?? []) {
    const real = await transport.realPath(onDisk(path, disk, root));
    if (real === null) remarks.push({ kind: 'not_looked_at', path, words: 'config.php names it, and it is not there' });
    else if (real !== root && !isBelow(real, root)) appsPaths.add(real);
  }
  const named = settings?.dataDirectories ?? [];
  const real = await Promise.all(named.map((path) => transport.realPath(onDisk(path, disk, root))));
  const data = real.find((path) => path !== null && !isCode(root, path)) ?? null;
  if (data !== null) return { appsPaths: [...appsPaths], data };
  for (const path of named)
    remarks.push({ kind: 'not_looked_at', path, words: 'the data directory is not there, or lies in the code' });
  return { appsPaths: [...appsPaths], data: await transport.realPath(`${root}/data`) };
}

/** Where a path of the server's settings lies; below its own root it is found without `--disk`, too. */
function onDisk(path: string, disk: string, root: string): string {
  return isBelow(root, path) ? path : `${disk}${path}`;
}

/** Folders in the tree on which something else is mounted that is neither code nor apps. */
export async function foreignMounts(
  transport: Transport,
  root: string,
  appsPaths: readonly string[],
  remarks: Remark[],
): Promise<readonly string[]> {
  const table = await transport.run(['cat', '/proc/self/mountinfo']);
  const mounts = new Set(table.stdout.toString('utf8').split('\n').map(mountPoint));
  const foreign = [...mounts].filter(
    (mount) => isBelow(root, mount) && !isCode(root, mount) && !appsPaths.includes(mount),
  );
  const kinds = await Promise.all(foreign.map((mount) => transport.stat(mount)));
  // one file mounted over another is read like any other
  const leftOut = foreign.filter((_, at) => kinds[at]?.kind === 'directory');
  for (const path of leftOut) remarks.push({ kind: 'not_looked_at', path, words: 'something is mounted here' });
  return leftOut;
}

function mountPoint(line: string): string {
  return (line.split(' ')[4] ?? '').replace(/\\([0-7]{3})/g, (_, digits) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
