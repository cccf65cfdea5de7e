import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { run } from '../../platform/run.ts';
import { Doors } from '../e2e/doors.ts';
import { Browser } from '../harness/nextcloud-client.ts';
import { isRoot } from '../harness/nextcloud-files.ts';
import { NextcloudInstance } from '../harness/nextcloud-instance.ts';
import type { NextcloudTree } from '../harness/nextcloud-tree.ts';
import { damageFile, failToDecrypt, nextcloudLog } from './failing-decryption.ts';
import { type Moved, moveIn } from './moving-in.ts';
import type { Scene } from './scene.ts';
import { filesBelow, isOwnerOnly } from './stolen-disk.ts';
import type { StolenDisk } from './thief.ts';

/** One Nextcloud before and after its keys were moved, used by every door both times. */
export interface NextcloudStage extends Moved {
  readonly instance: NextcloudInstance;
  readonly doors: Doors;
  readonly startedAt: number;
  /** A copy of all that its disk held while it was stock. */
  readonly before: { readonly folder: string; readonly disk: StolenDisk };
  /** Its disk now. */
  readonly now: StolenDisk;
  /** `oc_sessionPassphrase` of one user's browser: while stock, and after the move. */
  readonly cookies: { readonly before: string; readonly after: string };
  /** What the log said of a decryption that failed with arguments in traces. */
  readonly logs: { readonly before: string; readonly after: string };
  /** Doors by which the failing decryption was tried. */
  readonly failedDoors: number;
}

const probe = join(import.meta.dirname, '..', 'e2e', 'probe-app');

/** Every file of an instance but those that are as the release brought them, which are nobody's secret. */
export function* ownFiles({ instance }: NextcloudStage): Generator<string> {
  // as root its code is an overlay: what was changed lies in the upper folder
  const aside = isRoot() ? /^(?:html|work-[0-9]+)$/ : /^work-[0-9]+$/;
  const folders = readdirSync(instance.base).filter((name) => !aside.test(name));
  for (const name of folders) {
    const folder = join(instance.base, name);
    const released = /^(?:html|upper-[0-9]+)$/.test(name);
    const skip = (path: string): boolean =>
      released &&
      (isOwnerOnly(statSync(path)) ||
        isSame(join(instance.root, relative(folder, path)), join(instance.tree.folder, relative(folder, path))));
    yield* filesBelow([folder], { skip });
  }
}

function isSame(path: string, original: string): boolean {
  if (!existsSync(original) || !existsSync(path) || statSync(original).size !== statSync(path).size) return false;
  return readFileSync(original).equals(readFileSync(path));
}

export async function stageNextcloud(scene: Scene, tree: NextcloudTree): Promise<NextcloudStage> {
  const { cleanup } = scene;
  const startedAt = Date.now() - 1_000;
  scene.say(`setting up a Nextcloud ${tree.version}`);
  const instance = await NextcloudInstance.install(tree, { cleanup });
  await instance.files.addApp(probe, 'latchkeyprobe');
  await instance.occ(['app:enable', 'latchkeyprobe']);
  await instance.enableEncryption();
  await instance.serve();
  const doors = new Doors(instance);
  await doors.write('stock');
  await doors.share('stock-dav.txt');
  await doors.read();
  const userBefore = await signedIn(instance);
  await damageFile(instance);
  await failToDecrypt(instance);
  const logBefore = nextcloudLog(instance);
  const before = await copyDisk(scene, instance);

  scene.say('moving its keys to a key server');
  const moved = await moveIn(instance, scene.folder, cleanup);
  await userBefore.page('/index.php/apps/files/'); // a session from before goes on
  actOn(moved.findings);
  scene.say('using it');
  await doors.read();
  await doors.write('moved');
  await doors.read();
  const userAfter = await signedIn(instance);
  const failedDoors = await failToDecrypt(instance);
  await instance.occ(['remotekey:heartbeat']);
  await instance.occ(['remotekey:verify']);
  return {
    ...moved,
    instance,
    doors,
    startedAt,
    before,
    now: { data: instance.dataFolder, config: join(instance.root, 'config', 'config.php') },
    cookies: { before: passphraseOf(userBefore), after: passphraseOf(userAfter) },
    logs: { before: logBefore, after: nextcloudLog(instance) },
    failedDoors,
  };
}

async function signedIn(instance: NextcloudInstance): Promise<Browser> {
  const browser = new Browser(instance.address, instance.admin);
  await browser.signIn();
  return browser;
}

function passphraseOf(browser: Browser): string {
  return decodeURIComponent(browser.cookies().get('oc_sessionPassphrase') ?? '');
}

/** The owner does what the move said was left to do, no more and no less. */
function actOn(findings: Moved['findings']): void {
  for (const { path, kind } of findings) {
    if (kind === 'sessions') for (const name of readdirSync(path)) rmSync(join(path, name));
    else rmSync(path);
  }
}

async function copyDisk(scene: Scene, instance: NextcloudInstance): Promise<NextcloudStage['before']> {
  const folder = join(scene.folder, 'stolen-before');
  mkdirSync(folder, { mode: 0o700 });
  for (const name of ['data', 'sessions', 'tmp', 'log']) {
    const from = join(instance.base, name);
    if (existsSync(from)) await run(['cp', '-a', from, join(folder, name)], { timeoutMs: 60_000 });
  }
  cpSync(join(instance.root, 'config', 'config.php'), join(folder, 'config.php'));
  return { folder, disk: { data: join(folder, 'data'), config: join(folder, 'config.php') } };
}
