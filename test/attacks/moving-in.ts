import { chownSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Cleanup } from '../harness/cleanup.ts';
import { freePort } from '../harness/free-port.ts';
import { type Invitation, KeyServer } from '../harness/keyserver-process.ts';
import { isRoot, webUser } from '../harness/nextcloud-files.ts';
import type { NextcloudInstance } from '../harness/nextcloud-instance.ts';

const app = resolve(import.meta.dirname, '..', '..', 'php-app');

/** A copy that the move left behind, as `remotekey:escrow` tells the owner. */
export interface Finding {
  readonly path: string;
  readonly kind: string;
}

export interface Moved {
  readonly keyServer: KeyServer;
  readonly invitation: Invitation;
  readonly stateFolder: string;
  /** What was stored, by id: the owner's copy. */
  readonly keys: ReadonlyMap<string, Buffer>;
  readonly findings: readonly Finding[];
}

/** Moves an instance's keys to a new key server on loopback, as `ncpatch` does it on the target. */
export async function moveIn(
  instance: NextcloudInstance,
  folder: string,
  cleanup: Cleanup,
  policy: readonly string[] = [],
): Promise<Moved> {
  const keyServer = await KeyServer.init({ data: join(folder, 'keyserver'), port: await freePort(), cleanup });
  await keyServer.start();
  const invitation = await keyServer.addClient('cloud', ['--from', '127.0.0.1/32']);
  if (policy.length > 0) await keyServer.command(['client', 'policy', 'cloud', ...policy]);
  await instance.files.addApp(app, 'remotekeystorage');
  await instance.occ(['app:enable', 'remotekeystorage']);
  const stateFolder = join(instance.base, 'state');
  mkdirSync(stateFolder, { mode: 0o700 });
  if (isRoot()) chownSync(stateFolder, webUser.uid, webUser.gid);
  const { url, code, ca, grant } = invitation;
  const json = '--output=json';
  const enrolment = JSON.stringify({ url, code, ca });
  await instance.occ(['remotekey:enroll', `--dir=${stateFolder}`, json], { input: enrolment });
  const escrow = async (stage: string, input?: unknown): Promise<unknown> => {
    const options = input === undefined ? {} : { input: JSON.stringify(input) };
    return JSON.parse((await instance.occ(['remotekey:escrow', `--stage=${stage}`, json], options)).stdout);
  };
  await escrow('preflight');
  const stored = (await escrow('store', { grant, withKeys: true })) as { keys: { id: string; key: string }[] };
  await escrow('prove');
  const { findings } = (await escrow('remove')) as { findings: Finding[] };
  const keys = new Map(stored.keys.map(({ id, key }) => [id, Buffer.from(key, 'base64')]));
  return { keyServer, invitation, stateFolder, keys, findings };
}
