import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import { parseInput } from '../../platform/schema.ts';
import {
  APP_ID,
  type AppFiles,
  type AppsPath,
  type CliPhp,
  type Enrolment,
  type Facts,
  type Scheduler,
} from '../facts.ts';
import { timerPaths } from '../heartbeat-timer.ts';
import { occJson, occText } from '../occ.ts';
import type { Transport } from '../transports/transport.ts';
import { readWatch } from '../watch/watch-look.ts';
import { appStateOf } from './app-state.ts';
import { appVersionIn } from './info-xml.ts';
import { NEEDED_EXTENSIONS } from './php-answer.ts';
import { readPlatform } from './platform.ts';
import type { Instance } from './target.ts';
import { compareVersions, parseVersionFile } from './version-file.ts';

const statusSchema = z.object({
  installed: z.boolean(),
  maintenance: z.boolean(),
  needsDbUpgrade: z.boolean(),
});
const text = z.string();
const configSchema = z.object({
  system: z.looseObject({
    version: text.optional(),
    dbtype: text.optional(),
    'memcache.local': text.optional(),
    'memcache.distributed': text.optional(),
    'memcache.locking': text.optional(),
    'remotekeystorage.dir': text.optional(),
    'remotekeystorage.hook': text.optional(),
    apps_paths: z.union([z.array(z.unknown()), z.record(z.string(), z.unknown())]).optional(),
  }),
  apps: z.record(z.string(), z.record(z.string(), z.unknown()).or(z.array(z.unknown()))),
});
const appsPathSchema = z.looseObject({ path: text, url: text, writable: z.boolean().optional() });
type Config = z.infer<typeof configSchema>;

/** Everything that is asked of a Nextcloud itself, whatever kind of installation it is. */
export async function factsOf(instance: Instance): Promise<Facts> {
  const { root, occ, files: transport, machine } = instance;
  const [versionText, status, config, dataDirectory, instanceId, cli] = await Promise.all([
    transport.readFile(`${root}/version.php`, { max: 65_536 }),
    occJson(occ, ['status'], statusSchema),
    occJson(occ, ['config:list'], configSchema),
    oneLine(instance, 'datadirectory'),
    oneLine(instance, 'instanceid'),
    readCliPhp(instance),
  ]);
  if (versionText === null) throw new LatchkeyError('version_unreadable', `${root}/version.php is not there`);
  if (!status.installed) throw new LatchkeyError('not_installed', `${root} is a Nextcloud that was never installed`);
  if (!/^[a-z0-9]{6,64}$/.test(instanceId)) {
    throw new LatchkeyError('instance_id_unknown', '"instanceid" in config.php has a form that is not known');
  }
  const version = parseVersionFile(versionText.toString('utf8'));
  const appsPathsConfigured = config.system.apps_paths !== undefined;
  const appsPaths = appsPathsOf(config, root);
  const entry = config.apps[APP_ID];
  const installedVersion = appValue(entry, 'installed_version');
  const enabled = appValue(entry, 'enabled') === 'yes';
  const encryption = config.apps.encryption;
  const encryptionOn =
    appValue(config.apps.core, 'encryption_enabled') === 'yes' && appValue(encryption, 'enabled') === 'yes';
  const directory = config.system['remotekeystorage.dir'] ?? null;
  const stateFolder = directory ?? instance.defaultStateFolder(instanceId);
  const keyRoot = appValue(config.apps.core, 'encryption_key_storage_root') ?? '';
  const [files, enrolment, folder, privateKeys, around] = await Promise.all([
    readAppFiles(transport, appsPaths),
    directory === null ? null : readEnrolment(instance, directory),
    transport.stat(stateFolder),
    privateKeysIn(transport, [dataDirectory, keyRoot, 'files_encryption/OC_DEFAULT_MODULE']),
    readMachine(instance, instanceId),
  ]);
  return {
    target: instance.target,
    root,
    configFile: instance.configFile,
    movedConfigDirectory: instance.movedConfigDirectory,
    owner: { user: instance.owner.user, group: instance.owner.group },
    version,
    instanceId,
    maintenance: status.maintenance,
    needsUpgrade: status.needsDbUpgrade,
    databaseVersion: config.system.version ?? '',
    database: config.system.dbtype ?? 'sqlite3',
    dataDirectory,
    appsPaths,
    appsPathsConfigured,
    cli,
    web: instance.web,
    encryption: {
      // the master key is the default; only an explicit 0 means keys of single users
      mode: !encryptionOn ? 'off' : appValue(encryption, 'useMasterKey') === '0' ? 'user' : 'master',
      masterKeyId: appValue(encryption, 'masterKeyId'),
      publicShareKeyId: appValue(encryption, 'publicShareKeyId'),
      recoveryKeyId: appValue(encryption, 'recoveryKeyId'),
      privateKeys,
    },
    caches: {
      local: config.system['memcache.local'] ?? null,
      distributed: config.system['memcache.distributed'] ?? null,
      locking: config.system['memcache.locking'] ?? null,
    },
    app: { state: appStateOf({ enabled, installedVersion, files, enrolment }), enabled, installedVersion, files },
    enrolment,
    ...(config.system['remotekeystorage.hook'] === 'core' ? { hook: 'core' } : {}),
    stateFolder: {
      path: stateFolder,
      exists: folder !== null,
      // a container's owner may have no name of its own
      owner: folder === null ? null : folder.uid === instance.owner.uid ? instance.owner.user : folder.owner,
      mode: folder === null ? null : folder.mode.toString(8).padStart(4, '0'),
    },
    heartbeat: instance.heartbeat,
    ...around,
    watch: await readWatch(instance, instanceId),
    isRoot: machine.user.uid === 0,
    platform: await readPlatform(instance),
    container: instance.container?.(stateFolder) ?? null,
  };
}

