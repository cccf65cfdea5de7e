import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { containerHostObstacle } from './container-host.ts';
import { APPS_CONFIG, imageFiles } from './container-nextcloud.ts';
import { webUser } from './nextcloud-files.ts';
import type { NextcloudTree } from './nextcloud-tree.ts';
import { findPhpFpm, hasProgram } from './programs.ts';
import { nextcloudSite } from './web-server.ts';
import { type CloudKind, leadToWeb, WholeCloud } from './whole-cloud.ts';
import { CONTAINER, ENGINE, ENGINE_FILES, INSIDE, UNITS } from './whole-container-engine.ts';
import type { WholeMachine } from './whole-machine.ts';
import { makeWholePhpQuick } from './whole-nextcloud.ts';

const ROOT = '/var/www/html';
const OWN = `/var/lib/docker/containers/${CONTAINER}`;
const VOLUME = '/var/lib/docker/volumes/nextcloud/_data';
const STATE_VOLUME = '/var/lib/docker/volumes/latchkey/_data';
const CONF = '/usr/local/etc/php/conf.d';
const QUICK = '/usr/local/share/quick-php';
const FPM_CONF = '/usr/local/etc/php-fpm.conf';

const POOL = 'pm = static\npm.max_children = 3\n';
const NGINX = (site: string): string => `user www-data;
pid /run/nginx.pid;
error_log /tmp/nginx.log;
events { }
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path /tmp/${name};`).join(' ')}
  client_max_body_size 64m;
${site}}
`;

/**
 * A Nextcloud of the official image's layout in a container on a machine: namespaces of its own, a bridge, and masquerading, as
 * Docker has them, by a stand-in for it. Its web server is in there too.
 */
export class WholeContainer extends WholeCloud {
  readonly data = `${VOLUME}/data`;
  readonly wish = { container: CONTAINER };
  readonly restless = [this.data, `${OWN}/root/tmp`, `${OWN}/root/run`];

  static async install(machine: WholeMachine, tree: NextcloudTree): Promise<WholeContainer> {
    const cloud = new WholeContainer(machine);
    for (const { path, text, mode } of ENGINE_FILES) machine.write(path, text, mode);
    machine.write(`${ENGINE}/bin/docker`, readFileSync(new URL('container-engine.py', import.meta.url)), 0o755);
    const volumes = [
      { name: 'nextcloud', source: VOLUME, destination: ROOT },
      { name: 'latchkey', source: STATE_VOLUME, destination: '/var/lib/latchkey' },
    ];
    machine.write(`${ENGINE}/containers/${CONTAINER}.json`, JSON.stringify(description(tree, volumes)));
    machine.write(`${OWN}/mounts`, volumes.map(({ source, destination }) => `${source} ${destination}\n`).join(''));
    await machine.sh(LAY, { input: `${OWN}\n${STATE_VOLUME}\n` });
    for (const [path, { text, mode }] of Object.entries(filesOf(tree))) machine.write(placeOf(path), text, mode);
    makeWholePhpQuick(machine, [placeOf(CONF)], placeOf(QUICK), QUICK);
    machine.write(`${VOLUME}/config/apps.config.php`, APPS_CONFIG);
    await machine.sh(
      `mkdir -p ${VOLUME}/custom_apps ${VOLUME}/data && chown -R --from=root ${webUser.name}: ${VOLUME}`,
    );
    await leadToWeb(machine, `${INSIDE}:80`);
    await machine.command(['systemctl', 'enable', '--now', ...UNITS]);
    for (let tries = 0; !(await machine.tries(`docker exec ${CONTAINER} true`)); tries++) {
      if (tries === 50)
        throw new Error(`the container does not start: ${await machine.sh('systemctl status docker-*')}`);
    }
    await cloud.setUp(`${ROOT}/data`);
    await cloud.serves();
    return cloud;
  }

  occ(words: readonly string[], input?: string): Promise<string> {
    return this.#php(['occ', '--no-ansi', '--no-interaction', ...words], input);
  }

  async cron(): Promise<void> {
    await this.#php(['cron.php']);
  }

  async dropSessions(): Promise<void> {
    await this.machine.sh(`find ${OWN}/root/tmp -name 'sess_*' -delete`);
  }

  /** As with "docker restart". */
  async forget(): Promise<void> {
    await this.machine.sh(`systemctl restart docker-${CONTAINER}.service`);
    await this.serves();
  }

  #php([file, ...words]: readonly [string, ...string[]], input?: string): Promise<string> {
    const options = { timeoutMs: 180_000, ...(input === undefined ? {} : { input }) };
    const inside = ['docker', 'exec', '-i', '-u', String(webUser.uid), CONTAINER] as const;
    return this.machine.command([...inside, 'php', `${ROOT}/${file}`, ...words], options);
  }
}

/** What every container of the image begins with; standard input names its folder, and a volume. */
const LAY = `set -eu
read -r own; read -r volume
ln -s ${ENGINE}/bin/docker /usr/bin/docker
root=$own/root
mkdir -p "$root" "$own/local" "$own/src" "$volume"
cd "$root"
mkdir -p usr etc proc dev run tmp root var/lib var/www var/log/nginx
chmod 1777 tmp
for name in bin sbin lib lib32 lib64 libx32; do
  if [ -L "/$name" ]; then ln -s "$(readlink "/$name")" "$name"; fi
