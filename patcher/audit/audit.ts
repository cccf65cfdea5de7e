import { posix } from 'node:path';
import { LatchkeyError } from '../../platform/errors.ts';
import type { LocalApp } from '../app-files.ts';
import type { Progress } from '../progress.ts';
import { chooseInstance, findInstances } from '../targets/instance-choice.ts';
import type { Transport } from '../transports/transport.ts';
import { sha512, UNSIGNED_FOLDERS } from '../vendor/vendor-tree.ts';
import { type Evidence, judge } from './judge.ts';
import { readSettings, type SettingsLook } from './settings-look.ts';
import { listTree, type TreeListing } from './tree-listing.ts';
import type { Remark, Verdict } from './verdict.ts';

export interface AuditReport extends Verdict {
  /** True when nothing was found that is not as it was made. */
  readonly clean: boolean;
  readonly root: string;
  readonly appsPaths: readonly string[];
  readonly dataDirectory: string | null;
}

export interface AuditWish {
  readonly root?: string;
  /** Where the server's disk is mounted on the machine that is looked at: absolute paths in its settings are below it. */
  readonly disk?: string;
}

/**
 * Compares the code of one Nextcloud with what the vendor signed. Runs nothing of Nextcloud and no PHP, and works on one
 * that is broken; uses find, sha512sum and other tools every server has, and decides here.
 */
export async function audit(
  transport: Transport,
  wish: AuditWish,
  deps: { readonly app: LocalApp; readonly now: () => number; readonly progress: Progress },
): Promise<AuditReport> {
  const { root, configFolder } = await findCode(transport, wish);
  const remarks: Remark[] = [];
  const settings = configFolder === null ? null : await readSettings(transport, configFolder, root);
  const places = await placesOf(transport, { root, configFolder, settings, disk: wish.disk ?? '' }, remarks);
  const mounts = await mountsBelow(transport, root);
  const foreign = mounts.filter((mount) => !isCode(root, mount) && !places.appsPaths.includes(mount));
  const kinds = await Promise.all(foreign.map((mount) => transport.stat(mount)));
  // one file mounted over another is read like any other
  const leftOut = foreign.filter((_, at) => kinds[at]?.kind === 'directory');
  for (const path of leftOut) remarks.push({ kind: 'not_looked_at', path, words: 'something is mounted here' });

  deps.progress.step(`hash the code in ${root}`);
  const prune = [...leftOut, ...(places.data === null ? [] : [places.data])].filter((path) => isBelow(root, path));
  const tree = await listTree(transport, root, { leaveOut: prune.map((path) => posix.relative(root, path)) });
  if (tree === null) throw new LatchkeyError('nextcloud_not_found', `${root} is not there any more`);
  const evidence: Evidence = {
    root,
    tree,
    appsPaths: await appsOf(transport, root, places.appsPaths, remarks),
    config: await configOf(transport, root, configFolder),
    settings,
    data: await dataOf(transport, places.data),
    ownApp: {
      version: deps.app.app.version,
      files: new Map(deps.app.files.map((file) => [file.path, sha512(file.data)])),
    },
    now: new Date(deps.now()),
  };
  deps.progress.step('compare with what the vendor signed');
  const verdict = judge(evidence);
  return {
    clean: verdict.findings.length === 0,
    root,
    appsPaths: evidence.appsPaths.map(({ path }) => path),
    dataDirectory: places.data,
    ...verdict,
    remarks: [...verdict.remarks, ...remarks],
  };
}

