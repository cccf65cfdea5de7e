import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import type { ContainerFacts, WebPhp } from '../facts.ts';
import { type OccPlace, occWords, openOcc } from '../occ.ts';
import { ContainerTransport, insideWords } from '../transports/container-transport.ts';
import type { Transport } from '../transports/transport.ts';
import { type Container, findEngines, listContainers } from './container-engine.ts';
import { readEntryHooks } from './container-hooks.ts';
import {
  companionsOf,
  isCronOnly,
  lastingOf,
  mayBeNextcloud,
  onMachine,
  ROOTS,
  stateFolderIn,
} from './container-places.ts';
import type { FpmPool } from './fpm-pool.ts';
import { factsOf } from './nextcloud-facts.ts';
import { readServerSettings } from './server-settings.ts';
import { firstThere, readWebPhp, type ServingPhp, servingPhp } from './serving-php.ts';
import type { Instance, OpenOptions, Sighting, Target } from './target.ts';
import { parseVersionFile } from './version-file.ts';

/** Nextcloud in a container of docker or podman: the official image, AIO, and others laid out like them. */
export const container: Target = {
  name: 'container',
  find: findInContainers,
  open: openInstance,
  facts: factsOf,
};

/** For a look into a container, which takes no time unless the engine or its disk hangs. */
const LOOK_MS = 20_000;
/** Said of a container that does not run: nothing in it can be looked at. */
const NOT_RUNNING = 'not running';

async function findInContainers(machine: Transport, root?: string, name?: string): Promise<Sighting[]> {
  const engines = await findEngines(machine);
  const all = engines.length === 0 ? [] : await listContainers(machine, engines);
  if (name !== undefined) {
    const named = all.filter((one) => one.name === name || (name.length >= 12 && one.id.startsWith(name)));
    if (named.length === 0) throw noSuchContainer(name, engines.length > 0, all);
    return (await Promise.all(named.map((one) => sightingsIn(machine, one, root)))).flat();
  }
  const silent: LatchkeyError[] = [];
  const looks = all.filter(mayBeNextcloud).map(async (one) => {
    try {
      return await sightingsIn(machine, one, root);
    } catch (error) {
      // one that hangs does not hide the others
      if (!isLatchkeyError(error, 'container_silent')) throw error;
      silent.push(error);
      return [];
    }
  });
  const seen = (await Promise.all(looks)).flat();
  if (seen.length === 0 && silent[0] !== undefined) throw silent[0];
  return withoutCompanions(seen, all);
}

function noSuchContainer(name: string, hasEngine: boolean, all: readonly Container[]): LatchkeyError {
  const names = all.map((one) => one.name).join(', ');
  const what = !hasEngine
    ? 'neither docker nor podman is on the server, or not where this account finds it'
    : all.length === 0
      ? 'no container is on the server, or docker does not run'
      : `these are there: ${names}`;
  return new LatchkeyError('container_gone', `there is no container ${name}`, { hint: what, field: 'container' });
}

/** Of several containers with the same files the one that serves them is meant, not the one for background jobs. */
function withoutCompanions(seen: readonly Sighting[], all: readonly Container[]): Sighting[] {
  const cronOnly = new Set(all.filter(isCronOnly).map((one) => one.name));
  return seen.filter((sighting) => {
    if (!cronOnly.has(sighting.container ?? '') || typeof sighting.machineRoot !== 'string') return true;
    return !seen.some((other) => other !== sighting && other.machineRoot === sighting.machineRoot);
  });
}

async function sightingsIn(machine: Transport, one: Container, wished?: string): Promise<Sighting[]> {
  if (one.status !== 'running') {
    const root =
      wished ?? ROOTS.find((path) => one.mounts.some(({ destination }) => destination === path)) ?? ROOTS[0] ?? '/';
    return [{ root, versionString: NOT_RUNNING, configFile: null, container: one.name, machineRoot: null }];
  }
  const inside = new ContainerTransport(machine, doorOf(one));
  try {
    const roots = wished === undefined ? ROOTS : [wished];
    const seen = await inside.run(['sh', '-c', PROBE, 'sh', ...roots], { timeoutMs: LOOK_MS });
    const [moved = '', ...real] = seen.stdout.toString('utf8').split('\n').slice(0, -1);
    const found = await Promise.all([...new Set(real)].map((root) => lookAt(machine, inside, one, root, moved)));
    return found.filter((sighting) => sighting !== null);
  } catch (error) {
    if (isLatchkeyError(error, 'command_timeout')) {
      throw new LatchkeyError(
        'container_silent',
        `no program runs in the container ${one.name} within ${LOOK_MS / 1000} s`,
        {
          hint: `try it by hand: ${one.engine.kind} exec ${one.name} true`,
        },
      );
    }
    // a database without a shell, or one that stops at this moment, is no Nextcloud
    if (!isLatchkeyError(error) || !error.code.startsWith('container_')) throw error;
    return [];
  }
}

