import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { run } from '../../platform/run.ts';
import type { NextcloudTree } from './nextcloud-tree.ts';
import { snapFiles } from './snap-files.ts';

/** In a mount namespace of its own: the release with what is laid over it, packed as the snap has it. */
const PACK = `set -e
stage=$1 release=$2 image=$3
mount --make-rprivate /
mkdir -p "$stage/htdocs" "$stage.work"
mv "$stage/htdocs" "$stage.over"
mkdir "$stage/htdocs"
mount -t overlay overlay -o "lowerdir=$release,upperdir=$stage.over,workdir=$stage.work" "$stage/htdocs"
rm -rf "$stage/htdocs/apps/updatenotification" "$stage/htdocs/updater"
exec mksquashfs "$stage" "$image" -comp lz4 -no-xattrs -all-root -noappend -no-progress -quiet
`;

/** Where packed snaps are kept between runs: LATCHKEY_SNAP_DIR, else `~/.cache/latchkey/snap`. */
export function snapsFolder(env: Readonly<Record<string, string | undefined>> = process.env): string {
  return env.LATCHKEY_SNAP_DIR ?? join(homedir(), '.cache', 'latchkey', 'snap');
}

/** A real squashfs of a release, laid out as the snap; made once for each release and kept. */
export async function snapImage(tree: NextcloudTree): Promise<string> {
  const files = snapFiles(tree.version);
  const hash = createHash('sha256')
    .update(JSON.stringify([PACK, files]))
    .digest('hex')
    .slice(0, 12);
  const folder = snapsFolder();
  const image = join(folder, `nextcloud-${tree.version}-${hash}.snap`);
  if (existsSync(image)) return image;
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) {
    if (new RegExp(`^nextcloud-${tree.version.replaceAll('.', '\\.')}-[0-9a-f]{12}\\.snap$`).test(name))
      rmSync(join(folder, name));
  }
  const base = mkdtempSync(join(tmpdir(), `latchkey-nextcloud-${process.pid}-pack-`));
  try {
    const stage = join(base, 'stage');
    for (const { path, text, mode } of files) {
      mkdirSync(dirname(join(stage, path)), { recursive: true });
      writeFileSync(join(stage, path), text);
      chmodSync(join(stage, path), mode);
    }
    const made = `${image}.${process.pid}.new`;
    await run(['unshare', '-m', 'sh', '-c', PACK, 'sh', stage, tree.folder, made], { timeoutMs: 300_000 });
    renameSync(made, image);
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
  return image;
}
