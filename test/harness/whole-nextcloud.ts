import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { type Account, Browser, WebDav } from './nextcloud-client.ts';
import { webUser } from './nextcloud-files.ts';
import type { NextcloudTree } from './nextcloud-tree.ts';
import { mayBeQuick, quickPhpFiles, quickSettings } from './quick-php.ts';
import { nextcloudSite } from './web-server.ts';
import type { Layer, WholeMachine } from './whole-machine.ts';

const ROOT = '/srv/cloud/html';
const DATA = '/srv/cloud/data';
const SOCKET = '/run/nextcloud-web.sock';
const QUICK = '/usr/local/share/quick-php';

function fpmUnits(): string[] {
  return readdirSync('/lib/systemd/system')
    .filter((name) => /^php[0-9.]+-fpm\.service$/.test(name))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
}

/** Why no machine can serve a Nextcloud as Debian's packages do it, or `null`. */
export function wholeNextcloudObstacle(): string | null {
  return fpmUnits().length === 0 ? 'no php-fpm service is installed' : null;
}

/** A Nextcloud on a machine: this system's nginx and PHP-FPM as its packages start them, SQLite, the master key of a stock one. */
export class WholeNextcloud {
  readonly machine: WholeMachine;
  readonly admin: Account = { user: 'admin', password: randomBytes(12).toString('hex') };
  readonly root = ROOT;
  readonly data = DATA;

  private constructor(machine: WholeMachine) {
    this.machine = machine;
  }

  /** What a machine has to be built with. */
  static layer(tree: NextcloudTree): Layer {
    return { at: ROOT, over: tree.folder };
  }

  static async install(machine: WholeMachine): Promise<WholeNextcloud> {
    const cloud = new WholeNextcloud(machine);
    const unit = fpmUnits().at(-1) ?? '';
    const version = /[0-9.]+[0-9]/.exec(unit)?.[0] ?? '';
    cloud.#settings(version);
    const site = nextcloudSite({
      listen: ['80', `unix:${SOCKET}`],
      root: ROOT,
      fpm: `/run/php/php${version}-fpm.sock`,
    });
    machine.write('/etc/nginx/sites-enabled/nextcloud', site.replace('{', '{\n    client_max_body_size 64m;'));
    await machine.sh(`mkdir ${DATA} && chown -R ${webUser.name}: ${ROOT} ${DATA}`);
    const account = ['--admin-user', cloud.admin.user, '--admin-pass', cloud.admin.password];
    await cloud.occ(['maintenance:install', '--database', 'sqlite', '--data-dir', DATA, ...account]);
    await cloud.occ(['config:import'], JSON.stringify({ system: SYSTEM() }));
    await cloud.occ(['app:disable', 'password_policy', 'firstrunwizard', 'updatenotification', 'survey_client']);
    await cloud.occ(['app:enable', 'encryption']);
    await cloud.occ(['encryption:enable']);
    await machine.command(['systemctl', 'enable', '--now', unit, 'nginx.service']);
    return cloud;
  }

  #settings(version: string): void {
    for (const kind of ['cli', 'fpm']) {
      const folder = `/etc/php/${version}/${kind}/conf.d`;
      this.machine.write(`${folder}/90-nextcloud.ini`, 'apc.enable_cli = 1\nmemory_limit = 512M\n');
      if (!mayBeQuick()) continue;
      for (const [name, text] of Object.entries(quickPhpFiles(QUICK))) {
        this.machine.write(name.endsWith('.ini') ? `${folder}/${name}` : `${QUICK}/${name}`, text);
      }
    }
  }

  occ(words: readonly string[], input?: string): Promise<string> {
    return this.#php(['occ', '--no-ansi', '--no-interaction', ...words], input);
  }

  /** Runs all background jobs that are due. */
  async cron(): Promise<void> {
    await this.#php(['cron.php']);
  }

  #php([file, ...words]: readonly [string, ...string[]], input?: string): Promise<string> {
    const php = ['setpriv', `--reuid=${webUser.uid}`, `--regid=${webUser.gid}`, '--init-groups', 'php'] as const;
    const options = { timeoutMs: 180_000, ...(input === undefined ? {} : { input }) };
    return this.machine.command([...php, `${ROOT}/${file}`, ...words], options);
  }

  /** A person's client, without a session: each request is a cold one. Only as long as the machine has power. */
  dav(account: Account = this.admin): WebDav {
    return new WebDav({ socketPath: this.machine.path(SOCKET) }, account, { session: false });
  }

  browser(account: Account = this.admin): Browser {
    return new Browser({ socketPath: this.machine.path(SOCKET) }, account);
  }
}

const SYSTEM = (): Record<string, unknown> => ({
  skeletondirectory: '',
  templatedirectory: '',
  'memcache.local': '\\OC\\Memcache\\APCu',
  'overwrite.cli.url': 'http://localhost',
  trusted_domains: ['localhost'],
  has_internet_connection: false,
  loglevel: 2,
  'auth.bruteforce.protection.enabled': false,
  'ratelimit.protection.enabled': false,
  ...quickSettings(),
});
