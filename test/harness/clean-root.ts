import { chmodSync, copyFileSync, existsSync, linkSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type RunResult, run } from '../../platform/run.ts';
import type { Argv } from './background-process.ts';
import { findProgram } from './programs.ts';

/** Why no root of another system can be entered here, or `null`. */
export function cleanRootObstacle(): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'only root on Linux enters another root';
  const missing = ['busybox', 'unshare', 'chroot', 'useradd'].find((name) => findProgram(name) === null);
  return missing === undefined ? null : `${missing} is not installed`;
}

/** Programs of this machine that busybox has no like of: how Debian makes accounts. */
const ACCOUNT_PROGRAMS = ['useradd', 'userdel', 'groupdel'];
const FOLDERS = [
  'bin',
  'dev',
  'etc',
  'opt',
  'proc',
  'root',
  'run',
  'tmp',
  'usr/bin',
  'usr/local/bin',
  'usr/sbin',
  'var/lib',
  'var/run',
];

/** The smallest system there is: busybox, the libraries that Node wants, root alone in its lists; Node, where it is given. */
export async function busyboxRoot(root: string, node: string | null): Promise<void> {
  for (const folder of FOLDERS) mkdirSync(join(root, folder), { recursive: true });
  chmodSync(root, 0o755);
  chmodSync(join(root, 'tmp'), 0o1777);
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\n');
  copyFileSync(findProgram('busybox') as string, join(root, 'bin/busybox'));
  await addLibraries(root, [findProgram('busybox') as string, process.execPath]);
  await inRoot(root, ['/bin/busybox', '--install', '-s', '/bin']);
  await addPrograms(root, ACCOUNT_PROGRAMS);
  if (node !== null) placeNode(node, join(root, 'usr/bin/node'));
}

/** Programs of this machine, with their libraries. */
export async function addPrograms(root: string, names: readonly string[]): Promise<void> {
  const programs = names.map((name) => findProgram(name) ?? name);
  for (const program of programs) copyFileSync(program, join(root, 'usr/bin', basename(program)));
  await addLibraries(root, programs);
}

async function addLibraries(root: string, programs: readonly string[]): Promise<void> {
  for (const library of (await Promise.all(programs.map(librariesOf))).flat()) {
    mkdirSync(dirname(join(root, library)), { recursive: true });
    if (!existsSync(join(root, library))) copyFileSync(library, join(root, library));
  }
}

/** A hundred megabytes are not copied where a name is enough. */
export function placeNode(node: string, place: string): void {
  try {
    linkSync(node, place);
  } catch {
    copyFileSync(node, place); // another file system
  }
}

async function librariesOf(program: string): Promise<string[]> {
  const { stdout } = await run(['ldd', program], { timeoutMs: 10_000 });
  return [...stdout.toString('utf8').matchAll(/(?:=> |^\s+)(\/\S+) \(/gm)].map((match) => match[1] as string);
}

/** The command line that runs a command in another root, with this machine's devices and processes; mounts end with it. */
export function rootArgv(root: string, argv: Argv, account = 'root'): Argv {
  const mounts = 'mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc"';
  // what this project's own launcher has told this process is of another root
  const own = 'unset NODE_COMPILE_CACHE NODE_OPTIONS';
  const enter = `${mounts} && ${own} && account=$1 && shift && exec chroot --userspec="$account" "$0" "$@"`;
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', enter, root, account, ...argv];
}

/** What of a command's surroundings is there too. */
export const ROOT_ENV = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  TMPDIR: '/tmp',
  NODE_EXTRA_CA_CERTS: '',
};

/** Runs a command in another root; any exit is an answer. */
export function inRoot(
  root: string,
  argv: Argv,
  env: Readonly<Record<string, string>> = {},
  account = 'root',
): Promise<RunResult> {
  const options = { timeoutMs: 120_000, allowExit: 'any', env: { ...ROOT_ENV, ...env } } as const;
  return run(rootArgv(root, argv, account), options);
}

/** Every path there, sorted; links are not followed, and devices, processes and temporary files are not its own. */
export function pathsIn(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .filter((path) => !/^(dev|proc|tmp)\//.test(path))
    .sort();
}
