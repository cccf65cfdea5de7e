import { describe, expect, test } from 'vitest';
import type { Container, ContainerMount } from '../../../patcher/targets/container-engine.ts';
import {
  companionsOf,
  isCronOnly,
  lastingOf,
  mayBeNextcloud,
  mountAt,
  onMachine,
  stateFolderIn,
} from '../../../patcher/targets/container-places.ts';

function mount(destination: string, changes: Partial<ContainerMount> = {}): ContainerMount {
  const name = destination.slice(1).replaceAll('/', '_');
  const source = `/var/lib/docker/volumes/${name}/_data`;
  return { type: 'volume', name, source, destination, writable: true, ...changes };
}
const UNNAMED = { name: 'a'.repeat(64) };
const BIND = { type: 'bind', name: null, source: '/srv/cloud' };
const TMPFS = { type: 'tmpfs', name: null, source: '' };
const WWW = mount('/var/www/html');
const DATA = mount('/mnt/ncdata');
const place = { root: '/var/www/html', dataDirectory: '/mnt/ncdata' };
const OWN = '/var/lib/latchkey/oc1';

describe('lastingOf()', () => {
  test.each<[string, readonly ContainerMount[], string, string]>([
    ['without any mount', [], '/var/www/html/config', 'lost'],
    ['beside a mount of a like name', [mount('/var/www/html2')], '/var/www/html/config', 'lost'],
    ['in memory inside of a volume', [WWW, mount('/var/www/html/tmp', TMPFS)], '/var/www/html/tmp/x', 'memory'],
    ['in a volume nobody named', [mount('/var/www/html', UNNAMED)], '/var/www/html/config', 'unnamed'],
    ['in a volume', [WWW], '/var/www/html/config', 'kept'],
    ['in a folder of the machine', [mount('/var/www/html', BIND)], '/var/www/html', 'kept'],
    ['in a volume inside of memory', [mount('/var', TMPFS), WWW], '/var/www/html/config', 'kept'],
  ])('%s', (_, mounts, path, lasting) => {
    expect(lastingOf(path, mounts)).toBe(lasting);
  });
});

test('mountAt() takes the deepest, in whatever order they come', () => {
  const inner = mount('/var/www/html/data');
  for (const mounts of [
    [WWW, inner],
    [inner, WWW],
  ]) {
    expect(mountAt('/var/www/html/data/admin', mounts)).toBe(inner);
    expect(mountAt('/var/www/html/dataset', mounts)).toBe(WWW);
  }
});

describe('stateFolderIn()', () => {
  test.each<[string, readonly ContainerMount[], string | null, string]>([
    ['in a place that does not last, where nothing does', [], '/mnt/ncdata', OWN],
    ['not below what the web server serves', [WWW, mount('/var/www/html/data')], '/var/www/html/data', OWN],
    ['not in data that vanish', [WWW], '/mnt/ncdata', OWN],
    ['not in data that are in memory', [WWW, mount('/mnt/ncdata', TMPFS)], '/mnt/ncdata', OWN],
    ['not in data that are mounted read-only', [WWW, { ...DATA, writable: false }], '/mnt/ncdata', OWN],
    ['not where the data directory is unknown', [WWW, DATA], null, OWN],
    ['not in a folder above the root', [mount('/var/www')], '/var/www', OWN],
    ['in its own volume before all else', [WWW, DATA, mount('/var/lib/latchkey')], '/mnt/ncdata', OWN],
    [
      'beside the data, not in a read-only mount of its own',
      [WWW, DATA, mount('/var/lib/latchkey', { writable: false })],
      '/mnt/ncdata',
      '/mnt/ncdata/.latchkey-oc1',
    ],
    [
      'beside the data, not in a tmpfs of its own',
      [WWW, DATA, mount('/var/lib/latchkey', TMPFS)],
      '/mnt/ncdata',
      '/mnt/ncdata/.latchkey-oc1',
    ],
    ['beside the data that lie outside', [WWW, DATA], '/mnt/ncdata', '/mnt/ncdata/.latchkey-oc1'],
  ])('%s', (_, mounts, dataDirectory, path) => {
    expect(stateFolderIn(mounts, { ...place, dataDirectory }, 'oc1')).toBe(path);
  });
});

describe('onMachine()', () => {
  test('is nowhere for what only the container has, or memory', () => {
    expect(onMachine('/var/www/html', [])).toBeNull();
    expect(onMachine('/var/www/html', [mount('/var/www/html', TMPFS)])).toBeNull();
  });

  test('goes through the mount', () => {
    expect(onMachine('/var/www/html', [mount('/var/www', BIND)])).toBe('/srv/cloud/html');
    expect(onMachine('/var/www/html', [mount('/', BIND)])).toBe('/srv/cloud/var/www/html');
  });
});

function container(changes: Partial<Container> = {}): Container {
  return {
    engine: { kind: 'docker', program: '/usr/bin/docker' },
    id: 'b'.repeat(64),
    name: 'cloud',
    status: 'running',
    image: 'nextcloud:33-apache',
    command: ['/entrypoint.sh', 'apache2-foreground'],
    mounts: [WWW],
    ...changes,
  };
}

describe('mayBeNextcloud()', () => {
  test.each<[string, Partial<Container>]>([
    ['a database', { image: 'postgres:17', name: 'db', mounts: [mount('/var/lib/postgresql')] }],
    ['the web server before FPM', { image: 'nginx', name: 'web', mounts: [{ ...WWW, writable: false }] }],
    [
      "AIO's apache",
      {
        image: 'ghcr.io/nextcloud-releases/aio-apache',
        name: 'nextcloud-aio-apache',
        mounts: [{ ...WWW, writable: false }],
      },
    ],
  ])('leaves %s in peace', (_, changes) => {
    expect(mayBeNextcloud(container(changes))).toBe(false);
  });

  test.each<[string, Partial<Container>]>([
    ['the official image', { mounts: [] }],
    ['an image of another name with the usual volume', { image: 'our-cloud', name: 'x' }],
    ['AIO', { image: 'ghcr.io/nextcloud-releases/aio-nextcloud', name: 'nextcloud-aio-nextcloud' }],
    ['Cloudron', { image: 'cloudron/com.nextcloud.cloudronapp:4', name: 'a1b2', mounts: [mount('/app/data')] }],
  ])('looks into %s', (_, changes) => {
    expect(mayBeNextcloud(container(changes))).toBe(true);
  });
});

describe('isCronOnly()', () => {
  test.each([
    [['/entrypoint.sh', 'apache2-foreground'], false],
    [['/entrypoint.sh', 'php-fpm'], false],
    [['/start.sh', '/usr/bin/supervisord'], false],
    [['/start.sh', 'dinit', '--system', 'php-fpm', 'cron'], false],
    [['/cron.sh'], true],
    [['/cron.sh', 'php-fpm'], false],
  ])('%j: %s', (command, is) => {
    expect(isCronOnly(container({ command: command as string[] }))).toBe(is);
  });
});

test('companionsOf() are those that write the same files, and no others', () => {
  const other = (id: string, mounts: readonly ContainerMount[]): Container =>
    container({ id: id.repeat(64), name: id, mounts });
  const all = [
    container(),
    other('c', [WWW]),
    other('d', [{ ...WWW, writable: false }]),
    other('e', [mount('/var/www/html', BIND)]),
    other('f', [{ ...WWW, destination: '/nextcloud' }]),
  ];
  expect(companionsOf(container(), all, '/var/www/html').map(({ name }) => name)).toEqual(['c']);
  expect(companionsOf(container({ mounts: [] }), all, '/var/www/html')).toEqual([]);
});
