import { WebDav } from '../harness/nextcloud-client.ts';
import { webUser } from '../harness/nextcloud-files.ts';
import type { NextcloudTree } from '../harness/nextcloud-tree.ts';
import { nextcloudSite } from '../harness/web-server.ts';
import { type CloudKind, WholeCloud } from '../harness/whole-cloud.ts';
import type { WholeMachine } from '../harness/whole-machine.ts';
import { lamp } from '../harness/whole-nextcloud.ts';

const ROOT = '/srv/blog/html';
const DATA = '/srv/blog/data';
const SOCKET = '/run/blog-web.sock';

/** A machine with room for a second Nextcloud beside its first, which alone is there at the beginning. */
export const lampWithRoom: CloudKind = {
  ...lamp,
  layers: async (tree: NextcloudTree) => [...(await lamp.layers(tree)), { at: ROOT, over: tree.folder }],
};

/** The second Nextcloud of a machine: the same programs, a site, data and keys of its own. */
export class SecondCloud extends WholeCloud {
  readonly data = DATA;
  readonly wish = { root: ROOT };
  readonly restless = [DATA];

  static async install(machine: WholeMachine): Promise<SecondCloud> {
    const cloud = new SecondCloud(machine);
    const fpm = (await machine.sh('ls /run/php/php*-fpm.sock | head -n 1')).trim();
    machine.write(
      '/etc/nginx/sites-enabled/blog',
      nextcloudSite({ listen: ['81', `unix:${SOCKET}`], root: ROOT, fpm }),
    );
    await machine.sh(`mkdir ${DATA} && chown -R --from=root ${webUser.name}: ${ROOT} ${DATA}`);
    await cloud.setUp(DATA);
    await machine.command(['systemctl', 'reload', 'nginx.service']);
    return cloud;
  }

  occ(words: readonly string[], input?: string): Promise<string> {
    const php = ['setpriv', `--reuid=${webUser.uid}`, `--regid=${webUser.gid}`, '--init-groups', 'php'] as const;
    const options = { timeoutMs: 180_000, ...(input === undefined ? {} : { input }) };
    return this.machine.command([...php, `${ROOT}/occ`, '--no-ansi', '--no-interaction', ...words], options);
  }

  async cron(): Promise<void> {
    // nothing of its own is due
  }

  async dropSessions(): Promise<void> {
    // they are those of the first
  }

  async forget(): Promise<void> {
    // memory is that of the first
  }

  override dav(): WebDav {
    return new WebDav({ socketPath: this.machine.path(SOCKET) }, this.admin, { session: false });
  }
}
