import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { run } from '../../platform/run.ts';
import type { Cleanup } from './cleanup.ts';
import { makeOpaque } from './opaque.ts';
import { findProgram } from './programs.ts';

/** One mount as `docker inspect` tells it. */
export interface HostMount {
  readonly type?: 'volume' | 'bind' | 'tmpfs';
  readonly name?: string;
  readonly source: string;
  readonly destination: string;
  readonly readOnly?: boolean;
}

export interface ContainerWish {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly env?: readonly string[];
  readonly mounts?: readonly HostMount[];
  /** `debian`: this machine's programs under files of the image's own; `busybox`: nothing but busybox; `none`: never run. */
  readonly system: 'debian' | 'busybox' | 'none';
  /** Texts and programs of the image, by path. */
  readonly files?: Readonly<Record<string, { readonly text: string; readonly mode?: number }>>;
  readonly workingDirectory?: string;
}

/** What no image inherits from the machine that the test runs on. */
const CLEARED = [
  ...['/etc/php', '/etc/nginx', '/etc/apache2', '/etc/cron.d', '/var/www', '/srv', '/var/lib/latchkey', '/usr/src'],
  ...['/var/lib/php', '/usr/local/bin', '/usr/local/etc', '/root', '/home', '/opt'],
];

/** Why no containers can be laid out here, or `null`. */
export function containerHostObstacle(): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'containers are laid out with overlays, as root';
  if (findProgram('python3') === null) return 'python3 is not installed';
  return findProgram('busybox') === null ? 'busybox is not installed' : null;
}

/**
 * A machine with containers: real root file systems, made of overlays and bind mounts in this machine's own namespace, and a
 * stand-in for `docker` that runs programs in them. A container is taken away and made anew as an engine does it: what is in
 * no mount is lost.
 */
export class ContainerHost {
  readonly base: string;
  /** To be the first in PATH. */
  readonly bin: string;
  readonly #cleanup: Cleanup;
  readonly #mounted = new Map<string, string[]>();

  constructor(cleanup: Cleanup) {
    this.base = mkdtempSync(join(realpathSync(tmpdir()), `latchkey-nextcloud-${process.pid}-`));
    chmodSync(this.base, 0o755);
    this.bin = join(this.base, 'bin');
    this.#cleanup = cleanup;
    for (const name of ['bin', 'containers', 'volumes', 'roots']) mkdirSync(join(this.base, name));
    copyFileSync(new URL('container-engine.py', import.meta.url).pathname, join(this.bin, 'docker'));
    chmodSync(join(this.bin, 'docker'), 0o755);
    cleanup.add(this.base, () => rmSync(this.base, { recursive: true, force: true }));
  }

  get path(): string {
    return `${this.bin}:${process.env.PATH ?? ''}`;
  }

  /** A folder that outlives containers. */
  volume(name: string): string {
    const folder = join(this.base, 'volumes', name, '_data');
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  /** Makes a container and has it run; answers its id. */
  async start(wish: ContainerWish): Promise<string> {
    const { name, image, command = [], env = [], mounts = [] } = wish;
    const id = randomBytes(32).toString('hex');
    const root = join(this.base, 'roots', id.slice(0, 12), 'root');
    mkdirSync(root, { recursive: true });
    if (wish.system !== 'none') {
      this.#mounted.set(name, []);
      this.#cleanup.add(name, () => this.#unmount(name));
      await this.#layRoot(wish, root);
    }
    const Mounts = mounts.map((mount) => ({
      Type: mount.type ?? (mount.name === undefined ? 'bind' : 'volume'),
      ...(mount.name === undefined ? {} : { Name: mount.name }),
      Source: mount.type === 'tmpfs' ? '' : mount.source,
      Destination: mount.destination,
      RW: mount.readOnly !== true,
    }));
    const Config = { Image: image, Env: env, Entrypoint: null, Cmd: command, WorkingDir: wish.workingDirectory ?? '/' };
    this.#write(name, { Id: id, Name: `/${name}`, State: { Status: 'running' }, Config, Mounts, Root: root });
    return id;
  }

  /** The container and all that is in no mount of it. */
  async remove(name: string): Promise<void> {
    rmSync(join(this.base, 'containers', `${name}.json`));
    await this.#unmount(name);
  }

  setStatus(name: string, status: 'running' | 'paused' | 'restarting' | 'exited'): void {
    const file = join(this.base, 'containers', `${name}.json`);
    this.#write(name, { ...(JSON.parse(readFileSync(file, 'utf8')) as object), State: { Status: status } });
  }

  /** How the engine itself is: `denied`, `down`, `silent`, or well again. */
  setMood(mood: 'denied' | 'down' | 'silent' | 'well'): void {
    const file = join(this.base, 'containers', 'mood');
    if (mood === 'well') rmSync(file, { force: true });
    else writeFileSync(file, mood);
  }

  /** Runs a program in a container as its owner would by hand; throws unless it ends with 0. */
  async exec(name: string, user: string, argv: readonly string[], input?: string): Promise<string> {
    const command = [join(this.bin, 'docker'), 'exec', '-i', '-u', user, name, ...argv];
    const options = { timeoutMs: 300_000, ...(input === undefined ? {} : { input }) };
    return (await run(command as unknown as [string, ...string[]], options)).stdout.toString('utf8');
  }

  /** Where a path of a running container is on this machine. */
  pathIn(name: string, path: string): string {
    const file = join(this.base, 'containers', `${name}.json`);
    return join((JSON.parse(readFileSync(file, 'utf8')) as { Root: string }).Root, path);
  }

  #write(name: string, container: object): void {
    writeFileSync(join(this.base, 'containers', `${name}.json`), JSON.stringify(container));
  }

