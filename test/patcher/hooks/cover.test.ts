import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { type CoverPlan, coverFilesFor, coverFolder, coverUnits } from '../../../patcher/hooks/core-cover.ts';
import { run } from '../../../platform/run.ts';
import { hasProgram } from '../../harness/programs.ts';

const SCRIPT = join(import.meta.dirname, '../../../patcher/hooks/cover.sh');
const FILE = 'ht docs/lib/private/Server.php';

test.runIf(hasProgram('shellcheck'))('shellcheck finds nothing in the script', async () => {
  const { stdout } = await run(['shellcheck', '--shell=sh', SCRIPT], { timeoutMs: 20_000, allowExit: 'any' });
  expect(stdout.toString('utf8')).toBe('');
});

let base = '';

/** Runs commands in a mount namespace of their own, with two revisions mounted from squashfs and `current` on the first. */
function inNamespace(commands: string): { lines: string[]; stderr: string } {
  const script = `set -u
cd ${base}
mount --make-rprivate /
for n in 1 2; do mount -t squashfs -o loop,ro $n.squashfs snap/$n; done
ln -sfn 1 snap/current
rm -rf core; mkdir core; cp cover.sh core/cover.sh; cp copy core/copy; sha512sum <'tree1/${FILE}' | cut -d' ' -f1 >core/original.sha512
cover() { sh core/cover.sh cover ${base}/core "${base}/snap/current/${FILE}"; echo "cover $?"; }
uncover() { sh core/cover.sh uncover ${base}/core "${base}/snap/current/${FILE}"; echo "uncover $?"; }
show() { echo "$1: $(cat "snap/$1/${FILE}")"; }
mounts() { echo "mounts $(grep -c 'Server.php' /proc/self/mountinfo)"; }
${commands}`;
  const done = spawnSync('unshare', ['-m', 'sh', '-c', script], { encoding: 'utf8' });
  return { lines: done.stdout.trimEnd().split('\n'), stderr: done.stderr };
}

beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), 'lk-cover-'));
  for (const n of [1, 2]) {
    mkdirSync(join(base, `tree${n}`, FILE, '..'), { recursive: true });
    mkdirSync(join(base, `snap/${n}`), { recursive: true });
    writeFileSync(join(base, `tree${n}`, FILE), `original ${n}`);
    const image = [join(base, `tree${n}`), join(base, `${n}.squashfs`), '-quiet', '-no-progress'];
    if (hasProgram('mksquashfs')) spawnSync('mksquashfs', image, { stdio: 'ignore' });
  }
  writeFileSync(join(base, 'copy'), 'original 1, changed');
  cpSync(SCRIPT, join(base, 'cover.sh'));
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

function canMount(): boolean {
  if (process.getuid?.() !== 0 || !hasProgram('mksquashfs') || !hasProgram('unshare')) return false;
  const probe = 'modprobe squashfs 2>/dev/null; grep -q squashfs /proc/filesystems && [ -e /dev/loop-control ]';
  return spawnSync('unshare', ['-m', 'sh', '-c', probe]).status === 0;
}

