import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { LatchkeyError } from '../../platform/errors.ts';
import { type RunResult, run } from '../../platform/run.ts';
import { type Argv, BackgroundProcess } from './background-process.ts';
import type { Cleanup } from './cleanup.ts';
import { freePort } from './free-port.ts';
import type { HttpAddress } from './http-client.ts';
import type { NextcloudTree } from './nextcloud-tree.ts';
import { makeOpaque } from './opaque.ts';
import { loopback, type Place } from './place.ts';
import { hasProgram } from './programs.ts';
import { mayBeQuick, quickPhpFiles, scanDirectory } from './quick-php.ts';
import { SNAP_COMMAND } from './snap-command.ts';
import { snapImage } from './snap-image.ts';

const project = resolve(import.meta.dirname, '..', '..');

/** This machine's files below others of the test's own, with empty /run and /tmp; it ends with its standard input. */
const HOLD = `set -e
base=$1 project=$2
root=$base/root
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=/,upperdir=$base/layer/up,workdir=$base/layer/work" "$root"
mount --bind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root$project" "$root$base/shared" "$root/var/lib/snapd/snaps"
mount --bind "$project" "$root$project"
mount --bind "$base/shared" "$root$base/shared"
shift 2
while [ $# -gt 0 ]; do
  : >"$root/var/lib/snapd/snaps/nextcloud_$1.snap"
  mount --bind "$2" "$root/var/lib/snapd/snaps/nextcloud_$1.snap"
  shift 2
done
exec chroot "$root" /bin/sh -c 'echo ready; exec cat >/dev/null'
`;

/** What of this machine a server with nothing but the snap does not have. */
const HIDDEN = ['/etc/nginx', '/etc/apache2', '/etc/httpd', '/etc/cron.d', '/var/www', '/srv/www', '/var/lib/latchkey'];
/** Settings of the test's own for PHP, beside those of the snap. */
const QUICK_PHP = '/usr/share/quick-php';

/** Why there can be no such machine here, or `null`. */
export function snapObstacle(): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'mount namespaces need root on Linux';
  const missing = ['unshare', 'nsenter', 'mksquashfs', 'php', 'mountpoint'].filter((name) => !hasProgram(name));
  if (missing.length > 0) return `${missing.join(', ')} not installed`;
  try {
    const probe = 'modprobe squashfs 2>/dev/null; grep -q squashfs /proc/filesystems && [ -e /dev/loop-control ]';
    execFileSync('sh', ['-c', probe], { stdio: 'ignore' });
    return null;
  } catch {
    return 'this kernel mounts no squashfs images';
  }
}

export interface SnapRelease {
  readonly revision: string;
  readonly tree: NextcloudTree;
}

/**
 * A server with the snap of Nextcloud, in a mount namespace of its own: real squashfs images of real releases at their
 * real places, and a stand-in for snapd. Nothing of it reaches this machine, and it is gone with this process.
 */
export class SnapMachine implements Place {
  readonly address: string;
  /** Seen under the same path inside and outside. */
  readonly shared: string;
  readonly #holder: ChildProcess;
  readonly #network: Place;
  readonly #cleanup: Cleanup;
  #web: BackgroundProcess | null = null;
  #http: HttpAddress | null = null;

  private constructor(base: string, holder: ChildProcess, network: Place, cleanup: Cleanup) {
    this.shared = join(base, 'shared');
    this.address = network.address;
    this.#holder = holder;
    this.#network = network;
    this.#cleanup = cleanup;
  }

  /** The first release is installed; the others are what refreshes bring. */
  static async start(
    releases: readonly SnapRelease[],
    options: { readonly cleanup: Cleanup; readonly network?: Place },
  ): Promise<SnapMachine> {
    const { cleanup, network = loopback } = options;
    const base = mkdtempSync(join(tmpdir(), `latchkey-nextcloud-${process.pid}-snap-`));
    cleanup.add(base, () => rmSync(base, { recursive: true, force: true }));
    const upper = (path: string): string => join(base, 'layer/up', path);
    for (const name of ['root', 'shared', 'layer/up', 'layer/work']) mkdirSync(join(base, name), { recursive: true });
    for (const path of HIDDEN) mkdirSync(upper(path), { recursive: true });
    makeOpaque(HIDDEN.map(upper));
    const [first] = releases;
    if (first === undefined) throw new TypeError('a machine needs a release');
    const place = (path: string, text: string, mode = 0o644): void => {
      mkdirSync(dirname(upper(path)), { recursive: true });
      writeFileSync(upper(path), text);
      chmodSync(upper(path), mode);
    };
    place('/usr/bin/snap', SNAP_COMMAND, 0o755);
    for (const [name, text] of Object.entries(quickPhpFiles(QUICK_PHP))) place(join(QUICK_PHP, name), text);
    const lines = releases.map(({ revision, tree }) => `${revision} ${tree.version}snap1\n`);
    place('/var/lib/snapd/stand-in/revisions', lines.join(''));
    const images: string[] = [];
    for (const { revision, tree } of releases) images.push(revision, await snapImage(tree));
    const holder = await hold(base, images);
    cleanup.add('the machine with the snap', () => ended(holder));
    const machine = new SnapMachine(base, holder, network, cleanup);
    await machine.command(['snap', 'install', first.revision]);
    return machine;
  }