done
for name in passwd group nsswitch.conf ld.so.cache ld.so.conf ld.so.conf.d ssl ca-certificates alternatives localtime; do
  if [ -e "/etc/$name" ]; then cp -a "/etc/$name" etc/; fi
done
`;

/** The machine's own programs are at /usr, where an image has what it is made of at /usr/local and /usr/src. */
function placeOf(path: string): string {
  if (path.startsWith('/usr/local/')) return `${OWN}/local${path.slice('/usr/local'.length)}`;
  if (path.startsWith('/usr/src/')) return `${OWN}/src${path.slice('/usr/src'.length)}`;
  return `${OWN}/root${path}`;
}

function filesOf(tree: NextcloudTree): Record<string, { text: string; mode?: number }> {
  const files = imageFiles(tree);
  const site = nextcloudSite({ listen: ['80'], root: ROOT, fpm: 'fpm' }).replace('unix:fpm', '127.0.0.1:9000');
  const fpm = (files['/usr/local/sbin/php-fpm']?.text ?? '').replace('"$@"', `-y ${FPM_CONF} "$@"`);
  return {
    ...files,
    '/usr/local/sbin/php-fpm': { text: fpm, mode: 0o755 },
    [FPM_CONF]: { text: '[global]\nerror_log = /tmp/fpm.log\ninclude = /usr/local/etc/php-fpm.d/*.conf\n' },
    '/usr/local/etc/php-fpm.d/www.conf': { text: `[www]\nuser = www-data\ngroup = www-data\nlisten = 9000\n${POOL}` },
    '/usr/local/etc/php-fpm.d/zz-docker.conf': { text: '[global]\ndaemonize = no\n[www]\nlisten = 9000\n' },
    '/etc/nginx/nginx.conf': { text: NGINX(site) },
    '/entrypoint.sh': { text: '#!/bin/sh\nset -e\nnginx\nexec "$@"\n', mode: 0o755 },
    [`${CONF}/zz-latchkey.ini`]: { text: 'zend.exception_ignore_args = On\n' },
  };
}

/** As "docker container inspect" tells it. */
function description(
  { version }: NextcloudTree,
  volumes: readonly { readonly name: string; readonly source: string; readonly destination: string }[],
): object {
  return {
    Id: createHash('sha256').update(CONTAINER).digest('hex'),
    Name: `/${CONTAINER}`,
    State: { Status: 'running' },
    Config: {
      Image: `nextcloud:${version}-fpm`,
      Env: [],
      Entrypoint: ['/entrypoint.sh'],
      Cmd: ['php-fpm'],
      WorkingDir: ROOT,
    },
    Mounts: volumes.map(({ name, source, destination }) => ({
      Type: 'volume',
      Name: name,
      Source: source,
      Destination: destination,
      RW: true,
    })),
    PidFile: `/run/docker/${CONTAINER}.pid`,
  };
}

export const container: CloudKind = {
  name: 'container',
  obstacle: () =>
    containerHostObstacle() ??
    (findPhpFpm() === null || !hasProgram('nginx') ? 'nginx and php-fpm are not installed' : null),
  layers: async (tree) => [{ at: VOLUME, over: tree.folder }],
  install: (machine, tree) => WholeContainer.install(machine, tree),
};
