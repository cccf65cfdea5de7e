import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import { run } from '../../platform/run.ts';

/** Parts of a release that are only read; the rest is copied, because Nextcloud writes beside `lib`. */
const linked = new Set(['apps', 'core', '3rdparty', 'dist', 'resources', 'themes', 'ocs-provider', 'updater']);
const patience = 180_000;

/** An unpacked release. */
export interface Release {
  readonly version: string;
  readonly folder: string;
}

/** The newest release below `folder`, by its version.php read as text; `null` when there is none. */
export function findNewestRelease(folder: string): Release | null {
  if (!existsSync(folder)) return null;
  const releases = readdirSync(folder).flatMap((name): Release[] => {
    const root = join(folder, name);
    if (!existsSync(join(root, 'version.php')) || !existsSync(join(root, 'occ'))) return [];
    const text = readFileSync(join(root, 'version.php'), 'utf8');
    const version = /^\$OC_VersionString = '([0-9]+\.[0-9]+\.[0-9]+)/m.exec(text)?.[1];
    return version === undefined ? [] : [{ version, folder: root }];
  });
  const compare = new Intl.Collator('en', { numeric: true });
  return releases.sort((a, b) => compare.compare(a.version, b.version)).at(-1) ?? null;
}

/** A Nextcloud of its own below one folder; the release it is made from is only read. */
export class NextcloudInstance {
  readonly #base: string;

  private constructor(base: string) {
    this.#base = base;
  }

  /** Installs on SQLite, with server-side encryption in master-key mode, which is Nextcloud's default. */
  static async install(release: Release, base: string, adminPassword: string): Promise<NextcloudInstance> {
    const instance = new NextcloudInstance(base);
    instance.#layOut(release);
    const account = ['--admin-user', 'admin', '--admin-pass', adminPassword]; // occ takes it no other way; it guards nothing
    await instance.occ(['maintenance:install', '--database', 'sqlite', '--data-dir', instance.#data, ...account]);
    await instance.occ(['app:enable', 'encryption']);
    await instance.occ(['encryption:enable']);
    return instance;
  }

  get stateFolder(): string {
    return join(this.#base, 'state');
  }

  get #html(): string {
    return join(this.#base, 'html');
  }

  get #data(): string {
    return join(this.#base, 'data');
  }

  /** Puts an app into the instance's own apps folder and enables it. */
  async addApp(source: string, id: string): Promise<void> {
    cpSync(source, join(this.#base, 'apps', id), { recursive: true });
    await this.occ(['app:enable', id]);
  }

  /** Runs occ as the user who owns the instance; throws `occ_failed` with the code that a `remotekey` command told. */
  async occ(argv: readonly string[], input = ''): Promise<Buffer> {
    const tmp = join(this.#base, 'tmp');
    const settings = { memory_limit: '512M', 'apc.enable_cli': '1', sys_temp_dir: tmp, 'session.save_path': tmp };
    const options = Object.entries(settings).flatMap(([name, value]) => ['-d', `${name}=${value}`]);
    const command = ['php', ...options, 'occ', '--no-ansi', '--no-interaction', ...argv] as const;
    const result = await run(command, { input, cwd: this.#html, timeoutMs: patience, allowExit: 'any' });
    if (result.exit === 0) return result.stdout;
    const code = codeFrom(result.stdout.toString('utf8'));
    throw new LatchkeyError('occ_failed', `occ ${argv[0]} ended with exit code ${result.exit}${code}`);
  }

  /** A `remotekey` command; its input and answer are JSON. */
  async remoteKey(argv: readonly string[], input: unknown = {}): Promise<Record<string, unknown>> {
    const text = (await this.occ([...argv, '--output=json'], JSON.stringify(input))).toString('utf8');
    return JSON.parse(text) as Record<string, unknown>;
  }

  /** Names of the private keys that lie in the data folder. */
  privateKeysOnDisk(): string[] {
    const names = readdirSync(this.#data, { recursive: true, encoding: 'utf8' });
    return names.filter((name) => name.endsWith('.privateKey')).map((name) => name.split('/').at(-1) ?? name);
  }

  #layOut(release: Release): void {
    for (const name of ['html', 'data', 'apps', 'tmp', 'state'])
      mkdirSync(join(this.#base, name), { recursive: true, mode: 0o700 });
    for (const name of readdirSync(release.folder)) {
      const [from, to] = [join(release.folder, name), join(this.#html, name)];
      if (linked.has(name)) symlinkSync(from, to);
      else if (name !== 'data') cpSync(from, to, { recursive: true });
    }
    mkdirSync(join(this.#html, 'config'), { recursive: true });
    const paths = [
      `['path' => ${phpString(join(this.#html, 'apps'))}, 'url' => '/apps', 'writable' => false]`,
      `['path' => ${phpString(join(this.#base, 'apps'))}, 'url' => '/own-apps', 'writable' => true]`,
    ];
    const config = `<?php $CONFIG = ['apps_paths' => [${paths.join(', ')}], 'has_internet_connection' => false];\n`;
    writeFileSync(join(this.#html, 'config', 'apps.config.php'), config);
  }
}

/** Why no instance can be made here, or `null`. */
export async function phpObstacle(): Promise<string | null> {
  try {
    await run(['php', '-r', "exit(extension_loaded('pdo_sqlite') && extension_loaded('gd') ? 0 : 3);"], {
      timeoutMs: 10_000,
    });
    return null;
  } catch (error) {
    if (isLatchkeyError(error, 'command_missing')) return 'PHP is not installed';
    return 'PHP lacks pdo_sqlite or gd';
  }
}

function phpString(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}

function codeFrom(stdout: string): string {
  const code = /"code":\s*"([a-z_]{1,64})"/.exec(stdout)?.[1];
  return code === undefined ? '' : ` (${code})`;
}