  inside(argv: Argv): Argv {
    const pid = this.#holder.pid;
    const enter = ['nsenter', `--mount=/proc/${pid}/ns/mnt`, `--root=/proc/${pid}/root`, '--'] as const;
    const quick = mayBeQuick() ? ['env', `PHP_INI_SCAN_DIR=${scanDirectory(QUICK_PHP)}`] : [];
    return this.#network.inside([...enter, 'sh', '-c', 'cd / && exec "$@"', 'sh', ...quick, ...argv]);
  }

  /** Runs a program as root of the machine; all exit codes but 0 throw unless `anyExit`. */
  async command(
    argv: Argv,
    options: { readonly input?: string; readonly anyExit?: boolean; readonly env?: Record<string, string> } = {},
  ): Promise<{ readonly exit: number; readonly stdout: string; readonly stderr: string }> {
    const result: RunResult = await run(this.inside(argv), {
      timeoutMs: 180_000,
      allowExit: 'any',
      ...(options.input === undefined ? {} : { input: options.input }),
      ...(options.env === undefined ? {} : { env: options.env }),
    });
    const answer = { exit: result.exit, stdout: result.stdout.toString('utf8'), stderr: result.stderr };
    if (answer.exit === 0 || options.anyExit === true) return answer;
    throw new LatchkeyError('command_failed', `${argv.slice(0, 4).join(' ')} ended with exit code ${answer.exit}`, {
      extra: { said: `${answer.stdout}\n${answer.stderr}`.trim().slice(-2000) },
    });
  }

  async occ(
    argv: readonly string[],
    options: { input?: string; anyExit?: boolean; env?: Record<string, string> } = {},
  ) {
    const answer = await this.command(['snap', 'run', 'nextcloud.occ', '--no-ansi', ...argv], options);
    return { ...answer, stdout: answer.stdout.trim() };
  }

  /** Tells the stand-in for snapd something, or takes it back. */
  tell(name: 'notes' | 'hold' | 'refresh-at', text: string | null): Promise<unknown> {
    const path = `/var/lib/snapd/stand-in/${name}`;
    return text === null ? this.command(['rm', '-f', path]) : this.command(['tee', path], { input: text });
  }

  async read(path: string): Promise<string> {
    return (await this.command(['cat', path])).stdout;
  }

  /** Whether something is there; `path` may be a pattern of the shell. */
  async has(path: string): Promise<boolean> {
    return (await this.command(['sh', '-c', `set -- ${path}; [ -e "$1" ]`], { anyExit: true })).exit === 0;
  }

  get web(): HttpAddress {
    if (this.#http === null) throw new Error('the snap is not being served');
    return this.#http;
  }

  /** PHP's own server, as root and confined as the snap's FPM is, from the squashfs. */
  async serve(): Promise<void> {
    await this.stopServing();
    const port = await freePort();
    const serve = `. "$SNAP/utilities/nextcloud-utilities"; cd "$SNAP/htdocs"; exec run-php -S ${this.address}:${port} -t .`;
    const web = await BackgroundProcess.start(this.inside(['snap', 'run', '--shell', 'nextcloud.occ', '-c', serve]), {
      readyWhen: /Development Server .* started/,
    });
    this.#web = web;
    this.#cleanup.add('the web server of the snap', () => web.stop());
    this.#http = { host: this.address, port };
  }

  async stopServing(): Promise<void> {
    await this.#web?.stop();
    this.#web = null;
    this.#http = null;
  }
}

function hold(base: string, images: readonly string[]): Promise<ChildProcess> {
  const argv = ['-m', 'sh', '-c', HOLD, 'sh', base, project, ...images];
  const holder = spawn('unshare', argv, { stdio: ['pipe', 'pipe', 'pipe'] });
  return new Promise((done, fail) => {
    let said = '';
    holder.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString('utf8');
    });
    holder.once('exit', () => fail(new Error(`the machine did not start: ${said}`)));
    holder.once('error', fail);
    holder.stdout.once('data', () => done(holder));
  });
}

function ended(holder: ChildProcess): Promise<void> {
  if (holder.exitCode !== null || holder.signalCode !== null) return Promise.resolve();
  return new Promise((done) => {
    holder.once('exit', () => done());
    holder.stdin?.end();
  });
}
