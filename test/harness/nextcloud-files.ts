import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../platform/run.ts';
import type { Cleanup } from './cleanup.ts';
import { isHandedOver } from './handed-over-tree.ts';
import type { NextcloudTree } from './nextcloud-tree.ts';

/** The user that web servers run as here; everything an instance consists of belongs to it when the tests are root. */
export const webUser = { name: 'www-data', uid: 33, gid: 33 } as const;

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/**
 * The code of an instance: as root an overlay over the release, so that it costs no copying and nothing can reach the
 * release itself; otherwise a copy (by reflink where the file system can; never hard links, through which a file that
 * is written in place would change the release).
 */
export class NextcloudFiles {
  readonly root: string;
  readonly #base: string;
  readonly #cleanup: Cleanup;
  #mounted = false;
  #layer = 0;

  constructor(base: string, cleanup: Cleanup) {
    this.#base = base;
    this.#cleanup = cleanup;
    this.root = join(base, 'html');
  }

  async lay(tree: NextcloudTree): Promise<void> {
    mkdirSync(this.root, { recursive: true });
    await this.#layInto(this.root, tree);
    this.#mounted = isRoot();
    if (this.#mounted) this.#cleanup.add(this.root, () => this.#unmount());
  }

  /**
   * Puts another release in place of the present one as Nextcloud's own updater does: new code, with `config`, the apps
   * that the release does not bring, and the other apps folders kept. Nothing may run in the instance meanwhile.
   */
  async replace(tree: NextcloudTree, keepFolders: readonly string[]): Promise<void> {
    const fresh = join(this.#base, `next-${this.#layer}`);
    mkdirSync(fresh);
    await this.#layInto(fresh, tree);
    const shipped = new Set(readdirSync(join(tree.folder, 'apps')));
    const ownApps = readdirSync(join(this.root, 'apps')).filter((name) => !shipped.has(name));
    for (const path of ['config', ...keepFolders, ...ownApps.map((name) => join('apps', name))]) {
      if (!existsSync(join(this.root, path))) continue;
      rmSync(join(fresh, path), { recursive: true, force: true });
      await run(['cp', '-a', join(this.root, path), join(fresh, path)], { timeoutMs: 60_000 });
    }
    if (isRoot()) {
      await this.#unmount();
      await run(['mount', '--move', fresh, this.root], { timeoutMs: 10_000 });
      this.#mounted = true;
    } else {
      rmSync(this.root, { recursive: true });
      renameSync(fresh, this.root);
    }
  }

  async #layInto(folder: string, tree: NextcloudTree): Promise<void> {
    if (!isRoot()) {
      if (process.platform === 'darwin') await run(['cp', '-Rc', `${tree.folder}/.`, folder], { timeoutMs: 300_000 });
      else await run(['cp', '-R', '--reflink=auto', `${tree.folder}/.`, folder], { timeoutMs: 300_000 });
      return;
    }
    const handedOver = await isHandedOver(tree, webUser);
    this.#layer += 1;
    const [upper, work] = ['upper', 'work'].map((name) => join(this.#base, `${name}-${this.#layer}`));
    mkdirSync(upper ?? '');
    mkdirSync(work ?? '');
    // metacopy: changing the owner of a file copies no content
    const options = `metacopy=on,lowerdir=${tree.folder},upperdir=${upper},workdir=${work}`;
    await run(['mount', '-t', 'overlay', 'overlay', '-o', options, folder], { timeoutMs: 10_000 });
    if (!handedOver) await run(['chown', '-R', `${webUser.uid}:${webUser.gid}`, folder], { timeoutMs: 60_000 });
  }

  async #unmount(): Promise<void> {
    if (!this.#mounted) return;
    const done = await run(['umount', this.root], { timeoutMs: 10_000, allowExit: 'any' });
    // somebody still looks at a file in there: detached now, gone when they end
    if (done.exit !== 0) await run(['umount', '-l', this.root], { timeoutMs: 10_000 });
    this.#mounted = false;
  }

  /** Copies an app's source folder into `apps/`, as somebody would who installs it by hand. */
  async addApp(source: string, id: string): Promise<void> {
    const target = join(this.root, 'apps', id);
    cpSync(source, target, { recursive: true });
    if (isRoot()) await run(['chown', '-R', `${webUser.uid}:${webUser.gid}`, target], { timeoutMs: 10_000 });
  }
}
