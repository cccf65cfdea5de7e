import { randomBytes } from 'node:crypto';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createSecretFile } from '../../platform/files.ts';
import { Doors } from './doors.ts';
import { filesWith, keyFiles, privateKeyFiles, privateKeyMarks } from './key-files.ts';
import { assert, type Beginning, isSame, type Step, type Story } from './story.ts';
import { installNextcloud, openShop } from './world.ts';

const probe = join(import.meta.dirname, 'probe-app');

/** A stock Nextcloud with encryption on, files in it, and one of them shared by link. */
export async function install({
  tree,
  world,
  cleanup,
}: Beginning): Promise<Pick<Story, 'nextcloud' | 'doors' | 'memory'>> {
  const nextcloud = await installNextcloud(world, tree, cleanup);
  await nextcloud.files.addApp(probe, 'latchkeyprobe');
  await nextcloud.occ(['app:enable', 'latchkeyprobe']);
  await nextcloud.enableEncryption();
  await nextcloud.serve();
  const doors = new Doors(nextcloud);
  await doors.write('stock');
  await doors.share('stock-dav.txt');
  await doors.readByLink();
  const marks = privateKeyMarks(nextcloud.dataFolder);
  assert(marks.length > 0, 'a stock instance has no private key on its disk: the test looks in the wrong place');
  const masterKeyId = await nextcloud.appValue('encryption', 'masterKeyId');
  const privateKeys = privateKeyFiles(nextcloud.dataFolder).map((path) => basename(path));
  const memory = { keyFiles: keyFiles(nextcloud.dataFolder), marks, masterKeyId, privateKeys };
  return { nextcloud, doors, memory };
}

/** A key server of its own, serving, and an invitation for the Nextcloud. */
export async function openKeyServer(story: Beginning & Pick<Story, 'nextcloud'>) {
  const { world, nextcloud, cleanup } = story;
  const shop = await openShop(world, nextcloud, cleanup);
  const { clientId, ...invitation } = await shop.keyServer.addClient('cloud', ['--from', `${world.cloud.address}/32`]);
  assert(clientId !== '', 'the client has no id');
  const copyPassphrase = join(world.folder, 'copy-passphrase');
  createSecretFile(copyPassphrase, `${randomBytes(18).toString('base64url')}\n`);
  writeFileSync(join(world.folder, 'ca.pem'), invitation.ca);
  return { ...shop, invitation, copy: join(world.folder, 'owner-copy'), copyPassphrase };
}

export const detect: Step = async ({ ncpatch, memory }) => {
  const found = await ncpatch.command(['detect']);
  assert(found.stdout.includes(memory.masterKeyId), 'detect does not name the master key');
  const plan = await ncpatch.command(['plan']);
  assert(plan.stdout.length > 2, 'plan printed nothing');
  return undefined;
};

export const apply: Step = async ({ ncpatch, doors }) => {
  await ncpatch.command(['apply']);
  await doors.readByWeb(); // not enrolled yet: as stock
  return undefined;
};

export const enroll: Step = async ({ ncpatch, invitation, world, stateFolder }) => {
  const where = ['--url', invitation.url, '--ca', join(world.folder, 'ca.pem')];
  await ncpatch.command(['enroll', ...where, '--code-file', '-'], { input: `${invitation.code}\n` });
  const open = [stateFolder, ...readdirSync(stateFolder).map((name) => join(stateFolder, name))].filter(
    (path) => (statSync(path).mode & 0o077) !== 0,
  );
  assert(open.length === 0, `others may read ${open.join(', ')}`);
  return undefined;
};

export const escrow: Step = async ({ ncpatch, invitation, copy, copyPassphrase }) => {
  const owner = ['--copy', copy, '--copy-passphrase-file', copyPassphrase];
  await ncpatch.command(['escrow', ...owner, '--grant-file', '-'], { input: `${invitation.grant}\n` });
  return undefined;
};

/** The private keys are on no disk of the server any more: not as files, not inside any other file. */
export const disk: Step = async ({ nextcloud, memory }) => {
  const { base, dataFolder } = nextcloud;
  assert(privateKeyFiles(dataFolder).length === 0, `still there: ${privateKeyFiles(dataFolder).join(', ')}`);
  const publicBefore = [...memory.keyFiles.keys()].filter((path) => !path.endsWith('.privateKey'));
  const now = keyFiles(dataFolder);
  const lost = publicBefore.filter((path) => now.get(path) !== memory.keyFiles.get(path));
  assert(lost.length === 0, `public keys changed: ${lost.join(', ')}`);
  // the instance's own layer of the overlay, and everything beside it; the release below it was never written to
  const folders = readdirSync(base).filter((name) => !/^(html|work-\d+|run)$/.test(name));
  const searched = [...folders.map((name) => join(base, name)), '/var/lib/latchkey'];
  const found = filesWith(memory.marks, searched);
  assert(found.length === 0, `a private key lies in ${found.join(', ')}`);
  return `${memory.marks.length} keys, in none of ${searched.length} folders`;
};

export const again: Step = async ({ ncpatch, nextcloud }) => {
  const before = keyFiles(nextcloud.dataFolder);
  const report = (await ncpatch.command(['apply'])).json() as { readonly changed?: unknown; readonly done?: unknown };
  assert(report.changed === false, `nothing was missing, but apply did ${JSON.stringify(report.done)}`);
  assert(isSame(before, keyFiles(nextcloud.dataFolder)), 'apply touched the keys');
  return undefined;
};
