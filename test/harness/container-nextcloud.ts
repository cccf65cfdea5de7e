import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { timerPaths } from '../../patcher/heartbeat-timer.ts';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import { run } from '../../platform/run.ts';
import type { Cleanup } from './cleanup.ts';
import { ContainerHost, type HostMount } from './container-host.ts';
import { type ProgramAnswer, projectProgram } from './keyserver-process.ts';
import { NextcloudFiles, webUser } from './nextcloud-files.ts';
import type { NextcloudTree } from './nextcloud-tree.ts';
import { findPhpFpm, findProgram } from './programs.ts';

const ROOT = '/var/www/html';
const CONF = '/usr/local/etc/php/conf.d';

/** Adds to the release what the image's own configuration has: apps of its owner go into a folder of their own. */
export const APPS_CONFIG = `<?php
$CONFIG = [
  'apps_paths' => [
    ['path' => OC::$SERVERROOT . '/apps', 'url' => '/apps', 'writable' => false],
    ['path' => OC::$SERVERROOT . '/custom_apps', 'url' => '/custom_apps', 'writable' => true],
  ],
];
`;

/** Writes or reads an encrypted file of admin's through Nextcloud, without a session, as cron would. */
const FILE_PROGRAM = `require '${ROOT}/lib/base.php';
\\OCP\\Server::get(\\OCP\\App\\IAppManager::class)->loadApps();
$folder = \\OCP\\Server::get(\\OCP\\Files\\IRootFolder::class)->getUserFolder('admin');
[, $what, $name] = $argv;
if ($what === 'write') { $folder->newFile($name, stream_get_contents(STDIN)); exit; }
echo $folder->get($name)->getContent();`;

/** What `php` is in the image: no php.ini, one folder of settings, and this machine's program below. */
function phpProgram(program: string): { readonly text: string; readonly mode: number } {
  const settings = `PHPRC=/usr/local/etc/php PHP_INI_SCAN_DIR=${CONF}`;
  return { text: `#!/bin/sh\nexport ${settings}\nexec ${program} "$@"\n`, mode: 0o755 };
}

/** What an image of the official layout consists of, with this machine's PHP, by the paths that a container has it at. */
export function imageFiles(tree: NextcloudTree): Record<string, { text: string; mode?: number }> {
  const php = findProgram('php') ?? '/usr/bin/php';
  const fpm = findPhpFpm();
  const scanned = execFileSync(php, ['-r', 'echo php_ini_scanned_files();'], { encoding: 'utf8' });
  const extensions = scanned
    .split(',')
    .map((file) => file.trim())
    .filter((file) => file !== '')
    .map((file) => [`${CONF}/${file.slice(file.lastIndexOf('/') + 1)}`, { text: readFileSync(file, 'utf8') }] as const);
  return {
    ...Object.fromEntries(extensions),
    [`${CONF}/nextcloud.ini`]: { text: 'memory_limit=512M\nsession.save_path=/tmp\napc.enable_cli=1\n' },
    [`${CONF}/opcache-recommended.ini`]: { text: 'opcache.revalidate_freq=60\n' },
    '/usr/local/bin/php': phpProgram(php),
    ...(fpm === null ? {} : { '/usr/local/sbin/php-fpm': phpProgram(fpm) }),
    '/usr/local/etc/php-fpm.d/www.conf': { text: '[www]\nuser = www-data\nlisten = 127.0.0.1:9000\n' },
    '/usr/local/etc/php-fpm.d/zz-docker.conf': { text: '[www]\nlisten = 9000\n' },
    '/entrypoint.sh': { text: '#!/bin/sh\nexec "$@"\n', mode: 0o755 },
    '/upgrade.exclude': { text: '/config/\n/data/\n/custom_apps/\n/themes/\n/version.php\n' },
    '/usr/src/nextcloud/version.php': { text: readFileSync(join(tree.folder, 'version.php'), 'utf8') },
  };
}

