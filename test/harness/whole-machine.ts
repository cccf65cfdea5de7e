import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type RunResult, run } from '../../platform/run.ts';
import { type Argv, BackgroundProcess } from './background-process.ts';
import type { Cleanup } from './cleanup.ts';
import { type Machine, machinesObstacle } from './hub-network.ts';
import type { Place } from './place.ts';
import { hasProgram } from './programs.ts';
import { ABSENT, BOOT, PATH, REPLACED } from './whole-machine-boot.ts';

/** Where control groups of the second kind are on this system, alone or beside those of the first, or `null`. */
function groups(): string | null {
  return (
    ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'].find((folder) => existsSync(join(folder, 'cgroup.procs'))) ?? null
  );
}

const ACCOUNTS = ['passwd', 'group', 'shadow', 'gshadow', 'subuid', 'subgid'].map((name) => `/etc/${name}`);
const SYSTEMD = ['/usr/lib/systemd/systemd', '/lib/systemd/systemd'];

/** Why no machine with an init of its own can be booted here, or `null`. */
export function wholeMachineObstacle(): string | null {
  const missing = ['setpriv', 'unshare', 'nsenter', 'pivot_root', 'systemctl', 'nft', 'sshd', 'wg-quick'].filter(
    (name) => !hasProgram(name),
  );
  if (missing.length > 0) return `${missing.join(', ')} not installed`;
  if (!SYSTEMD.some((path) => existsSync(path))) return 'systemd is not installed';
  return machinesObstacle() ?? (groups() === null ? 'control groups of the second kind are not mounted' : null);
}

/** The wire of a machine to another, which is its router. */
export interface Wire {
  readonly to: Machine;
  /** Its name at the other end. */
  readonly name: string;
  /** With a prefix, as `192.0.2.2/24`. */
  readonly address: string;
  /** Of the other end, in the same network; where everything else goes. */
  readonly gateway: string;
}

/** Folders that a machine has beside its disk: a layer over one of this system's, which the machine may change for itself. */
export interface Layer {
  readonly at: string;
  readonly over: string;
}

export interface CommandOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly onStderr?: (chunk: Buffer) => void;
}

/**
 * A machine with a real systemd as its first process, on network, processes, mounts and name of its own. Its disk is this system's with
 * what the machine has changed over it; that is kept in a folder, so that it is there again after its power was cut.
 */
export class WholeMachine implements Place {
  readonly name: string;
  readonly wire: Wire;
  readonly #disk: string;
  readonly #layers: readonly Layer[];
  readonly #group: string;
  #holder: BackgroundProcess | null = null;
  #first = 0;

  private constructor(name: string, wire: Wire, layers: readonly Layer[], disk: string) {
    this.name = name;
    this.wire = wire;
    this.#layers = layers;
    this.#disk = disk;
    this.#group = join(groups() ?? '', `latchkey-${process.pid}-${randomBytes(4).toString('hex')}`);
  }

  /** A machine that was never on: nothing but what the packages of this system bring starts on it. */
  static build(
    name: string,
    options: { readonly wire: Wire; readonly layers?: readonly Layer[]; readonly cleanup: Cleanup },
  ): WholeMachine {
    const disk = mkdtempSync(join(tmpdir(), `latchkey-life-${process.pid}-${name}-`));
    options.cleanup.add(disk, () => rmSync(disk, { recursive: true, force: true }));
    for (const folder of ['changed/etc', 'work', 'root', 'layers']) mkdirSync(join(disk, folder), { recursive: true });
    chmodSync(join(disk, 'changed'), 0o755);
    const machine = new WholeMachine(name, options.wire, options.layers ?? [], disk);
    // tests beside this one make accounts on this system
    for (const file of ACCOUNTS.filter((path) => existsSync(path))) {
      const own = join(disk, 'changed', file);
      cpSync(file, own);
      chownSync(own, 0, statSync(file).gid);
    }
    const hosts = `127.0.0.1 localhost\n::1 localhost\n127.0.1.1 ${name}\n`;
    const identity = { 'machine-id': `${randomBytes(16).toString('hex')}\n`, hostname: `${name}\n`, hosts };
    for (const [file, text] of Object.entries({ ...identity, fstab: '', 'resolv.conf': '' })) {
      writeFileSync(join(disk, 'changed', 'etc', file), text);
    }
    options.cleanup.add(name, () => machine.cutPower());
    return machine;
  }