function appValue(app: Config['apps'][string] | undefined, name: string): string | null {
  if (app === undefined || Array.isArray(app)) return null;
  const value = app[name];
  if (typeof value === 'string') return value === '' ? null : value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(Number(value)) : null;
}

async function oneLine(instance: Instance, name: string): Promise<string> {
  return (await occText(instance.occ, ['config:system:get', name])).trim();
}

function appsPathsOf(config: Config, root: string): AppsPath[] {
  const entries = config.system.apps_paths;
  if (entries === undefined) return [{ path: `${root}/apps`, url: '/apps', writable: true }];
  return Object.values(entries).map((value) => {
    const { path, url, writable } = parseInput(appsPathSchema, value);
    return { path: path.replace(/\/+$/, ''), url, writable: writable ?? false };
  });
}

/** Where two apps paths hold the app, Nextcloud takes the higher version, and the earlier path between equals. */
async function readAppFiles(transport: Transport, paths: readonly AppsPath[]): Promise<AppFiles | null> {
  const found: AppFiles[] = [];
  for (const { path: parent } of paths) {
    const path = `${parent}/${APP_ID}`;
    const digests = await transport.treeDigest(path);
    if (digests === null) continue;
    const info = await transport.readFile(`${path}/appinfo/info.xml`, { max: 65_536 });
    const version = info === null ? null : appVersionIn(info.toString('utf8'));
    found.push({
      path,
      version,
      content: Object.fromEntries([...digests].map(([name, { sha256 }]) => [name, sha256])),
    });
  }
  found.sort((a, b) => compareVersions(b.version ?? '0', a.version ?? '0'));
  return found[0] ?? null;
}

const enrolmentSchema = z.object({
  clientId: z.string().min(1).max(128),
  urls: z.array(z.string().max(300)).max(8),
  keys: z.array(z.string().max(128)).max(64),
});

/** Runs as the owner, and prints only what is no secret; the token and the rest never leave the server. */
const ENROLMENT_PROBE = `
$text = @file_get_contents($argv[1]);
if ($text === false) { echo file_exists($argv[1]) ? '"unreadable"' : 'null'; exit; }
$client = json_decode($text, true);
echo json_encode(is_array($client) ? ['clientId' => $client['clientId'] ?? null, 'urls' => $client['urls'] ?? null, 'keys' => $client['keys'] ?? null] : 'unreadable');`;