  async #layRoot({ name, system, files = {}, mounts = [] }: ContainerWish, root: string): Promise<void> {
    const [upper, work] = ['upper', 'work'].map((part) => join(dirname(root), part)) as [string, string];
    const into = system === 'debian' ? upper : root;
    if (system === 'debian') {
      mkdirSync(upper);
      mkdirSync(work);
      for (const path of CLEARED) hide(join(upper, path));
      for (const path of ['/tmp', '/run']) mkdirSync(join(upper, path), { recursive: true });
    } else layBusybox(root);
    for (const [path, { text, mode }] of Object.entries(files)) {
      mkdirSync(dirname(join(into, path)), { recursive: true });
      writeFileSync(join(into, path), text);
      chmodSync(join(into, path), mode ?? 0o644);
    }
    if (system === 'debian') {
      await this.#mount(name, root, ['-t', 'overlay', 'overlay', '-o', `lowerdir=/,upperdir=${upper},workdir=${work}`]);
      for (const path of ['tmp', 'run']) {
        const own = join(dirname(root), path);
        mkdirSync(own);
        chmodSync(own, path === 'tmp' ? 0o1777 : 0o755);
        await this.#mount(name, join(root, path), ['--bind', own]);
      }
    }
    for (const path of ['proc', 'dev']) await this.#mount(name, join(root, path), ['--bind', `/${path}`]);
    for (const { type, source, destination, readOnly } of mounts) {
      const place = join(root, destination);
      mkdirSync(place, { recursive: true });
      await this.#mount(name, place, type === 'tmpfs' ? ['-t', 'tmpfs', 'tmpfs'] : ['--bind', source]);
      if (readOnly === true) await run(['mount', '-o', 'remount,bind,ro', place], { timeoutMs: 10_000 });
    }
  }

  async #mount(name: string, place: string, words: readonly string[]): Promise<void> {
    await run(['mount', ...words, place], { timeoutMs: 10_000 });
    this.#mounted.get(name)?.push(place);
  }

  async #unmount(name: string): Promise<void> {
    for (const place of (this.#mounted.get(name) ?? []).reverse()) {
      await run(['umount', '-l', place], { timeoutMs: 10_000, allowExit: 'any' });
    }
    this.#mounted.delete(name);
  }
}

function hide(folder: string): void {
  mkdirSync(folder, { recursive: true });
  makeOpaque([folder]);
}

/** As little as alpine has: every tool is busybox, and there is no runuser. */
function layBusybox(root: string): void {
  const busybox = findProgram('busybox') ?? '';
  for (const folder of ['bin', 'etc', 'proc', 'dev', 'tmp']) mkdirSync(join(root, folder), { recursive: true });
  const needs = execFileSync('ldd', [busybox], { encoding: 'utf8' }).matchAll(/(\/\S+\.so\S*) \(/g);
  for (const library of [...needs].map((match) => match[1] ?? '').filter(existsSync)) {
    mkdirSync(dirname(join(root, library)), { recursive: true });
    copyFileSync(library, join(root, library));
  }
  copyFileSync(busybox, join(root, 'bin/busybox'));
  for (const name of execFileSync(busybox, ['--list'], { encoding: 'utf8' }).trim().split('\n')) {
    if (name !== 'busybox') symlinkSync('busybox', join(root, 'bin', name));
  }
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/:/bin/sh\n');
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\nwww-data:x:33:\n');
}
