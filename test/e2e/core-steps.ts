import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../platform/run.ts';
import { WebDav } from '../harness/nextcloud-client.ts';
import type { NextcloudInstance } from '../harness/nextcloud-instance.ts';
import { nextTree } from '../harness/nextcloud-tree.ts';
import { upgrade } from './life-changes.ts';
import { assert, type Step } from './story.ts';

const CORE_FILE = 'lib/private/Server.php';
const APP = 'remotekeystorage';

/** What `apply --json` prints about its proof. */
interface Applied {
  readonly changed?: boolean;
  readonly done?: unknown;
  readonly verification?: { readonly hook?: string; readonly release?: unknown };
}

function coreFile(nextcloud: NextcloudInstance): string {
  return readFileSync(join(nextcloud.root, CORE_FILE), 'utf8');
}

function released(nextcloud: NextcloudInstance): string {
  return readFileSync(join(nextcloud.tree.folder, CORE_FILE), 'utf8');
}

/** The hash of each file of the code by its name, but for our app; `config` is Nextcloud's own to write. */
async function hashesOfCode(nextcloud: NextcloudInstance): Promise<ReadonlyMap<string, string>> {
  const list = 'find . -path ./config -prune -o -type f -print0 | xargs -0 sha256sum';
  const done = await run(['sh', '-c', list], { cwd: nextcloud.root, timeoutMs: 120_000, maxBytes: 64 * 1024 * 1024 });
  const lines = done.stdout
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '');
  const hashes = lines.map((line): [string, string] => [line.slice(66), line.slice(0, 64)]);
  return new Map(hashes.filter(([name]) => !name.includes(`/${APP}/`)));
}

const codeBefore = new WeakMap<NextcloudInstance, ReadonlyMap<string, string>>();

export const applyCore: Step = async ({ ncpatch, nextcloud, doors }) => {
  codeBefore.set(nextcloud, await hashesOfCode(nextcloud));
  const plan = await ncpatch.command(['plan', '--hook', 'core']);
  assert(plan.stdout.includes(`+++ ${join(nextcloud.root, CORE_FILE)}`), 'plan shows no diff of the file');
  assert(plan.stdout.includes('core_file_changed_by_us'), 'plan does not tell of the integrity check');
  assert(coreFile(nextcloud) === released(nextcloud), 'plan changed the file');
  const { verification } = (await ncpatch.command(['apply', '--hook', 'core'])).json() as Applied;
  assert(verification?.hook === 'core', `the hook is ${verification?.hook}`);
  assert(coreFile(nextcloud) !== released(nextcloud), 'apply changed nothing');
  await nextcloud.restartServer();
  await doors.readByWeb(); // not enrolled yet: as stock
  return undefined;
};

/** Without `--hook` what was chosen is kept, and nothing is done twice. */
export const againCore: Step = async ({ ncpatch }) => {
  const { changed, done, verification } = (await ncpatch.command(['apply'])).json() as Applied;
  assert(changed === false, `nothing was missing, but apply did ${JSON.stringify(done)}`);
  assert(verification?.hook === 'core', `the hook is ${verification?.hook}`);
  return undefined;
};

/**
 * The app switched off, as somebody can from the web. A web server is given keys only where sessions are kept free of
 * them, and PHP is started anew, so that nothing is left of the app.
 */
export const appOff: Step = async ({ nextcloud, doors, ncpatch }) => {
  await nextcloud.occ(['app:disable', APP]);
  await nextcloud.restartServer();
  await doors.write('off');
  await doors.read('off');
  const off = await ncpatch.command(['verify'], { anyExit: true });
  assert(off.exit !== 0 && off.stdout.includes('app_not_loaded'), `verify with the app off ended with ${off.exit}`);
  const { changed, verification } = (await ncpatch.command(['apply'])).json() as Applied;
  assert(changed === true && verification?.hook === 'core', 'apply did not switch the app on again');
  return undefined;
};

