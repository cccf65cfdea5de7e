import { chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { run } from '../../platform/run.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { ContainerHost, type ContainerWish, containerHostObstacle, type HostMount } from '../harness/container-host.ts';
import { projectProgram } from '../harness/keyserver-process.ts';

// Containers with nothing but busybox in them; PHP and occ are scripts that answer as the real ones.

const VERSION =
  "<?php\n$OC_Version = array(33,0,8,1);\n$OC_VersionString = '33.0.8';\n$OC_Channel = 'stable';\n$vendor = 'nextcloud';\n";

interface Layout {
  readonly root?: string;
  readonly data?: string;
  readonly uid?: number;
}

/** As much of a Nextcloud as is looked at, in a folder that is mounted at its root. */
function layTree(folder: string, { root = '/var/www/html', data = `${root}/data`, uid = 33 }: Layout): void {
  const files = {
    'version.php': VERSION,
    occ: '',
    'lib/base.php': '',
    'config/config.php': `<?php\n$CONFIG = array (\n  'instanceid' => 'ocfake123456',\n  'datadirectory' => '${data}',\n);\n`,
  };
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
    chownSync(join(folder, name), uid, uid);
  }
}

function php({ root = '/var/www/html', data = `${root}/data` }: Layout): string {
  const paths = [{ path: `${root}/custom_apps`, url: '/custom_apps', writable: true }];
  const config = { system: { version: '33.0.8.1', dbtype: 'pgsql', apps_paths: paths }, apps: {} };
  const status = { installed: true, maintenance: false, needsDbUpgrade: false };
  const probe = { version: '8.4.1', extensions: ['curl', 'openssl', 'apcu'], ignoreArgs: false };
  const info = [
    'PHP Version => 8.4.1',
    'zend.exception_ignore_args => Off => Off',
    'session.save_handler => redis => redis',
  ];
  return `#!/bin/sh
case "$*" in
  *'config:system:get datadirectory'*) echo ${data} ;;
  *'config:system:get instanceid'*) echo ocfake123456 ;;
  *config:list*) echo '${JSON.stringify(config)}' ;;
  *' status '*) echo '${JSON.stringify(status)}' ;;
  *' -r '*) echo '${JSON.stringify(probe)}' ;;
  -i) printf '${[...info, 'opcache.enable => On => On', 'opcache.revalidate_freq => 60 => 60', ''].join('\\n')}' ;;
  -m) printf 'curl\\nopenssl\\napcu\\n' ;;
  *) exit 1 ;;
esac
`;
}

