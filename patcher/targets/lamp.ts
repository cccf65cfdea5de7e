import { LatchkeyError } from '../../platform/errors.ts';
import { STATE_PARENT } from '../facts.ts';
import { type OccPlace, occWords, openOcc } from '../occ.ts';
import { becomeUser } from '../transports/elevation.ts';
import type { Transport } from '../transports/transport.ts';
import { factsOf } from './nextcloud-facts.ts';
import { readServerSettings, type ServerSettings } from './server-settings.ts';
import { configDirectoryFor, firstThere, readWebPhp, servingPhp } from './serving-php.ts';
import { SNAP_MOUNTS } from './snap-places.ts';
import type { Instance, OpenOptions, Sighting, Target } from './target.ts';
import { parseVersionFile } from './version-file.ts';

/** Where trees are looked for, besides every folder the web server names; with how deep. */
const PARENTS: readonly (readonly [depth: number, parents: readonly string[]])[] = [
  [6, ['/var/www', '/srv/www', '/srv/http', '/usr/share/nginx', '/usr/local/www']],
  [4, ['/home', '/opt', '/usr/share/nextcloud', '/usr/share/webapps', '/usr/share/webapps/nextcloud']],
];
const NOT_LOOKED_INTO = ['data', 'apps', '3rdparty', 'node_modules', 'core', 'lib', '.git', '.cache'];
/** Where distributions keep config.php of a tree in `/usr/share`. */
const PACKAGED_CONFIG = ['/etc/nextcloud', '/etc/webapps/nextcloud/config', '/etc/webapps/nextcloud'];

/** Nextcloud as files on a web server: packages of distributions, hosting panels, archives unpacked by hand. */
export const lamp: Target = {
  name: 'lamp',
  find: findTrees,
  open: openInstance,
  facts: factsOf,
};

async function findTrees(transport: Transport, root?: string): Promise<Sighting[]> {
  const settings = await readServerSettings(transport);
  const candidates = root === undefined ? await candidateRoots(transport, settings) : [root];
  const sightings = new Map<string, Sighting>();
  for (const candidate of candidates) {
    const real = await transport.realPath(candidate);
    if (real === null || sightings.has(real) || isInSnap(real)) continue;
    const sighting = await lookAt(transport, real, settings);
    if (sighting !== null) sightings.set(real, sighting);
  }
  return [...sightings.values()].sort((a, b) => (a.root < b.root ? -1 : 1));
}

/** The code of a snap runs by the snap's own occ only. */
function isInSnap(path: string): boolean {
  return SNAP_MOUNTS.some((mount) => path.startsWith(`${mount}/`));
}

async function candidateRoots(transport: Transport, settings: ServerSettings): Promise<string[]> {
  const prune = NOT_LOOKED_INTO.flatMap((name, i) => [...(i === 0 ? [] : ['-o']), '-name', name]);
  const walks = PARENTS.map(([depth, parents]) =>
    transport.run(
      [
        'find',
        ...parents,
        '-maxdepth',
        String(depth),
        '-type',
        'd',
        '(',
        ...prune,
        ')',
        '-prune',
        '-o',
        '-name',
        'occ',
        '-print0',
      ],
      { timeoutMs: 120_000 },
    ),
  );
  const found = (await Promise.all(walks)).flatMap((walk) => walk.stdout.toString('utf8').split('\0'));
  const roots = found.filter((path) => path.endsWith('/occ')).map((path) => path.slice(0, -'/occ'.length));
  return [...roots, ...settings.hosts.flatMap((host) => host.folders)];
}

/** `null` unless the folder is the root of a Nextcloud. */
async function lookAt(transport: Transport, root: string, settings: ServerSettings): Promise<Sighting | null> {
  const [version, occ, base] = await Promise.all([
    transport.readFile(`${root}/version.php`, { max: 65_536 }),
    transport.stat(`${root}/occ`),
    transport.stat(`${root}/lib/base.php`),
  ]);
  if (version === null || occ === null || base === null) return null;
  let versionString: string;
  try {
    versionString = parseVersionFile(version.toString('utf8')).versionString;
  } catch {
    return null; // some other program's version.php
  }
  return { root, versionString, configFile: await configFileOf(transport, root, settings) };
}

async function configFileOf(transport: Transport, root: string, settings: ServerSettings): Promise<string | null> {
  const moved = configDirectoryFor(root, settings);
  const packaged = root.startsWith('/usr/share/') ? PACKAGED_CONFIG : [];
  for (const folder of [...(moved === null ? [] : [moved]), `${root}/config`, ...packaged]) {
    if ((await transport.realPath(`${folder}/config.php`)) !== null) return `${folder}/config.php`;
  }
  return null;
}

async function openInstance(transport: Transport, sighting: Sighting, options: OpenOptions): Promise<Instance> {
  const { root, configFile } = sighting;
  const real = configFile === null ? null : await transport.realPath(configFile);
  const state = real === null ? null : await transport.stat(real);
  if (configFile === null || state === null) {
    throw new LatchkeyError('not_installed', `${root} is a Nextcloud that was never installed: it has no config.php`, {
      hint: 'install it first; if its configuration lies elsewhere, set NEXTCLOUD_CONFIG_DIR in the FPM pool or web server',
    });
  }
  if (state.owner === 'UNKNOWN') {
    throw new LatchkeyError('owner_unknown', `the owner of ${configFile} (uid ${state.uid}) is no user of the server`, {
      hint: 'give the file to the user that PHP runs as',
    });
  }
  const settings = await readServerSettings(transport);
  const serving = servingPhp(root, settings);
  const php = options.php ?? (await firstThere(transport, serving?.place?.cli ?? [])) ?? 'php';
  const folder = configFile.slice(0, -'/config.php'.length);
  // /etc/nextcloud linked as <root>/config is the ordinary place; occ finds it by itself
  const movedConfigDirectory = folder === `${root}/config` ? null : folder;
  const place: OccPlace = { root, configDirectory: movedConfigDirectory, user: state.owner, php };
  const runuser = await firstThere(transport, ['/usr/sbin/runuser', '/sbin/runuser', '/usr/bin/runuser']);
  return {
    target: 'lamp',
    root,
    configFile,
    movedConfigDirectory,
    owner: { user: state.owner, group: state.group, uid: state.uid, gid: state.gid },
    php,
    web: serving === null ? null : await readWebPhp(transport, serving, root),
    files: transport,
    machine: transport,
    runPhp: (args, given) => transport.run([php, ...args], { as: state.owner, ...given }),
    defaultStateFolder: (instanceId) => `${STATE_PARENT}/${instanceId}`,
    heartbeat: { via: 'machine', user: state.owner },
    occ: openOcc(transport, place),
    occCommand: becomeUser(state.owner, runuser === null ? 'su' : 'runuser', occWords(place)),
    filesCommand: [],
  };
}
