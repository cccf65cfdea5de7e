import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LatchkeyError } from '../../platform/errors.ts';
import { run } from '../../platform/run.ts';
import type { Argv } from './background-process.ts';
import type { Cleanup } from './cleanup.ts';
import type { HttpAddress } from './http-client.ts';
import type { Account } from './nextcloud-client.ts';
import { isRoot, NextcloudFiles, webUser } from './nextcloud-files.ts';
import { nextcloudSettings } from './nextcloud-settings.ts';
import type { NextcloudTree } from './nextcloud-tree.ts';
import { loopback, type Place } from './place.ts';
import { findProgram, hasProgram } from './programs.ts';
import { makePhpQuick } from './quick-php.ts';
import { phpSettings, startWebServer, type WebServer } from './web-server.ts';

export interface OccAnswer {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface OccOptions {
  readonly input?: string;
  /** Take any exit code as an answer; otherwise all but 0 throw, with what occ said. */
  readonly anyExit?: boolean;
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** Why no instance can be made here, or `null` when one can. */
export function instanceObstacle(): string | null {
  if (!hasProgram('php')) return 'php is not installed';
  if (process.platform === 'linux' && isRoot() && !hasProgram('setpriv'))
    return 'setpriv (util-linux) is not installed';
  return null;
}

/**
 * A Nextcloud of a test's own: code laid over a release, everything else (data, sessions, temporary files, logs) below
 * one folder that goes away with it.
 */
export class NextcloudInstance {
  readonly base: string;
  readonly place: Place;
  readonly admin: Account;
  readonly files: NextcloudFiles;
  tree: NextcloudTree;
  readonly #cleanup: Cleanup;
  #web: WebServer | null = null;
  #instanceId = '';

  private constructor(base: string, tree: NextcloudTree, place: Place, cleanup: Cleanup) {
    this.base = base;
    this.tree = tree;
    this.place = place;
    this.#cleanup = cleanup;
    this.files = new NextcloudFiles(base, cleanup);
    this.admin = { user: 'admin', password: randomBytes(12).toString('hex') };
  }

  /** Lays out and installs a stock instance: SQLite, no skeleton files, no password policy, APCu, encryption off. */
  static async install(
    tree: NextcloudTree,
    options: { readonly cleanup: Cleanup; readonly place?: Place; readonly keepsCode?: boolean },
  ): Promise<NextcloudInstance> {
    makePhpQuick(options.cleanup, { keepsCode: options.keepsCode === true });
    const base = mkdtempSync(join(tmpdir(), `latchkey-nextcloud-${process.pid}-`));
    chmodSync(base, 0o755); // the web user must be able to come through
    options.cleanup.add(base, () => rmSync(base, { recursive: true, force: true }));
    const instance = new NextcloudInstance(base, tree, options.place ?? loopback, options.cleanup);
    for (const name of ['data', 'sessions', 'tmp']) {
      mkdirSync(join(base, name), { mode: 0o750 });
      if (isRoot()) chownSync(join(base, name), webUser.uid, webUser.gid);
    }
    await instance.files.lay(tree);
    await instance.#install();
    instance.#instanceId = await instance.systemValue('instanceid');
    return instance;
  }

  get root(): string {
    return this.files.root;
  }

  /** Nextcloud's own id of the instance (`instanceid` in config.php). */
  get instanceId(): string {
    return this.#instanceId;
  }

  get dataFolder(): string {
    return join(this.base, 'data');
  }

  get address(): HttpAddress {
    if (this.#web === null) throw new Error('the instance is not being served');
    return this.#web.address;
  }

  get server(): WebServer['kind'] | null {
    return this.#web?.kind ?? null;
  }

  async #install(): Promise<void> {
    const account = ['--admin-user', this.admin.user, '--admin-pass', this.admin.password];
    await this.occ(['maintenance:install', '--database', 'sqlite', '--data-dir', this.dataFolder, ...account]);
    await this.occ(['config:import'], {
      input: JSON.stringify({ system: nextcloudSettings() }),
    });
    await this.occ(['app:disable', 'password_policy', 'firstrunwizard', 'updatenotification', 'survey_client']);
  }

  /** The command line that runs PHP as the owner of the instance, with the settings its web server has. */
  php(argv: readonly string[]): Argv {
    const settings = Object.entries({ ...phpSettings(this.base), 'apc.enable_cli': '1' });
    const php = [findProgram('php') ?? 'php', ...settings.flatMap(([name, value]) => ['-d', `${name}=${value}`])];
    const asOwner = isRoot()
      ? ['setpriv', `--reuid=${webUser.uid}`, `--regid=${webUser.gid}`, '--init-groups', '--']
      : [];
    return this.place.inside([...asOwner, ...php, ...argv] as unknown as Argv);
  }

  /** Runs occ as the owner of config.php. */
  async occ(argv: readonly string[], options: OccOptions = {}): Promise<OccAnswer> {
    const command = this.php([join(this.root, 'occ'), '--no-ansi', '--no-interaction', ...argv]);
    const result = await run(command, {
      timeoutMs: options.timeoutMs ?? 120_000,
      allowExit: 'any',
      cwd: this.root,
      env: { TMPDIR: join(this.base, 'tmp'), HOME: join(this.base, 'tmp'), ...options.env },
      ...(options.input === undefined ? {} : { input: options.input }),
    });
    const answer = { exit: result.exit, stdout: result.stdout.toString('utf8'), stderr: result.stderr };
    if (answer.exit === 0 || options.anyExit === true) return answer;
    throw new LatchkeyError('occ_failed', `occ ${argv[0]} ended with exit code ${answer.exit}`, {
      extra: { said: `${answer.stdout}\n${answer.stderr}`.trim().slice(-2000) },
    });
  }

  /** Runs all background jobs that are due, as cron does. */
  async cron(): Promise<OccAnswer> {
    const result = await run(this.php(['-f', join(this.root, 'cron.php')]), {
      timeoutMs: 180_000,
      allowExit: 'any',
      cwd: this.root,
      env: { TMPDIR: join(this.base, 'tmp') },
    });
    return { exit: result.exit, stdout: result.stdout.toString('utf8'), stderr: result.stderr };
  }

  async serve(workers = 3): Promise<void> {
    if (this.#web !== null) return;
    const { base, root, place } = this;
    this.#web = await startWebServer({ base, root, place, workers, cleanup: this.#cleanup });
  }

  async stopServing(): Promise<void> {
    await this.#web?.stop();
    this.#web = null;
  }

  /** Empties APCu and opcache, as a restart of PHP-FPM does. */
  async restartServer(): Promise<void> {
    await this.stopServing();
    await this.serve();
  }

  async addUser(account: Account): Promise<void> {
    await this.occ(['user:add', '--password-from-env', account.user], { env: { OC_PASS: account.password } });
  }

  /** Switches server-side encryption on, in master-key mode, which is what Nextcloud does by default. */
  async enableEncryption(): Promise<void> {
    await this.occ(['app:enable', 'encryption']);
    await this.occ(['encryption:enable']);
  }

  async systemValue(name: string): Promise<string> {
    return (await this.occ(['config:system:get', name], { anyExit: true })).stdout.trim();
  }

  async appValue(app: string, name: string): Promise<string> {
    return (await this.occ(['config:app:get', app, name], { anyExit: true })).stdout.trim();
  }

  /** Swaps in a newer release the way the updater does; `occ upgrade` is the caller's. */
  async replaceCode(tree: NextcloudTree, keepFolders: readonly string[] = []): Promise<void> {
    await this.stopServing();
    await this.files.replace(tree, keepFolders);
    this.tree = tree;
  }
}