/** The tree that is meant. One that is named is taken even when it is too broken to be found as a Nextcloud. */
async function findCode(
  transport: Transport,
  { root: wished, disk }: AuditWish,
): Promise<{ root: string; configFolder: string | null }> {
  for (const [name, folder] of [
    ['root', wished],
    ['disk', disk],
  ] as const) {
    if (folder !== undefined && (!/^\/[^\0]*[^/\0]$/.test(folder) || posix.normalize(folder) !== folder)) {
      throw new LatchkeyError('invalid_request', `"--${name}" must be an absolute path without a slash at its end`, {
        exit: 2,
        field: name,
      });
    }
  }
  if (disk !== undefined && wished === undefined) {
    throw new LatchkeyError('usage', '"--disk" needs "--root", the folder of the code as it is mounted', { exit: 2 });
  }
  if (disk === undefined) {
    const found = await findInstances(transport, wished);
    if (found.length > 0 || wished === undefined) {
      const { sighting } = chooseInstance(found, wished);
      const config = sighting.configFile;
      return { root: sighting.root, configFolder: config === null ? null : posix.dirname(config) };
    }
  }
  const root = await transport.realPath(wished ?? '/');
  const signed = root === null ? null : await transport.stat(`${root}/core/signature.json`);
  const base = root === null ? null : await transport.stat(`${root}/lib`);
  if (root === null || (signed === null && base === null)) {
    throw new LatchkeyError('nextcloud_not_found', `there is no nextcloud in ${wished ?? '/'}`, {
      hint: 'the folder must hold core/signature.json or lib',
    });
  }
  const config = await transport.realPath(`${root}/config/config.php`);
  return { root, configFolder: config === null ? null : `${root}/config` };
}

function isBelow(root: string, path: string): boolean {
  return path.startsWith(`${root}/`);
}

/** Below a folder of the root that holds code; nothing in there is left out because a setting says so. */
function isCode(root: string, path: string): boolean {
  if (!isBelow(root, path)) return path === root || isBelow(path, root);
  const first = posix.relative(root, path).split('/')[0] ?? '';
  return [...CODE_FOLDERS, ...UNSIGNED_FOLDERS.filter((name) => name !== 'data')].includes(first);
}

const CODE_FOLDERS = ['3rdparty', 'core', 'dist', 'lib', 'LICENSES', 'ocs', 'ocs-provider', 'resources'];

/** Apps paths and the data directory as the settings have them, as they really lie. */
async function placesOf(
  transport: Transport,
  about: { root: string; configFolder: string | null; settings: SettingsLook | null; disk: string },
  remarks: Remark[],
): Promise<{ appsPaths: readonly string[]; data: string | null }> {
  const { root, settings, disk } = about;
  const appsPaths = new Set([`${root}/apps`]);
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

async function mountsBelow(transport: Transport, root: string): Promise<string[]> {
  const table = await transport.run(['cat', '/proc/self/mountinfo']);
  const places = table.stdout
    .toString('utf8')
    .split('\n')
    .map((line) =>
      (line.split(' ')[4] ?? '').replace(/\\([0-7]{3})/g, (_, digits) =>
        String.fromCharCode(Number.parseInt(digits, 8)),
      ),
    );
  return [...new Set(places.filter((place) => isBelow(root, place)))];
}

async function appsOf(
  transport: Transport,
  root: string,
  paths: readonly string[],
  remarks: Remark[],
): Promise<Evidence['appsPaths']> {
  const found: { path: string; listing: TreeListing | null }[] = [];
  for (const path of paths) {
    if (isBelow(root, path)) {
      found.push({ path, listing: null });
      continue;
    }
    const listing = await listTree(transport, path, { onlyApps: true });
    if (listing !== null) found.push({ path, listing });
    else remarks.push({ kind: 'not_looked_at', path, words: 'config.php names it, and it holds no apps' });
  }
  return found;
}

async function configOf(transport: Transport, root: string, folder: string | null): Promise<Evidence['config']> {
  if (folder === null) return null;
  const real = await transport.realPath(folder);
  if (real === null || real === `${root}/config`) return { path: folder, listing: null };
  return { path: real, listing: await listTree(transport, real) };
}

/** Two levels, and only what could be run: the rest is people's files. */
async function dataOf(transport: Transport, path: string | null): Promise<Evidence['data']> {
  if (path === null) return null;
  const listing = await listTree(transport, path, { onlyUpperCode: true });
  return listing === null ? null : { path, listing };
}