async function readEnrolment(instance: Instance, directory: string): Promise<Enrolment | null> {
  const file = `${directory}/client.json`;
  const result = await instance.runPhp(['-d', 'display_errors=0', '-r', ENROLMENT_PROBE, '--', file]);
  const broken = new LatchkeyError('enrolment_unreadable', `${file} is there but could not be read as an enrolment`, {
    hint: `it must belong to ${instance.owner.user}; if it is damaged, restore it from a backup of the server`,
  });
  if (result.exit !== 0) throw broken;
  let value: unknown;
  try {
    value = JSON.parse(result.stdout.toString('utf8'));
  } catch {
    throw broken;
  }
  if (value === null) return null;
  const parsed = enrolmentSchema.safeParse(value);
  if (!parsed.success) throw broken;
  return { directory, ...parsed.data };
}

async function privateKeysIn(transport: Transport, parts: readonly string[]): Promise<string[]> {
  const folder = parts.map((part) => part.replace(/\/+$/, '').replace(/^\/+/, '')).filter((part) => part !== '');
  const entries = await transport.list(`/${folder.join('/')}`);
  return (entries ?? []).map((entry) => entry.name).filter((name) => name.endsWith('.privateKey'));
}

const CLI_PROBE = `echo json_encode([
  'version' => PHP_VERSION,
  'extensions' => array_map('strtolower', get_loaded_extensions()),
  'ignoreArgs' => (bool) ini_get('zend.exception_ignore_args'),
]);`;
const cliSchema = z.object({ version: z.string(), extensions: z.array(z.string()), ignoreArgs: z.boolean() });

async function readCliPhp(instance: Instance): Promise<CliPhp> {
  const result = await instance.runPhp(['-d', 'display_errors=stderr', '-r', CLI_PROBE]);
  if (result.exit !== 0) {
    throw new LatchkeyError('php_not_usable', `${instance.php} could not be run on the server`, {
      hint: 'install PHP for the command line, or name it with --php PROGRAM',
    });
  }
  const probe = parseInput(cliSchema, JSON.parse(result.stdout.toString('utf8')));
  return {
    program: instance.php,
    version: probe.version,
    missingExtensions: NEEDED_EXTENSIONS.filter((name) => !probe.extensions.includes(name)),
    apcu: probe.extensions.includes('apcu'),
    exceptionArgsIgnored: probe.ignoreArgs,
  };
}

type Machine = Pick<Facts, 'scheduler' | 'timerFiles' | 'missingPrograms' | 'selinuxEnforcing'>;

const MISSING = 'for name do command -v "$name" >/dev/null || printf "%s\\n" "$name"; done';

/** Of the machine, but for the programs: the heartbeat needs them where it runs. */
async function readMachine({ machine: transport, files: inside }: Instance, instanceId: string): Promise<Machine> {
  const [systemd, cron, enforce, missing, ...files] = await Promise.all([
    transport.stat('/run/systemd/system'),
    transport.stat('/etc/cron.d'),
    transport.readFile('/sys/fs/selinux/enforce', { max: 16 }),
    inside.run(['/bin/sh', '-c', MISSING, 'sh', 'curl', 'openssl', 'flock']),
    ...timerPaths(instanceId).map((path) => transport.readFile(path, { max: 65_536 })),
  ]);
  const scheduler: Scheduler = systemd?.kind === 'directory' ? 'systemd' : cron?.kind === 'directory' ? 'cron' : 'none';
  const timerFiles = timerPaths(instanceId).flatMap((path, i) => {
    const content = files[i];
    return content === undefined || content === null ? [] : [[path, content.toString('utf8')]];
  });
  return {
    scheduler,
    timerFiles: Object.fromEntries(timerFiles) as Record<string, string>,
    missingPrograms: missing.stdout
      .toString('utf8')
      .split('\n')
      .filter((name) => name !== ''),
    selinuxEnforcing: enforce?.toString('utf8').trim() === '1',
  };
}
