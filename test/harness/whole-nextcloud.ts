import { readdirSync } from 'node:fs';
import { webUser } from './nextcloud-files.ts';
import type { NextcloudTree } from './nextcloud-tree.ts';
import { mayBeQuick, quickPhpFiles } from './quick-php.ts';
import { nextcloudSite } from './web-server.ts';
import { type CloudKind, WEB_SOCKET, WholeCloud } from './whole-cloud.ts';
import type { Layer, WholeMachine } from './whole-machine.ts';

const ROOT = '/srv/cloud/html';
const DATA = '/srv/cloud/data';
const SESSIONS = '/var/lib/php/sessions';
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
export class WholeNextcloud extends WholeCloud {
  readonly root = ROOT;
  readonly data = DATA;
  readonly wish = { root: ROOT };
  readonly restless = [DATA];

  /** What a machine has to be built with. */
  static layer(tree: NextcloudTree): Layer {
    return { at: ROOT, over: tree.folder };
  }

  static async install(machine: WholeMachine): Promise<WholeNextcloud> {
    const cloud = new WholeNextcloud(machine);
    const unit = fpmUnits().at(-1) ?? '';
    const version = /[0-9.]+[0-9]/.exec(unit)?.[0] ?? '';
    const settings = 'apc.enable_cli = 1\nmemory_limit = 512M\n';
    for (const kind of ['cli', 'fpm']) machine.write(`/etc/php/${version}/${kind}/conf.d/90-nextcloud.ini`, settings);
    makeWholePhpQuick(machine, [`/etc/php/${version}/cli/conf.d`, `/etc/php/${version}/fpm/conf.d`], QUICK);
    const fpm = `/run/php/php${version}-fpm.sock`;
    const site = nextcloudSite({ listen: ['80', `unix:${WEB_SOCKET}`], root: ROOT, fpm });
    machine.write('/etc/nginx/sites-enabled/nextcloud', site.replace('{', '{\n    client_max_body_size 64m;'));
    await machine.sh(`mkdir ${DATA} && chown -R --from=root ${webUser.name}: ${ROOT} ${DATA}`);
    await cloud.setUp(DATA);
    await machine.command(['systemctl', 'enable', '--now', unit, 'nginx.service']);
    return cloud;
  }

  occ(words: readonly string[], input?: string): Promise<string> {
    return this.#php(['occ', '--no-ansi', '--no-interaction', ...words], input);
  }

  async cron(): Promise<void> {
    await this.#php(['cron.php']);
  }

  async dropSessions(): Promise<void> {
    await this.machine.sh(`find ${SESSIONS} -name 'sess_*' -delete`);
  }

  async forget(): Promise<void> {
    const fpm = '"$(basename /lib/systemd/system/php*-fpm.service)"';
    await this.machine.sh(`rm -rf /run/latchkey-* /dev/shm/latchkey-*; systemctl restart ${fpm}`);
  }

  #php([file, ...words]: readonly [string, ...string[]], input?: string): Promise<string> {
    const php = ['setpriv', `--reuid=${webUser.uid}`, `--regid=${webUser.gid}`, '--init-groups', 'php'] as const;
    const options = { timeoutMs: 180_000, ...(input === undefined ? {} : { input }) };
    return this.machine.command([...php, `${ROOT}/${file}`, ...words], options);
  }
}

/** By settings in folders that PHP of the machine reads, where tests may have it quick; `own` is for what they name. */
export function makeWholePhpQuick(
  machine: WholeMachine,
  folders: readonly string[],
  own: string,
  asSeenByPhp = own,
): void {
  if (!mayBeQuick()) return;
  for (const [name, text] of Object.entries(quickPhpFiles(asSeenByPhp))) {
    for (const folder of name.endsWith('.ini') ? folders : [own]) machine.write(`${folder}/${name}`, text);
  }
}

export const lamp: CloudKind = {
  name: 'lamp',
  obstacle: wholeNextcloudObstacle,
  layers: async (tree) => [WholeNextcloud.layer(tree)],
  install: (machine) => WholeNextcloud.install(machine),
};