/** Where there is PHP: what the container's environment says of the configuration, then each root that is there. */
const PROBE = `command -v php >/dev/null || exit 0
printf '%s\\n' "\${NEXTCLOUD_CONFIG_DIR-}"
for root do
  if [ -e "$root/version.php" ] && [ -e "$root/occ" ] && [ -e "$root/lib/base.php" ]; then readlink -f "$root"; fi
done`;

async function lookAt(
  machine: Transport,
  inside: Transport,
  one: Container,
  root: string,
  moved: string,
): Promise<Sighting | null> {
  const version = await inside.readFile(`${root}/version.php`, { max: 65_536 });
  let versionString: string;
  try {
    versionString = parseVersionFile(version?.toString('utf8') ?? '').versionString;
  } catch {
    return null; // some other program's version.php
  }
  const place = onMachine(root, one.mounts);
  const folders = [...(/^\/.*[^/]/.test(moved) ? [moved.replace(/\/+$/, '')] : []), `${root}/config`];
  return {
    root,
    versionString,
    configFile: await configFileIn(inside, folders),
    container: one.name,
    machineRoot: place === null ? null : await machine.realPath(place),
  };
}

async function configFileIn(inside: Transport, folders: readonly string[]): Promise<string | null> {
  for (const folder of folders) {
    if ((await inside.realPath(`${folder}/config.php`)) !== null) return `${folder}/config.php`;
  }
  return null;
}

function doorOf({ engine, id, name }: Container): ConstructorParameters<typeof ContainerTransport>[1] {
  return { program: engine.program, id, name };
}

/** The transport into the container of that name, running or not looked at yet. */
export async function openContainer(
  machine: Transport,
  name: string,
): Promise<{ readonly one: Container; readonly all: readonly Container[]; readonly inside: ContainerTransport }> {
  const engines = await findEngines(machine);
  const all = engines.length === 0 ? [] : await listContainers(machine, engines);
  const one =
    all.find((other) => other.name === name) ?? all.find((other) => name.length >= 12 && other.id.startsWith(name));
  if (one === undefined) throw noSuchContainer(name, engines.length > 0, all);
  if (one.status !== 'running') throw notRunning(one);
  return { one, all, inside: new ContainerTransport(machine, doorOf(one)) };
}

function notRunning({ engine, name, status }: Container): LatchkeyError {
  const start = status === 'paused' ? 'unpause' : 'start';
  const [code, words, hint] =
    status === 'restarting'
      ? ['container_restarting', 'keeps restarting', `see why: ${engine.kind} logs ${name}`]
      : status === 'paused'
        ? ['container_paused', 'is paused', `${engine.kind} ${start} ${name}`]
        : ['container_not_running', `does not run (${status})`, `${engine.kind} ${start} ${name}`];
  return new LatchkeyError(code, `the container ${name} ${words}`, { hint });
}

