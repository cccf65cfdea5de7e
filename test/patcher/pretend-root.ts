import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { makeOpaque } from '../harness/opaque.ts';

/** A program, a text or a link at an absolute path of the pretended machine. */
export type Placed =
  | { readonly text: string; readonly mode?: number; readonly uid?: number }
  | { readonly link: string };

/** What no pretended machine should inherit from the one the test runs on. */
const CLEARED = [
  '/etc/php',
  '/etc/nginx',
  '/etc/apache2',
  '/etc/httpd',
  '/var/www',
  '/srv/www',
  '/var/lib/latchkey',
  '/etc/cron.d',
];

/** Shown there at its own place, wherever it lies: on another file system, or below /tmp. */
const project = resolve(import.meta.dirname, '..', '..');

const SCRIPT = `set -e
root=$1; upper=$2; project=$3; shift 3
mount --make-rprivate /
mount -t overlay overlay -o lowerdir=/,upperdir=$upper/up,workdir=$upper/work $root
mkdir -p $root/proc $root/dev $root/tmp
mount --bind /proc $root/proc
mount --bind /dev $root/dev
mount -t tmpfs tmpfs $root/tmp
mkdir -p "$root$project"
mount --bind "$project" "$root$project"
exec chroot $root "$@"
`;

/** True where mount namespaces and overlays can be made, which takes root. */
export function canPretend(): boolean {
  if (process.getuid?.() !== 0) return false;
  const folder = mkdtempSync(join(tmpdir(), 'lk-can-'));
  try {
    return new PretendRoot(folder, {}).run(['/bin/true']).exit === 0;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * This machine's files with others laid over them, in a mount namespace of its own: what runs in it sees a server of
 * another distribution, and nothing it does reaches the real one.
 */
export class PretendRoot {
  readonly #folder: string;

  constructor(folder: string, files: Readonly<Record<string, Placed>>) {
    this.#folder = folder;
    for (const name of ['root', 'layer/up', 'layer/work']) mkdirSync(join(folder, name), { recursive: true });
    for (const path of CLEARED) mkdirSync(this.#upper(path), { recursive: true });
    makeOpaque(CLEARED.map((path) => this.#upper(path)));
    for (const [path, placed] of Object.entries(files)) this.#place(path, placed);
  }

  run(argv: readonly [string, ...string[]]): { exit: number; stdout: string; stderr: string } {
    const { root, layer } = { root: join(this.#folder, 'root'), layer: join(this.#folder, 'layer') };
    const command = ['-m', 'sh', '-c', SCRIPT, 'sh', root, layer, project, ...argv];
    const done = spawnSync('unshare', command, { encoding: 'utf8' });
    return { exit: done.status ?? 128, stdout: done.stdout, stderr: done.stderr };
  }

  #upper(path: string): string {
    return join(this.#folder, 'layer/up', path);
  }

  #place(path: string, placed: Placed): void {
    const upper = this.#upper(path);
    mkdirSync(dirname(upper), { recursive: true });
    if ('link' in placed) {
      execFileSync('ln', ['-sfn', placed.link, upper]);
      return;
    }
    writeFileSync(upper, placed.text);
    chmodSync(upper, placed.mode ?? 0o644);
    chownSync(upper, placed.uid ?? 0, placed.uid ?? 0);
  }
}
