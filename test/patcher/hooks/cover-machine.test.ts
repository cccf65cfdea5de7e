import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { listTrees } from '../../harness/nextcloud-tree.ts';
import { hasProgram } from '../../harness/programs.ts';
import { snapObstacle } from '../../harness/snap-machine.ts';
import { canPretend, PretendRoot } from '../pretend-root.ts';

const NODE = new URL('../../../node_modules/.bin/node', import.meta.url).pathname;
const INSIDE = join(import.meta.dirname, 'cover-machine.ts');
const SIGNED = ['lib/private/Server.php', 'core/signature.json', 'resources/codesigning/root.crt', 'version.php'];

/** Stand-in for systemd's: runs what the unit says, and remembers what is on. */
const SYSTEMCTL = `#!/bin/sh
state=/run/stand-in; mkdir -p $state
[ "$1" = --no-ask-password ] && shift
order=$1; shift
for last in "$@"; do unit=$last; done
file=/etc/systemd/system/$unit
command() { sed -n "s/^$1=//p" "$file"; }
case $order in
is-enabled | is-active) [ -e "$state/$unit" ] ;;
enable | start)
	[ -e "$state/$unit" ] && exit 0
	case $unit in *.service) sh -c "$(command ExecStart)" || exit 1 ;; esac
	: >"$state/$unit" ;;
disable | stop)
	[ -e "$state/$unit" ] || exit 0
	case $unit in *.service) sh -c "$(command ExecStop)" || exit 1 ;; esac
	rm "$state/$unit" ;;
daemon-reload) ;;
*) exit 64 ;;
esac
`;

const MOUNT = `set -e
mkdir -p /run && mount -t tmpfs tmpfs /run
for n in 1 2; do mkdir -p /snap/nextcloud/$n; mount -t squashfs -o loop,ro /images/$n /snap/nextcloud/$n; done
ln -sfn 1 /snap/nextcloud/current
exec "$@"
`;

const [tree, ...others] = listTrees();
const newer = others.at(-1) ?? tree;
const reason = tree === undefined ? 'no release' : (snapObstacle() ?? (canPretend() ? null : 'no mount namespaces'));

describe('the hook core on a file system that cannot be written', () => {
  it.skipIf(reason !== null || newer === undefined || !hasProgram('php'))(
    'is mounted over it, undone, follows a new revision, and is taken away without a trace',
    { timeout: 300_000 },
    () => {
      const folder = mkdtempSync(join(tmpdir(), 'lk-machine-'));
      try {
        const machine = new PretendRoot(folder, {
          '/usr/bin/systemctl': { text: SYSTEMCTL, mode: 0o755 },
          '/etc/systemd/system/snap.nextcloud.apache.service': { text: '[Service]\nExecStart=/bin/true\n' },
        });
        mkdirSync(join(folder, 'layer/up/images'));
        mkdirSync(join(folder, 'layer/up/var/lib/latchkey'), { recursive: true });
        for (const [n, release] of [tree, newer].entries()) {
          const stage = join(folder, `stage${n}`);
          for (const name of SIGNED) {
            mkdirSync(dirname(join(stage, 'htdocs', name)), { recursive: true });
            cpSync(join(release?.folder ?? '', name), join(stage, 'htdocs', name));
          }
          const image = join(folder, 'layer/up/images', String(n + 1));
          expect(spawnSync('mksquashfs', [stage, image, '-quiet', '-no-progress']).status).toBe(0);
        }
        const { exit, stdout, stderr } = machine.run(['/bin/sh', '-c', MOUNT, 'sh', NODE, INSIDE]);
        expect({ exit, stderr }).toEqual({ exit: 0, stderr: expect.not.stringContaining('Error') });
        const came = JSON.parse(stdout) as { original: string } & Record<string, unknown>;
        const hooked = { state: 'patched', again: 0 };
        expect(came).toMatchObject({
          before: { state: 'stock', kinds: ['cover_core'], blocks: [] },
          afterRollback: { same: true, traces: [] },
          covered: hooked,
          php: 0,
          refreshed: { exit: 1, state: 'stock', first: came.original },
          coveredAgain: hooked,
          removed: { traces: [], state: 'stock', gone: true },
        });
        expect(came.rolledBack).toBe((came.done as string[]).length);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );
});