describe.runIf(containerHostObstacle() === null)('detect', { timeout: 120_000 }, () => {
  let cleanup: Cleanup;
  let host: ContainerHost;
  beforeEach(() => {
    cleanup = new Cleanup();
    host = new ContainerHost(cleanup);
  });
  afterEach(async () => {
    expect(await cleanup.run()).toEqual([]);
  });

  async function ncpatch(...argv: string[]): Promise<{ exit: number; stdout: string; stderr: string }> {
    const command = [...projectProgram('patcher/main.ts'), ...argv, '--local'] as unknown as [string, ...string[]];
    const done = await run(command, { timeoutMs: 60_000, allowExit: 'any', env: { PATH: host.path } });
    return { exit: done.exit, stdout: done.stdout.toString('utf8'), stderr: done.stderr };
  }

  /** A container with a Nextcloud of this layout in a volume at its root. */
  async function start(
    layout: Layout & { readonly volume?: string },
    wish: Partial<ContainerWish> & { readonly name: string },
  ): Promise<string> {
    const volume = host.volume(layout.volume ?? wish.name);
    layTree(volume, layout);
    const root: HostMount = {
      name: layout.volume ?? wish.name,
      source: volume,
      destination: layout.root ?? '/var/www/html',
    };
    return host.start({
      image: 'nextcloud:33-fpm-alpine',
      system: 'busybox',
      ...wish,
      mounts: [root, ...(wish.mounts ?? [])],
      files: {
        '/usr/local/bin/php': { text: php(layout), mode: 0o755 },
        '/usr/local/sbin/php-fpm': { text: php(layout), mode: 0o755 },
        ...wish.files,
      },
    });
  }

  test('finds AIO, keeps the enrolment beside its data, and tells what its updates do', async () => {
    const data = { name: 'nextcloud_aio_nextcloud_data', source: host.volume('ncdata'), destination: '/mnt/ncdata' };
    await start(
      { data: '/mnt/ncdata' },
      { name: 'nextcloud-aio-nextcloud', image: 'ghcr.io/nextcloud-releases/aio-nextcloud:latest', mounts: [data] },
    );
    await host.start({
      name: 'nextcloud-aio-mastercontainer',
      image: 'ghcr.io/nextcloud-releases/all-in-one',
      system: 'busybox',
    });
    await host.start({
      name: 'nextcloud-aio-database',
      image: 'ghcr.io/nextcloud-releases/aio-postgresql',
      system: 'none',
    });
    const found = await ncpatch('detect', '--json');
    expect(found.stderr).toBe('');
    expect(JSON.parse(found.stdout)).toMatchObject({
      target: 'container',
      root: '/var/www/html',
      owner: { user: 'www-data' },
      cli: { program: '/usr/local/bin/php' },
      web: { sapi: 'fpm', sessionHandler: 'redis', opcacheSeconds: 60 },
      stateFolder: { path: '/mnt/ncdata/.latchkey-ocfake123456', exists: false },
      heartbeat: {
        via: 'container',
        command: [join(host.bin, 'docker'), 'exec', '-i', '-u', '33', 'nextcloud-aio-nextcloud'],
      },
      container: { kind: 'aio', name: 'nextcloud-aio-nextcloud' },
    });
    const codes = JSON.parse(found.stdout).obstacles.map(({ code }: { code: string }) => code);
    expect(codes).toEqual(expect.arrayContaining(['aio_disables_apps', 'exception_args_logged', 'opcache_slow']));
    expect(codes).not.toContain('state_would_vanish');
    expect(codes).not.toContain('sessions_on_disk');
  });

  test('does not guess between two, and takes --container', async () => {
    await start({}, { name: 'one' });
    await start({}, { name: 'two' });
    const refused = await ncpatch('detect');
    expect(refused).toMatchObject({ exit: 2, stdout: '' });
    expect(refused.stderr).toContain('choose one with --container: one, two\n');
    expect(JSON.parse((await ncpatch('detect', '--json', '--container', 'two')).stdout).container.name).toBe('two');
    const missing = await ncpatch('detect', '--container', 'three');
    expect(missing).toMatchObject({ exit: 1, stdout: '' });
    expect(missing.stderr).toContain('there is no container three');
    expect(missing.stderr).toContain('one, two');
  });

  test('an owner without a name in the container is somebody all the same', async () => {
    await start({ uid: 4711 }, { name: 'cloud' });
    const found = await ncpatch('detect', '--json');
    expect(found.stderr).toBe('');
    expect(JSON.parse(found.stdout)).toMatchObject({ owner: { user: '4711:4711' }, instanceId: 'ocfake123456' });
  });

  test('knows platforms inside of a container', async () => {
    await start({ root: '/app/code' }, { name: 'a1b2', image: 'cloudron/com.nextcloud.cloudronapp' });
    await start(
      { root: '/var/www/nextcloud' },
      { name: 'ncp', image: 'ownyourbits/nextcloudpi', files: { '/usr/local/etc/ncp.cfg': { text: '{}' } } },
    );
    const platform = async (name: string): Promise<unknown> =>
      JSON.parse((await ncpatch('detect', '--json', '--container', name)).stdout).platform;
    expect(await platform('a1b2')).toBe('cloudron');
    expect(await platform('ncp')).toBe('nextcloudpi');
    expect((await ncpatch('plan', '--container', 'a1b2')).stdout).toContain('(cloudron_read_only)');
  });

  test('lists those that do not run, and a container without a shell harms nobody', async () => {
    await start({}, { name: 'cloud' });
    await start({}, { name: 'nextcloud-old' });
    host.setStatus('nextcloud-old', 'exited');
    await host.start({ name: 'nextcloud-bare', image: 'scratch', system: 'none' });
    const rows = JSON.parse((await ncpatch('detect', '--all', '--json')).stdout);
    expect(rows).toMatchObject([
      { container: 'cloud', versionString: '33.0.8' },
      { container: 'nextcloud-old', versionString: 'not running' },
    ]);
    expect((await ncpatch('detect', '--all')).stdout).toMatch(/nextcloud-old +unknown$/m);
    expect((await ncpatch('detect')).exit).toBe(0);
    const refused = await ncpatch('detect', '--container', 'nextcloud-old');
    expect(refused.stderr).toContain('the container nextcloud-old does not run (exited)');
    expect(refused.stderr).toContain('docker start nextcloud-old');
  });

  test('a docker that does not run, or may not be asked, is told only where nothing else is found', async () => {
    host.setMood('down');
    expect((await ncpatch('detect')).stderr).toContain('no nextcloud was found on the server');
    host.setMood('denied');
    const denied = await ncpatch('detect');
    expect(denied).toMatchObject({ exit: 1, stdout: '' });
    expect(denied.stderr).toBe(
      'ncpatch: error: this account may not use docker\nncpatch: hint: log in as root, or use --sudo\n',
    );
    const folder = join(host.base, 'plain');
    layTree(folder, { root: folder });
    const own = await ncpatch('detect', '--all', '--json', '--root', folder);
    expect(JSON.parse(own.stdout)).toMatchObject([{ target: 'lamp', root: folder }]);
  });

  test('a tree that is mounted into a container is not taken for one of the machine too', async () => {
    const volume = host.volume('cloud');
    await start({}, { name: 'cloud' });
    symlinkSync(volume, join(host.base, 'link'));
    const outside = await ncpatch('detect', '--all', '--json', '--root', join(host.base, 'link'));
    expect(JSON.parse(outside.stdout)).toMatchObject([{ target: 'lamp' }]);
    const inside = await ncpatch('detect', '--all', '--json', '--root', '/var/www/html');
    expect(JSON.parse(inside.stdout)).toMatchObject([{ target: 'container', machineRoot: volume }]);
  });
});