async function openInstance(machine: Transport, sighting: Sighting, options: OpenOptions): Promise<Instance> {
  const { root, configFile } = sighting;
  const { one, all, inside } = await openContainer(machine, sighting.container ?? '');
  const real = configFile === null ? null : await inside.realPath(configFile);
  const state = real === null ? null : await inside.stat(real);
  if (configFile === null || state === null) {
    throw new LatchkeyError('not_installed', `the Nextcloud in the container ${one.name} was never installed`, {
      hint: 'install it first: there is no config.php in its configuration folder',
    });
  }
  // who has no name in the container is still somebody to the engine
  const named = state.owner !== 'UNKNOWN';
  const user = named ? state.owner : `${state.uid}:${state.gid}`;
  const php = options.php ?? (await firstThere(inside, ['/usr/local/bin/php', '/usr/bin/php'])) ?? 'php';
  const folder = configFile.slice(0, -'/config.php'.length);
  const movedConfigDirectory = folder === `${root}/config` ? null : folder;
  const place: OccPlace = { root, configDirectory: movedConfigDirectory, user, php };
  const asOwner = insideWords(one.engine, user, one.name);
  const [web, entryHooks, dataDirectory, kind] = await Promise.all([
    readWeb(inside, root, php),
    readEntryHooks(inside, one.mounts, root),
    readDataDirectory(inside, real ?? configFile),
    kindOf(inside, one),
  ]);
  return {
    target: 'container',
    root,
    configFile,
    movedConfigDirectory,
    owner: { user, group: named ? state.group : String(state.gid), uid: state.uid, gid: state.gid },
    php,
    web,
    files: inside,
    machine,
    runPhp: (args, given) => inside.run([php, ...args], { as: user, ...given }),
    defaultStateFolder: (instanceId) => stateFolderIn(one.mounts, { root, dataDirectory }, instanceId),
    heartbeat: { via: 'container', command: insideWords(one.engine, String(state.uid), one.name) },
    occ: openOcc(inside, place),
    occCommand: [...asOwner, ...occWords(place)],
    filesCommand: insideWords(one.engine, '0', one.name),
    container: (stateFolder): ContainerFacts => ({
      engine: one.engine.kind,
      name: one.name,
      image: one.image,
      kind,
      mounts: one.mounts,
      entryHooks,
      companions: companionsOf(one, all, root).map((other) => ({
        name: other.name,
        seesState:
          lastingOf(stateFolder, other.mounts) !== 'lost' &&
          onMachine(stateFolder, other.mounts) === onMachine(stateFolder, one.mounts),
      })),
    }),
  };
}

/** `config.php` is not run and not read whole: grep picks the one value. */
async function readDataDirectory(inside: Transport, configFile: string): Promise<string | null> {
  const pattern = "^[[:space:]]*'datadirectory'[[:space:]]*=>[[:space:]]*'/[^'\\\\]+',[[:space:]]*$";
  const found = await inside.run(['grep', '-hE', '-m', '1', '-e', pattern, '--', configFile]);
  return /'(\/[^'\\]*[^'\\/])\/*',\s*$/.exec(found.stdout.toString('utf8'))?.[1] ?? null;
}

async function kindOf(inside: Transport, { image, name }: Container): Promise<ContainerFacts['kind']> {
  if (/aio-nextcloud|nextcloud-aio/.test(image) || name === 'nextcloud-aio-nextcloud') return 'aio';
  const parts = await Promise.all(
    ['/usr/src/nextcloud/version.php', '/upgrade.exclude', '/entrypoint.sh'].map((path) => inside.stat(path)),
  );
  return parts.every((part) => part !== null) ? 'official' : 'other';
}

/** The images have one PHP, which serves by FPM or as a module of Apache; both read the same settings as the one for occ. */
async function readWeb(inside: Transport, root: string, php: string): Promise<WebPhp | null> {
  const settings = await readServerSettings(inside);
  const fpm = await firstThere(inside, ['/usr/local/sbin/php-fpm']);
  const module = fpm === null ? await inside.stat('/usr/local/etc/php') : null;
  const ofImage: ServingPhp | null =
    fpm !== null
      ? { sapi: 'fpm', pool: onePool(settings.pools), place: { version: null, cli: [php], fpm: [fpm] } }
      : module !== null
        ? { sapi: 'module', place: { version: null, cli: [php], fpm: [] } }
        : null;
  const serving = ofImage ?? servingPhp(root, settings);
  return serving === null ? null : readWebPhp(inside, serving, root);
}

/** The image's pool is written in several files, each over the one before. */
function onePool(pools: readonly FpmPool[]): FpmPool {
  const merged = { file: '/usr/local/etc/php-fpm.d/www.conf', name: 'www', user: null, listen: null };
  return {
    ...merged,
    env: Object.assign({}, ...pools.map(({ env }) => env)),
    ini: Object.assign({}, ...pools.map(({ ini }) => ini)),
  };
}
