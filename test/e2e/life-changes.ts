import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { WebDav } from '../harness/nextcloud-client.ts';
import { nextTree } from '../harness/nextcloud-tree.ts';
import { keyFiles, privateKeyFiles } from './key-files.ts';
import { ramFiles } from './ram-files.ts';
import { NotHere } from './step-list.ts';
import { assert, type Step } from './story.ts';

/** To the next release at hand, behind maintenance mode: code swapped, `occ upgrade` by the web user. */
export const upgrade: Step = async ({ nextcloud, tree, trees, memory }) => {
  const next = nextTree(tree, trees);
  if (next === null) throw new NotHere('no newer release here');
  if (!next.allowed) {
    throw new NotHere(`Nextcloud goes to ${next.tree.version} from ${next.tree.upgradesFrom.join(', ')} only`);
  }
  await nextcloud.occ(['maintenance:mode', '--on']);
  await nextcloud.replaceCode(next.tree, ['custom_apps']);
  await nextcloud.occ(['upgrade'], { timeoutMs: 240_000 });
  await nextcloud.serve();
  assert((await nextcloud.systemValue('maintenance')) === 'true', 'the upgrade has ended maintenance mode');
  const status = await nextcloud.occ(['status', '--output=json']);
  assert(status.stdout.includes(`"versionstring":"${next.tree.version}"`), 'occ status does not show the new version');
  assert(privateKeyFiles(nextcloud.dataFolder).length === 0, 'the upgrade made a private key');
  const masterKeyId = await nextcloud.appValue('encryption', 'masterKeyId');
  assert(masterKeyId === memory.masterKeyId, `the master key is now ${masterKeyId}`);
  return `to ${next.tree.version}`;
};

/** What `apply --json` prints about its proof. */
interface Applied {
  readonly changed?: boolean;
  readonly maintenance?: boolean;
  readonly verification?: { readonly release?: unknown; readonly decrypt?: unknown };
}

/**
 * `apply` after an upgrade must end with a real release and a real decryption, behind maintenance mode, and leave that on for
 * the administrator to end. Where there was no upgrade, the app is
 * switched off first, as Nextcloud does with apps that it thinks too old: encrypted files must be refused then and open
 * again after.
 */
export const applyAgain: Step = async ({ ncpatch, doors, nextcloud, tree, trees }) => {
  const upgraded = nextTree(tree, trees)?.allowed === true;
  if (!upgraded) {
    await nextcloud.occ(['app:disable', 'remotekeystorage']);
    await nextcloud.restartServer();
    const { status } = await new WebDav(nextcloud.address, nextcloud.admin, { session: false }).get('stock-dav.txt');
    assert(status >= 500, `with the app switched off WebDAV answered ${status}`);
    assert(privateKeyFiles(nextcloud.dataFolder).length === 0, 'with the app switched off a private key was made');
  }
  const { changed, maintenance, verification } = (await ncpatch.command(['apply'])).json() as Applied;
  assert(maintenance === upgraded, `after apply maintenance mode was ${maintenance}`);
  if (upgraded) await nextcloud.occ(['maintenance:mode', '--off']);
  assert(upgraded || changed === true, 'apply did not switch the app on again');
  assert(typeof verification?.release === 'object' && verification.release !== null, 'apply made no release');
  assert(verification.decrypt !== null && verification.decrypt !== undefined, 'apply decrypted nothing');
  if (!upgraded) await nextcloud.restartServer();
  await doors.write('later');
  await doors.read('later');
  return upgraded ? undefined : 'after the app had been switched off';
};

/** The way back. Where no upgrade stood between, the owner's copy alone must do, with the key server away. */
export const restore: Step = async ({ ncpatch, keyServer, nextcloud, memory, copy, copyPassphrase, tree, trees }) => {
  const fromCopy = nextTree(tree, trees) === null;
  if (fromCopy) {
    await keyServer.stop();
    await ncpatch.command(['restore', '--from-copy', copy, '--copy-passphrase-file', copyPassphrase]);
  } else {
    await ncpatch.command(['restore']);
  }
  const [before, now] = [memory.keyFiles, keyFiles(nextcloud.dataFolder)];
  const lost = [...before.keys()].filter((path) => !now.has(path));
  assert(lost.length === 0 && now.size === before.size, `not as before: ${lost.join(', ')} (${now.size} files)`);
  // private keys lie under an outer layer with a nonce of its own; that they are right is for the doors to show
  const publicBefore = [...before].filter(([path]) => !path.endsWith('.privateKey'));
  assert(
    publicBefore.every(([path, hash]) => now.get(path) === hash),
    'a public key has changed',
  );
  return fromCopy ? "from the owner's copy, key server off" : 'from the key server';
};

/** Without the app and without the key server everything is stock again, and every file still opens. */
export const stock: Step = async (story) => {
  const { ncpatch, keyServer, nextcloud, doors, stateFolder } = story;
  await ncpatch.command(['remove']);
  await keyServer.stop();
  const left = ['apps', 'custom_apps']
    .map((name) => join(nextcloud.root, name))
    .filter((folder) => existsSync(folder) && readdirSync(folder).includes('remotekeystorage'));
  assert(left.length === 0, `the app is still in ${left.join(', ')}`);
  assert(!existsSync(join(stateFolder, 'client.json')), 'credentials were left behind');
  assert((await nextcloud.systemValue('remotekeystorage.dir')) === '', 'config.php still names the state folder');
  const cached = ramFiles(story);
  assert(cached.length === 0, `a key is still cached in ${cached.join(', ')}`);
  await nextcloud.restartServer();
  await doors.read();
  await doors.write('after');
  await doors.readByOcc('after-dav.txt');
  return `${doors.written.size} files`;
};

export const audit: Step = async ({ keyServer }) => {
  await keyServer.command(['audit', 'verify']);
  return undefined;
};