/** A Nextcloud of the official image's layout on a machine with containers, which a test starts, upgrades and takes away. */
export class ContainerNextcloud {
  readonly host: ContainerHost;
  readonly name: string;
  /** Data in a volume of their own, and the names that AIO gives. */
  readonly #isAio: boolean;
  tree: NextcloudTree;
  instanceId = '';
  readonly #files: NextcloudFiles;
  /** Mounts of the container, which its owner may add to. */
  mounts: HostMount[];

  private constructor(host: ContainerHost, files: NextcloudFiles, tree: NextcloudTree, isAio: boolean) {
    this.host = host;
    this.#isAio = isAio;
    this.name = isAio ? 'nextcloud-aio-nextcloud' : 'cloud';
    this.tree = tree;
    this.#files = files;
    this.mounts = [{ name: 'nextcloud', source: files.root, destination: ROOT }];
    if (isAio) this.mounts.push({ name: 'ncdata', source: host.volume('ncdata'), destination: '/mnt/ncdata' });
  }

  /** Volumes, a container of the image, and an installed instance with encryption on. */
  static async install(tree: NextcloudTree, cleanup: Cleanup, isAio = false): Promise<ContainerNextcloud> {
    const host = new ContainerHost(cleanup);
    const files = new NextcloudFiles(host.base, cleanup);
    await files.lay(tree);
    const cloud = new ContainerNextcloud(host, files, tree, isAio);
    for (const folder of [cloud.dataFolder, join(files.root, 'custom_apps')]) {
      mkdirSync(folder, { recursive: true, mode: 0o750 });
      chownSync(folder, webUser.uid, webUser.gid);
    }
    const config = join(files.root, 'config/apps.config.php');
    writeFileSync(config, APPS_CONFIG);
    chownSync(config, webUser.uid, webUser.gid);
    await cloud.start();
    const account = ['--admin-user', 'admin', '--admin-pass', randomBytes(12).toString('hex')];
    await cloud.occ(['maintenance:install', '--database', 'sqlite', '--data-dir', cloud.dataDirectory, ...account]);
    const system = { skeletondirectory: '', templatedirectory: '', has_internet_connection: false, loglevel: 2 };
    await cloud.occ(
      ['config:import'],
      JSON.stringify({ system: { ...system, 'memcache.local': '\\OC\\Memcache\\APCu' } }),
    );
    await cloud.occ(['app:enable', 'encryption']);
    await cloud.occ(['encryption:enable']);
    cloud.instanceId = (await cloud.occ(['config:system:get', 'instanceid'])).trim();
    cleanup.add('traces of ncpatch', () => removeTraces(cloud.instanceId));
    return cloud;
  }

  /** A new container of the image, with the mounts as they are now; the one before must be gone. */
  start(): Promise<string> {
    return this.host.start({
      name: this.name,
      image: this.#isAio ? 'ghcr.io/nextcloud-releases/aio-nextcloud:latest' : `nextcloud:${this.tree.version}-fpm`,
      command: ['/entrypoint.sh', 'php-fpm'],
      mounts: this.mounts,
      system: 'debian',
      files: imageFiles(this.tree),
      workingDirectory: ROOT,
    });
  }

  /** As "docker compose up" does it when something has changed: another container, with another id. */
  async recreate(): Promise<string> {
    await this.host.remove(this.name);
    return this.start();
  }

  /**
   * As a newer image does it: another container, whose entry point puts its code in place of the old, but for what
   * upgrade.exclude names, runs "occ upgrade", and then the scripts in its folder for that.
   */
  async upgradeImage(tree: NextcloudTree): Promise<void> {
    await this.host.remove(this.name);
    await this.#files.replace(tree, ['data', 'custom_apps', 'themes']);
    this.tree = tree;
    await this.start();
    await this.occ(['upgrade']);
    await this.runEntryHooks('post-upgrade');
  }

  /** As the entry point does it: executable scripts, as the web user; the first that fails ends the start. */
  async runEntryHooks(folder: 'post-upgrade' | 'before-starting'): Promise<void> {
    const path = `/docker-entrypoint-hooks.d/${folder}`;
    const each = `[ ! -d ${path} ] || for script in ${path}/*.sh; do [ ! -x "$script" ] || "$script" || exit 1; done`;
    await this.host.exec(this.name, 'www-data', ['sh', '-c', each]);
  }