  /** Id, on this system, of its first process. */
  get pid(): number {
    if (this.#first === 0) throw new Error(`${this.name} has no power`);
    return this.#first;
  }

  /** Without the prefix. */
  get address(): string {
    return this.wire.address.replace(/\/.*/, '');
  }

  get isOn(): boolean {
    return this.#holder?.isRunning() === true;
  }

  /** Power on, until everything that starts at boot was started, well or not. */
  async boot(): Promise<void> {
    if (this.isOn) throw new Error(`${this.name} has power`);
    this.#removeGroups();
    mkdirSync(this.#group);
    rmSync(join(this.#disk, 'go'), { force: true });
    const layers = this.#layers.flatMap(({ at, over }) => [at, over]);
    const own = ['--pid', '--mount', '--net', '--uts', '--ipc', '--propagation', 'private'];
    const words = [this.#disk, this.#group, this.name, REPLACED.join(' '), ABSENT.join(' '), ...layers];
    const holder = await BackgroundProcess.start(
      [
        'setpriv',
        '--pdeathsig=KILL',
        'unshare',
        '--fork',
        '--kill-child',
        ...own,
        'bash',
        '-c',
        BOOT,
        'boot',
        ...words,
      ],
      { readyWhen: /^mounted$/m },
    );
    this.#holder = holder;
    this.#first = Number(readFileSync(`/proc/${holder.pid}/task/${holder.pid}/children`, 'utf8').trim());
    await this.#plugIn();
    writeFileSync(join(this.#disk, 'go'), '');
    const state = await run(this.#enter(['sh', '-c', UP]), { timeoutMs: 90_000, allowExit: 'any' });
    const said = state.stdout.toString('utf8').trim();
    if (!/^(running|degraded)$/.test(said)) {
      throw new Error(`${this.name} did not come up: ${said} ${state.stderr} ${holder.output()}`);
    }
  }

  async #plugIn(): Promise<void> {
    const { to, name, address, gateway } = this.wire;
    const prefix = address.replace(/^[^/]*/, '');
    const far = [
      // the system takes its time with the wire of a machine that lost its power
      `ip link delete ${name} 2>/dev/null`,
      `ip link add ${name} type veth peer name eth0 netns ${this.pid} && ip link set ${name} up`,
    ];
    await to.run('sh', '-c', `${far.join('; ')} && ip address add ${gateway}${prefix} dev ${name}`);
    const near = `ip link set lo up && ip link set eth0 up && ip address add ${address} dev eth0 && ip route add default via ${gateway}`;
    await run(['nsenter', `--target=${this.pid}`, '--net', 'sh', '-c', near], { timeoutMs: 20_000 });
  }

  /** Every process of it is gone at once, and what was not on disk with them. */
  async cutPower(): Promise<void> {
    if (this.#holder === null) return;
    if (this.isOn) process.kill(this.#first, 'SIGKILL');
    await this.#holder.stop();
    this.#holder = null;
    this.#first = 0;
    this.#removeGroups();
  }

  #removeGroups(): void {
    if (!existsSync(this.#group)) return;
    const below = (folder: string): string[] =>
      readdirSync(folder, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .flatMap((entry) => [...below(join(folder, entry.name)), join(folder, entry.name)]);
    for (const folder of [...below(this.#group), this.#group]) rmdirSync(folder);
  }

  #enter(argv: Argv): Argv {
    return [
      ...(['nsenter', `--target=${this.pid}`] as const),
      ...['--mount', '--net', '--uts', '--ipc', '--pid', '--cgroup', '--root'],
      ...['env', '-i', '--chdir=/', `PATH=${PATH}`, 'HOME=/root', 'LANG=C.UTF-8', ...argv],
    ];
  }

  /** A command as root of the machine has it, with nothing of this process's surroundings. */
  inside(argv: Argv): Argv {
    return this.#enter(argv);
  }

  /** Runs a command there; every exit is an answer. */
  run(argv: Argv, { input, env = {}, timeoutMs = 60_000, onStderr }: CommandOptions = {}): Promise<RunResult> {
    const told = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    const words: Argv = told.length === 0 ? argv : ['env', ...told, ...argv];
    return run(this.#enter(words), {
      timeoutMs,
      allowExit: 'any',
      ...(input === undefined ? {} : { input }),
      ...(onStderr === undefined ? {} : { onStderr }),
    });
  }

  /** Runs a command there; what it printed. Throws with what it said when it fails. */
  async command(argv: Argv, options: CommandOptions = {}): Promise<string> {
    const { exit, stdout, stderr } = await this.run(argv, options);
    const text = stdout.toString('utf8');
    if (exit === 0) return text;
    throw new Error(
      `${argv.slice(0, 3).join(' ')} on ${this.name} ended with ${exit}:\n${(stderr + text).slice(-3000)}`,
    );
  }

  /** A line of shell, likewise. */
  sh(line: string, options: CommandOptions = {}): Promise<string> {
    return this.command(['sh', '-c', line], options);
  }

  /** True when a line of shell ends well there. */
  async tries(line: string): Promise<boolean> {
    return (await this.run(['sh', '-c', line])).exit === 0;
  }

  /** Where a file of it is from outside, while it is on; not through links. */
  path(path: string): string {
    return `/proc/${this.pid}/root${path}`;
  }

  write(path: string, text: string | Uint8Array, mode = 0o644): void {
    mkdirSync(this.path(dirname(path)), { recursive: true });
    rmSync(this.path(path), { force: true }); // not through a link, which would lead out of the machine
    writeFileSync(this.path(path), text);
    chmodSync(this.path(path), mode);
  }

  /** Paths, from outside, of all files that the machine has written, also while it is off. */
  writtenFiles(): string[] {
    return this.#changedFolders().flatMap((folder) =>
      readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .filter((place) => whileThere(() => hasContent(place)) === true),
    );
  }

  #changedFolders(): string[] {
    return ['changed', ...this.#layers.map((_, n) => `layers/${n + 1}/changed`)].map((one) => join(this.#disk, one));
  }

  /** Every file, folder and link in which its disk differs from this system's, by path, also while it is off. */
  changes(): ReadonlyMap<string, string> {
    const layers = [{ at: '/', over: '/' }, ...this.#layers];
    return new Map(this.#changedFolders().flatMap((folder, n) => listed(folder, layers[n] ?? { at: '', over: '' })));
  }
}

/** What a file holds is told by a hash, of a folder only that it is there, where it was not from the beginning. */
function listed(folder: string, { at, over }: Pick<Layer, 'at' | 'over'>): [string, string][] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry): [string, string][] => {
    const place = join(entry.parentPath, entry.name);
    const path = join(at, place.slice(folder.length));
    if (entry.isDirectory() && existsSync(join(over, place.slice(folder.length)))) return [];
    if (entry.isSymbolicLink()) return [[path, `link to ${readlinkSync(place)}`]];
    if (!entry.isFile()) return [[path, entry.isDirectory() ? 'folder' : 'taken away']];
    const content = whileThere(() => contentOf(place));
    return content === null ? [] : [[path, content]];
  });
}

/** `null` for a file that its machine has taken away since it was listed. */
export function whileThere<T>(look: () => T): T | null {
  try {
    return look();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function contentOf(place: string): string {
  const { size, mtimeMs } = statSync(place);
  if (!hasContent(place)) return 'as below';
  return size > 1_000_000
    ? `${size} bytes, ${mtimeMs}`
    : createHash('sha256').update(readFileSync(place)).digest('hex');
}

/** Whether a file of a layer is more than another owner or mode for the one below, whose content it then has. */
function hasContent(place: string): boolean {
  const { size, blocks } = statSync(place);
  return size === 0 || blocks > 0;
}

/** systemd answers as soon as it listens; then it says itself when all was started. */
const UP = `
tries=0
until [ -S /run/systemd/private ]; do tries=$((tries + 1)); [ $tries -lt 600 ] || exit 1; sleep 0.05; done
exec systemctl is-system-running --wait
`;