describe.runIf(canMount())('the script, over real squashfs', () => {
  it('refuses a file that the copy was not made from, and leaves it as it is', () => {
    const { lines, stderr } = inNamespace('ln -sfn 2 snap/current; cover; show 2; mounts');
    expect(lines).toEqual(['cover 1', '2: original 2', 'mounts 0']);
    expect(stderr).toContain('run: ncpatch apply');
  });

  it('refuses where the hash of the original is not known', () => {
    for (const spoil of ['rm core/original.sha512', ': >core/original.sha512']) {
      expect(inNamespace(`${spoil}; cover; show 1; mounts`).lines).toEqual(['cover 1', '1: original 1', 'mounts 0']);
    }
  });

  it('refuses a path that leads nowhere, and an order it does not know', () => {
    const { lines } = inNamespace('rm snap/current; cover; sh core/cover.sh other a b; echo $?; mounts');
    expect(lines).toEqual(['cover 1', '2', 'mounts 0']);
  });

  it('shows the copy in place of the original, and nobody can write it', () => {
    const write = `(echo x >>"snap/1/${FILE}") 2>/dev/null; echo "write $?"`;
    expect(inNamespace(`cover; show current; show 1; show 2; mounts; ${write}`).lines).toEqual([
      'cover 0',
      'current: original 1, changed',
      '1: original 1, changed',
      '2: original 2',
      'mounts 1',
      'write 2',
    ]);
  });

  it('mounts once, however often it runs', () => {
    expect(inNamespace('cover; cover; cover; mounts').lines).toEqual(['cover 0', 'cover 0', 'cover 0', 'mounts 1']);
  });

  it('leaves a revision that is not current any more, so that it can be unmounted', () => {
    const { lines } = inNamespace(
      'cover; ln -sfn 2 snap/current; cover; show 1; show 2; mounts; umount snap/1; echo $?',
    );
    expect(lines).toEqual(['cover 0', 'cover 1', '1: original 1', '2: original 2', 'mounts 0', '0']);
  });

  it('comes back when the revision does', () => {
    const { lines } = inNamespace(
      'cover; ln -sfn 2 snap/current; cover; ln -sfn 1 snap/current; cover; show current; mounts',
    );
    expect(lines).toEqual(['cover 0', 'cover 1', 'cover 0', 'current: original 1, changed', 'mounts 1']);
  });

  it('covers a new revision whose file is the same', () => {
    const same = 'umount snap/2; mount -t squashfs -o loop,ro 1.squashfs snap/2; ln -sfn 2 snap/current';
    expect(inNamespace(`cover; ${same}; cover; show 1; show 2; mounts`).lines).toEqual([
      'cover 0',
      'cover 0',
      '1: original 1',
      '2: original 1, changed',
      'mounts 1',
    ]);
  });

  it('takes a newer copy', () => {
    expect(inNamespace('cover; echo newer >new; mv new core/copy; cover; show current; mounts').lines).toEqual([
      'cover 0',
      'cover 0',
      'current: newer',
      'mounts 1',
    ]);
  });

  it('is undone without a trace, also while a program has the file open', () => {
    const open = `exec 9<"snap/1/${FILE}"`;
    expect(inNamespace(`cover; ${open}; uncover; show 1; mounts; ls core; uncover`).lines).toEqual([
      'cover 0',
      'uncover 0',
      '1: original 1',
      'mounts 0',
      'copy',
      'cover.sh',
      'original.sha512',
      'uncover 0',
    ]);
  });
});

const plan: CoverPlan = {
  instanceId: 'oc1234567890',
  path: '/snap/nextcloud/current/htdocs/lib/private/Server.php',
  before: ['snap.nextcloud.apache.service', 'snap.nextcloud.php-fpm.service'],
  signed: createHash('sha512').update('').digest('hex'),
  script: '#!/bin/sh\n',
};

describe('coverFilesFor()', () => {
  it('orders the services of the snap after the mount, and follows the link to the current revision', () => {
    const texts = Object.values(coverFilesFor(plan)).join('');
    expect(texts).toContain('Before=umount.target snap.nextcloud.apache.service snap.nextcloud.php-fpm.service\n');
    expect(texts).toContain('PathChanged=/snap/nextcloud/current\n');
    expect(texts).toContain(`${plan.signed}\n`);
  });

  it('watches the file itself where there is no such link', () => {
    const files = coverFilesFor({ ...plan, path: '/srv/a b/lib/private/Server.php' });
    expect(Object.values(files).join('')).toContain('PathChanged=/srv/a b/lib/private/Server.php\n');
  });

  it.runIf(hasProgram('systemd-analyze'))('makes units that systemd takes', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lk-units-'));
    try {
      const files = Object.entries(coverFilesFor({ ...plan, path: '/srv/50% $HOME "a"/Server.php' }));
      const units = files.filter(([path]) => path.startsWith('/etc/systemd/system/'));
      expect(units).toHaveLength(3);
      const paths = units.map(([path, text]) => {
        const file = join(folder, path.slice(path.lastIndexOf('/') + 1));
        writeFileSync(file, text);
        return file;
      });
      const { exit, stderr } = await run(['systemd-analyze', 'verify', '--man=no', ...paths], {
        timeoutMs: 30_000,
        allowExit: 'any',
      });
      expect({ exit, ours: stderr.split('\n').filter((line) => line.includes('latchkey')) }).toEqual({
        exit: 0,
        ours: [],
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('names units after the instance', () => {
    expect(coverUnits('oc1')).toEqual(['latchkey-core-oc1.service', 'latchkey-core-oc1.path']);
    expect(coverFolder('oc1')).toBe('/var/lib/latchkey/core-oc1');
  });
});