  /** occ as its owner runs it by hand. */
  occ(args: readonly string[], input?: string): Promise<string> {
    return this.host.exec(this.name, '33', ['php', `${ROOT}/occ`, '--no-ansi', '--no-interaction', ...args], input);
  }

  async write(name: string, text: string): Promise<void> {
    await this.host.exec(this.name, '33', ['php', '-r', FILE_PROGRAM, '--', 'write', name], text);
  }

  async read(name: string): Promise<string> {
    return this.host.exec(this.name, '33', ['php', '-r', FILE_PROGRAM, '--', 'read', name]);
  }

  /** What lies on the disk of one of admin's files. */
  raw(name: string): Buffer {
    return readFileSync(join(this.dataFolder, 'admin/files', name));
  }

  /** As the container has it. */
  get dataDirectory(): string {
    return this.#isAio ? '/mnt/ncdata' : `${ROOT}/data`;
  }

  get dataFolder(): string {
    return this.#isAio ? this.host.volume('ncdata') : join(this.#files.root, 'data');
  }

  /** Where the enrolment must be, on this machine. */
  get stateFolder(): string {
    return this.#isAio
      ? join(this.dataFolder, `.latchkey-${this.instanceId}`)
      : join(this.host.volume('latchkey'), this.instanceId);
  }

  get root(): string {
    return this.#files.root;
  }

  /** ncpatch on this machine, with the stand-in as its docker. */
  async ncpatch(
    argv: readonly [string, ...string[]],
    options: { readonly input?: string; readonly anyExit?: boolean; readonly where?: readonly string[] } = {},
  ): Promise<ProgramAnswer & { readonly facts: Record<string, unknown> }> {
    const where = options.where ?? ['--local'];
    const command = [...projectProgram('patcher/main.ts'), ...argv, ...where, '--json'];
    const result = await run(command as unknown as [string, ...string[]], {
      timeoutMs: 240_000,
      allowExit: 'any',
      env: { PATH: this.host.path, LATCHKEY_DEBUG: '1' },
      ...(options.input === undefined ? {} : { input: options.input }),
    });
    const stdout = result.stdout.toString('utf8');
    if (result.exit !== 0 && options.anyExit !== true) {
      throw new LatchkeyError('ncpatch_failed', `ncpatch ${argv[0]} ended with exit code ${result.exit}`, {
        extra: { said: result.stderr.slice(-2000) },
      });
    }
    const json = (): unknown => JSON.parse(stdout);
    return {
      exit: result.exit,
      stdout,
      stderr: result.stderr,
      json,
      facts: result.exit === 0 ? (json() as Record<string, unknown>) : {},
    };
  }

  /** Runs the heartbeat's cron line as cron does; answers its exit status and what it said. */
  async beat(): Promise<{ readonly exit: number; readonly said: string }> {
    const cron = timerPaths(this.instanceId).find((path) => path.startsWith('/etc/cron.d/')) ?? '';
    const line = /^\* \* \* \* \* root (.*) >\/dev\/null 2>&1$/m.exec(readFileSync(cron, 'utf8'))?.[1];
    if (line === undefined) throw new LatchkeyError('no_cron_line', `${cron} has no line of root's`);
    const command = line.replaceAll('\\%', '%'); // as cron itself takes it
    const env = { PATH: '/usr/local/bin:/usr/bin:/bin' };
    const done = await run(['/bin/sh', '-c', command], { timeoutMs: 60_000, allowExit: 'any', env });
    return { exit: done.exit, said: done.stderr };
  }
}

/** What ncpatch puts on the machine goes away with a test, also when `ncpatch remove` was never reached. */
function removeTraces(instanceId: string): void {
  if (!/^oc[a-z0-9]{10}$/.test(instanceId)) return;
  for (const path of timerPaths(instanceId)) rmSync(path, { force: true });
  rmSync(`/var/lib/latchkey/ncpatch/${instanceId}`, { recursive: true, force: true });
}

/** Names in a folder, or none when it is not there. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if (isLatchkeyError(error) || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return [];
  }
}