/** The app's files deleted, as "Remove" in the web does: nothing is given, nothing is lost, and occ goes on. */
export const filesGone: Step = async ({ nextcloud, doors, ncpatch }) => {
  const folder = ['apps', 'custom_apps']
    .map((name) => join(nextcloud.root, name, APP))
    .find((path) => existsSync(path));
  assert(folder !== undefined, 'the app is nowhere');
  await nextcloud.occ(['app:disable', APP]);
  rmSync(folder, { recursive: true });
  await nextcloud.restartServer();
  const dav = new WebDav(nextcloud.address, nextcloud.admin, { session: false });
  const statuses = [(await dav.get('off-dav.txt')).status, (await dav.put('off-dav.txt', 'overwritten')).status];
  assert(
    statuses.every((status) => status >= 500),
    `without the app's files WebDAV answered ${statuses.join(' and ')}`,
  );
  for (const argv of [['status'], ['app:list'], ['config:list', 'system'], ['maintenance:mode'], ['upgrade']]) {
    const { exit } = await nextcloud.occ(argv, { anyExit: true });
    assert(exit === 0, `without the app's files occ ${argv[0]} ended with ${exit}`);
  }
  const path = `${nextcloud.admin.user}/files/off-occ.txt`;
  const put = await nextcloud.occ(['files:put', '-', path], { input: 'overwritten', anyExit: true });
  assert(put.exit !== 0, "without the app's files occ overwrote a file");
  const { verification } = (await ncpatch.command(['apply'])).json() as Applied;
  assert(verification?.hook === 'core', 'apply did not bring the files back');
  await nextcloud.restartServer();
  await doors.read('off'); // each as it was
  await doors.readByOcc('off-occ.txt');
  return `statuses ${statuses.join(', ')}`;
};

/** New code, by an upgrade where there is a release to go to, else the same release laid out anew. */
export const wiped: Step = async (story) => {
  const { nextcloud, ncpatch, doors, tree, trees } = story;
  const upgrades = nextTree(tree, trees)?.allowed === true;
  const words = upgrades ? await upgrade(story) : 'the same release again';
  if (!upgrades) {
    await nextcloud.replaceCode(tree, ['custom_apps']);
    await nextcloud.serve();
  }
  assert(coreFile(nextcloud) === released(nextcloud), 'the new code holds the hook');
  codeBefore.set(nextcloud, await hashesOfCode(nextcloud));
  const { changed, verification } = (await ncpatch.command(['apply'])).json() as Applied;
  assert(changed === true && verification?.hook === 'core', `after new code the hook is ${verification?.hook}`);
  assert(typeof verification.release === 'object' && verification.release !== null, 'apply made no release');
  if (upgrades) await nextcloud.occ(['maintenance:mode', '--off']);
  await nextcloud.restartServer();
  await doors.write('later');
  await doors.read('later');
  return words;
};

/** To the hook of the app and back: the file is the vendor's in between, to the byte. */
export const switchHooks: Step = async ({ nextcloud, ncpatch, doors }) => {
  const patched = coreFile(nextcloud);
  const toApp = (await ncpatch.command(['apply', '--hook', 'app'])).json() as Applied;
  assert(toApp.verification?.hook === 'app', `the hook is ${toApp.verification?.hook}`);
  assert(coreFile(nextcloud) === released(nextcloud), 'the file is not as the vendor made it');
  assert((await nextcloud.systemValue('remotekeystorage.hook')) === '', 'config.php still names the hook');
  await nextcloud.restartServer();
  await doors.readByWeb();
  await ncpatch.command(['apply', '--hook', 'core']);
  assert(coreFile(nextcloud) === patched, 'the same patch twice gave two files');
  return undefined;
};

/** After `remove` all code is as it was before `apply` first touched it. */
export const removed: Step = async ({ nextcloud, ncpatch, keyServer, doors }) => {
  await ncpatch.command(['remove']);
  await keyServer.stop();
  await nextcloud.restartServer();
  await doors.readByWeb();
  await doors.readByLink();
  assert(coreFile(nextcloud) === released(nextcloud), 'the file is not as the vendor made it');
  assert((await nextcloud.systemValue('remotekeystorage.hook')) === '', 'config.php still names the hook');
  const left = ['apps', 'custom_apps'].find((name) => existsSync(join(nextcloud.root, name, APP)));
  assert(left === undefined, `the app was left in ${left}`);
  const [before, after] = [codeBefore.get(nextcloud) ?? new Map<string, string>(), await hashesOfCode(nextcloud)];
  const names = new Set([...before.keys(), ...after.keys()]);
  const changed = [...names].filter((name) => before.get(name) !== after.get(name));
  assert(changed.length === 0, `the code is not as it was before: ${changed.slice(0, 10).join(', ')}`);
  return `${before.size} files`;
};
