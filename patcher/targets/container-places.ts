import { STATE_PARENT } from '../facts.ts';
import type { Container, ContainerMount } from './container-engine.ts';

/**
 * How long what is written below a path lasts: `kept` in a folder of the machine or a named volume; `unnamed` in a volume
 * nobody named, which another `docker run` does not find again; `memory` until the container stops; `lost` with the
 * container, which every upgrade of its image replaces.
 */
export type Lasting = 'kept' | 'unnamed' | 'memory' | 'lost';

/** Pure: the mount that a path lies in, the deepest of several; `null` for the container's own layer. */
export function mountAt(path: string, mounts: readonly ContainerMount[]): ContainerMount | null {
  const over = mounts.filter(({ destination }) => isWithin(path, destination));
  return over.sort((a, b) => b.destination.length - a.destination.length)[0] ?? null;
}

/** Pure. */
export function lastingOf(path: string, mounts: readonly ContainerMount[]): Lasting {
  const mount = mountAt(path, mounts);
  if (mount === null) return 'lost';
  if (mount.type === 'tmpfs') return 'memory';
  return mount.type === 'volume' && (mount.name === null || /^[0-9a-f]{64}$/.test(mount.name)) ? 'unnamed' : 'kept';
}

/** True where something written there is still there in the next container. */
export function outlives(path: string, mounts: readonly ContainerMount[]): boolean {
  return ['kept', 'unnamed'].includes(lastingOf(path, mounts));
}

/**
 * Pure: where the enrolment is kept. A mount of its own comes first; else Nextcloud's data, where they lie outside of what
 * the web server serves; else a place that does not last, so that it can be told what is missing.
 */
export function stateFolderIn(
  mounts: readonly ContainerMount[],
  place: { readonly root: string; readonly dataDirectory: string | null },
  instanceId: string,
): string {
  const own = `${STATE_PARENT}/${instanceId}`;
  const mount = mountAt(STATE_PARENT, mounts);
  if (mount?.writable === true && outlives(STATE_PARENT, mounts)) return own;
  const { root, dataDirectory: data } = place;
  if (data === null || isWithin(data, root) || isWithin(root, data)) return own;
  return outlives(data, mounts) && mountAt(data, mounts)?.writable === true ? `${data}/.latchkey-${instanceId}` : own;
}

/** Pure: where a path of the container lies on the machine; `null` when only the container has it. */
export function onMachine(path: string, mounts: readonly ContainerMount[]): string | null {
  const mount = mountAt(path, mounts);
  if (mount === null || mount.type === 'tmpfs' || !mount.source.startsWith('/')) return null;
  const rest = path.slice(mount.destination === '/' ? 0 : mount.destination.length);
  return `${mount.source.replace(/\/+$/, '')}${rest}`;
}

/** Where images have Nextcloud: the official one and AIO, NextcloudPi, Cloudron, LinuxServer.io. */
export const ROOTS: readonly string[] = ['/var/www/html', '/var/www/nextcloud', '/app/code', '/app/www/public'];

/**
 * Pure: whether it is worth a look inside. Databases and proxies are left in peace; `--container` looks anywhere. AIO's
 * own apache has Nextcloud's files too, and is no Nextcloud.
 */
export function mayBeNextcloud({ image, name, mounts }: Container): boolean {
  const mounted = mounts.find(({ destination }) => ROOTS.includes(destination));
  if (mounted !== undefined) return mounted.writable;
  return /nextcloud|cloudron/i.test(image) || /nextcloud/i.test(name);
}

/** Pure: true for a container that only runs the background jobs of another with the same files. */
export function isCronOnly({ command }: Container): boolean {
  return command.some((word) => /(^|\/)(cron\.sh|crond?|busybox-crond)$/.test(word)) && !command.some(isServer);
}

function isServer(word: string): boolean {
  return /(apache2-foreground|php-fpm|supervisord|dinit|\/init)$/.test(word);
}

/** Pure: the others that run code of the same root, like one for background jobs. */
export function companionsOf(container: Container, all: readonly Container[], root: string): Container[] {
  const place = onMachine(root, container.mounts);
  if (place === null) return [];
  return all.filter(
    (other) =>
      other.id !== container.id && mountAt(root, other.mounts)?.writable && onMachine(root, other.mounts) === place,
  );
}

export function isWithin(path: string, folder: string): boolean {
  return folder === '/' || path === folder || path.startsWith(`${folder}/`);
}
