import { existsSync, readdirSync, readFileSync, type Stats, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { isRoot, webUser } from '../harness/nextcloud-files.ts';
import { type Attack, control, Findings, skipped } from './attack.ts';
import { keyNeedles, needlesOf } from './key-needles.ts';
import type { Thief } from './key-search.ts';
import { isInRam } from './mount-table.ts';
import { NeedleIndex } from './needle-index.ts';
import { openKeyBlob } from './nextcloud-crypto.ts';
import { type NextcloudStage, ownFiles } from './nextcloud-stage.ts';
import { filesBelow, placesOf, searchFiles } from './stolen-disk.ts';
import { readStolenFile, secretOf } from './thief.ts';

/** Where programs leave things outside of what is theirs. */
const elsewhere = ['/tmp', '/var', '/run', '/dev/shm', '/etc', '/home', '/root', '/srv', '/opt'];

/** Everything to look for, and all that opens with what the disk itself holds. */
export function thiefWith(stage: NextcloudStage, cookies: readonly string[] = []): Thief {
  const instance = secretOf(stage.now);
  control(instance !== null, 'config.php has no secret');
  const uids = [...stage.keys.keys()].map((id) => id.replace(/\.privateKey$/, ''));
  const needles = [...stage.keys].flatMap(([id, blob]) => {
    const uid = id.replace(/\.privateKey$/, '');
    const pem = openKeyBlob(blob, instance, uid) ?? openKeyBlob(blob, { ...instance, secret: '' }, '');
    return [...needlesOf(`${uid} as stored`, blob.subarray(80)), ...(pem === null ? [] : keyNeedles(uid, pem))];
  });
  const passwords = [instance.secret, '', ...cookies].filter((one, at) => one !== '' || at === 1);
  const instances = [instance, { ...instance, secret: '' }];
  return { needles: new NeedleIndex(needles), passwords, instances, uids: [...uids, ''] };
}

/** Files outside of the instance that its user wrote to since it came into being. */
function* writtenElsewhere(stage: NextcloudStage, without: readonly string[]): Generator<string> {
  const uid = isRoot() ? webUser.uid : process.getuid?.();
  const skip = (path: string): boolean => {
    const { uid: owner, ctimeMs } = statSync(path);
    return owner !== uid || ctimeMs < stage.startedAt;
  };
  // where that user cannot enter it has written nothing
  const isClosed = (folder: Stats): boolean => folder.uid !== uid && (folder.mode & 0o011) === 0;
  yield* filesBelow(elsewhere, { without, skip, isClosed });
}

/** Nextclouds and key servers of tests that run beside this one stand for other machines. */
function otherTests(): string[] {
  return readdirSync(tmpdir())
    .filter((name) => /^(?:latchkey|lk)-/.test(name))
    .map((name) => join(tmpdir(), name));
}

export const diskCopyRow: Attack = {
  row: '1',
  attackerHas: "a copy of the server's disk, or an old backup; key server unreachable for the copy",
  stock: 'reads every file',
  latchkey: 'nothing: no private key in any form anywhere on the disk',
  run: async (scene) => {
    const obstacle = scene.obstacle();
    if (obstacle !== null) return skipped(obstacle);
    const stage = await scene.nextcloud();
    const { instance, before, now, doors } = stage;
    const { user } = instance.admin;
    const thief = thiefWith(stage);

    scene.say('searching the disk as it was, and as it is');
    const stolen = searchFiles(filesBelow([before.folder]), thief, scene.folder);
    control(stolen.hits.length > 0, 'the search finds no key on the disk of a stock instance');
    const masters = new Set(stolen.hits.map((hit) => hit.secret)).size;
    control(masters > 3, 'the search does not open what a stock instance holds');
    for (const [path, content] of doors.written) {
      if (!path.startsWith('stock-')) continue;
      const read = readStolenFile(before.disk, user, path);
      control(read?.toString() === content, `a thief of the stock instance's disk cannot read ${path}`);
    }

    const found = new Findings();
    const own = searchFiles(ownFiles(stage), thief, scene.folder);
    control(own.files > 100, `only ${own.files} files were looked at`);
    found.expect(own.hits.length === 0, `found in ${placesOf(own.hits, instance.base)}`);
    const strewn = [...writtenElsewhere(stage, [instance.base, scene.folder, ...otherTests()])];
    const onDisk = searchFiles(
      strewn.filter((path) => !isInRam(path)),
      thief,
      scene.folder,
    );
    found.expect(onDisk.hits.length === 0, `found in ${placesOf(onDisk.hits, '/')}`);
    const inRam = searchFiles(
      strewn.filter((path) => isInRam(path)),
      thief,
      scene.folder,
    );
    for (const path of doors.written.keys()) {
      found.expect(readStolenFile(now, user, path) === null, `${path} can be read off the disk`);
    }
    const swap = existsSync('/proc/swaps') && readFileSync('/proc/swaps', 'utf8').trim().split('\n').length > 1;
    const ram = inRam.hits.length > 0 ? 'the same search finds it in the tmpfs that occ caches in' : 'nothing in tmpfs';
    const size = ((own.bytes + onDisk.bytes) / 1e6).toFixed(0);
    const where = relative(before.folder, stolen.hits[0]?.path ?? '');
    return found.outcome(
      `${own.files + onDisk.files} files, ${size} MB: none holds a key; ${doors.written.size} files stay shut. Stock: found in ` +
        `${new Set(stolen.hits.map((hit) => hit.path)).size} files (${where}), every file read; ${ram}; ` +
        `swap ${swap ? 'is on here, and may hold what RAM does' : 'is off here'}`,
    );
  },
};
