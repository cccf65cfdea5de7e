import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { run } from '../../platform/run.ts';
import { startEnrolledServer } from '../attacks/enrolled-server.ts';
import type { Scene } from '../attacks/scene.ts';
import { type Fault, type FaultReport, recoveryLimit } from './fault.ts';
import { Witness } from './witness.ts';

const lasting = 3_000;
const policy = ['--rate', '360000/h', '--burst', '30000', '--lockout', 'off'];

/** A file system of its own kind for the data directory; undone with the row. */
async function mounted(scene: Scene, name: string, argv: readonly string[]): Promise<string> {
  const folder = join(scene.folder, name);
  mkdirSync(folder);
  await run(['mount', ...argv, folder], { timeoutMs: 20_000 });
  scene.row.add(folder, async () => void (await run(['umount', folder], { timeoutMs: 20_000 })));
  return folder;
}

/** Writes until not a byte more fits; answers the file. */
function fill(folder: string): string {
  const path = join(folder, 'filler');
  for (let size = 1 << 20; size >= 1; size = Math.floor(size / 2)) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(size, 1), { flag: 'a' });
    } catch {
      // the next smaller piece may still fit
    }
  }
  return path;
}

export const fullDisk: Fault = {
  name: 'disk full',
  run: async (scene) => {
    const folder = await mounted(scene, 'full', ['-t', 'tmpfs', '-o', 'size=8m,mode=0700', 'full']);
    const made = await startEnrolledServer(scene, { folder, policy });
    const witness = new Witness(made);
    await witness.servedAgain(recoveryLimit);
    const filler = fill(folder);
    await delay(100);
    witness.answers();
    await delay(lasting);
    const meanwhile = witness.answers();
    rmSync(filler);
    return finished(witness, made.server, `full for ${lasting / 1000} s`, meanwhile);
  },
};

export const readOnlyDisk: Fault = {
  name: 'disk becomes read-only',
  run: async (scene) => {
    const image = join(scene.folder, 'read-only.img');
    writeFileSync(image, Buffer.alloc(32 << 20));
    await run(['mkfs.ext4', '-q', '-F', image], { timeoutMs: 30_000 });
    const folder = await mounted(scene, 'read-only', ['-o', 'loop,errors=remount-ro', image]);
    const made = await startEnrolledServer(scene, { folder, policy });
    const witness = new Witness(made);
    await witness.servedAgain(recoveryLimit);
    await run(['mount', '-o', 'remount,abort', folder], { timeoutMs: 20_000 }); // what the kernel does on a disk error
    await delay(100);
    witness.answers();
    await delay(lasting);
    const meanwhile = witness.answers();
    await made.server.stop();
    await run(['umount', folder], { timeoutMs: 20_000 });
    await run(['fsck.ext4', '-p', image], { timeoutMs: 30_000, allowExit: 'any' });
    await run(['mount', '-o', 'loop', image, folder], { timeoutMs: 20_000 });
    await made.server.start();
    return finished(
      witness,
      made.server,
      `read-only for ${lasting / 1000} s, then repaired and started anew`,
      meanwhile,
    );
  },
};

export const deletedFile: Fault = {
  name: 'audit file deleted',
  run: async (scene) => {
    const made = await startEnrolledServer(scene, { policy });
    const witness = new Witness(made);
    await witness.servedAgain(recoveryLimit);
    const path = join(made.data, 'keyserver.db');
    renameSync(path, `${path}.gone`); // to the server it is deleted; to us it can be put back
    await delay(300);
    witness.answers();
    await delay(lasting);
    const meanwhile = witness.answers();
    renameSync(`${path}.gone`, path);
    return finished(witness, made.server, `gone for ${lasting / 1000} s, then put back`, meanwhile);
  },
};

export const lockedStore: Fault = {
  name: 'store locked',
  run: async (scene) => {
    const made = await startEnrolledServer(scene, { policy });
    const witness = new Witness(made);
    await witness.servedAgain(recoveryLimit);
    const other = new DatabaseSync(join(made.data, 'keyserver.db'), { timeout: 5000 });
    other.exec('begin immediate');
    witness.answers();
    await delay(12_000);
    const meanwhile = witness.answers();
    other.exec('rollback');
    other.close();
    return finished(witness, made.server, 'another program held it for 12 s', meanwhile);
  },
};

/** The fault is over: waits for the honest host, stops everything, holds receipts against the log. */
export async function finished(
  witness: Witness,
  server: { stop(): Promise<void> },
  done: string,
  meanwhile: string,
): Promise<FaultReport> {
  const servedAgainMs = await witness.servedAgain(recoveryLimit);
  await witness.stop();
  await server.stop();
  await witness.settle();
  return { done, meanwhile, servedAgainMs, releases: witness.releases };
}
