import { posix } from 'node:path';
import { LatchkeyError } from '../../platform/errors.ts';
import { openContainer } from '../targets/container.ts';
import { chooseInstance, findInstances } from '../targets/instance-choice.ts';
import type { Transport } from '../transports/transport.ts';

export interface AuditWish {
  readonly root?: string;
  /** The container it is in. */
  readonly container?: string;
  /** Where the server's disk is mounted on the machine that is looked at: absolute paths in its settings are below it. */
  readonly disk?: string;
}

/** The code that is meant, and how its files are reached. */
export interface CodePlace {
  readonly transport: Transport;
  /** Name of the kind of installation, `null` where only a folder is known. */
  readonly target: string | null;
  readonly root: string;
  readonly configFolder: string | null;
}

/** The tree that is meant. One that is named is taken even when it is too broken to be found as a Nextcloud. */
export async function findCode(machine: Transport, wish: AuditWish): Promise<CodePlace> {
  checkWish(wish);
  const { root: wished, disk, container } = wish;
  if (disk === undefined) {
    const found = await findInstances(machine, wished, container);
    if (found.length > 0 || wished === undefined) {
      const { target, sighting } = chooseInstance(found, wished);
      const config = sighting.configFile;
      const configFolder = config === null ? null : posix.dirname(config);
      const transport = await filesOf(machine, sighting.container);
      // a snap's is behind a link, and apps paths are compared as they really lie
      const root = (await transport.realPath(sighting.root)) ?? sighting.root;
      return { transport, target: target.name, root, configFolder };
    }
  }
  return findBroken(await filesOf(machine, container), wished);
}

async function filesOf(machine: Transport, container: string | undefined): Promise<Transport> {
  return container === undefined ? machine : (await openContainer(machine, container)).inside;
}

/** A tree that is not recognised any more still has its signed list, or its library. */
async function findBroken(transport: Transport, wished: string | undefined): Promise<CodePlace> {
  const root = await transport.realPath(wished ?? '/');
  const signed = root === null ? null : await transport.stat(`${root}/core/signature.json`);
  const base = root === null ? null : await transport.stat(`${root}/lib`);
  if (root === null || (signed === null && base === null)) {
    throw new LatchkeyError('nextcloud_not_found', `there is no nextcloud in ${wished ?? '/'}`, {
      hint: 'the folder must hold core/signature.json or lib',
    });
  }
  const config = await transport.realPath(`${root}/config/config.php`);
  return { transport, target: null, root, configFolder: config === null ? null : `${root}/config` };
}

function checkWish({ root, disk, container }: AuditWish): void {
  for (const [name, folder] of [
    ['root', root],
    ['disk', disk],
  ] as const) {
    if (folder !== undefined && (!/^\/[^\0]*[^/\0]$/.test(folder) || posix.normalize(folder) !== folder)) {
      throw new LatchkeyError('invalid_request', `"--${name}" must be an absolute path without a slash at its end`, {
        exit: 2,
        field: name,
      });
    }
  }
  if (disk === undefined) return;
  if (root === undefined) {
    throw new LatchkeyError('usage', '"--disk" needs "--root", the folder of the code as it is mounted', { exit: 2 });
  }
  if (container !== undefined) {
    throw new LatchkeyError('usage', '"--disk" is a disk and "--container" runs: only one can be meant', { exit: 2 });
  }
}
