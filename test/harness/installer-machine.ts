import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { run } from '../../platform/run.ts';
import type { Argv } from './background-process.ts';
import { type Machine, machinesObstacle } from './hub-network.ts';
import {
  type Distribution,
  OPENRC_SERVICE,
  PACKAGED,
  STAND_IN_LIBRARY,
  STAND_INS,
  SYSTEM_PROGRAMS,
} from './installer-stand-ins.ts';
import { findProgram, hasProgram } from './programs.ts';

/** Shells under which a script for sh has to work. */
export const SHELLS = { dash: ['dash'], bash: ['bash'], ash: ['busybox', 'ash'] } as const satisfies Record<
  string,
  Argv
>;
export type Shell = keyof typeof SHELLS;

export interface ScriptRun {
  readonly shell?: Shell;
  readonly args?: readonly string[];
  /** As `curl … | sh` gives it, and not as a file. */
  readonly piped?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** Sent to the script and what it has started, as a terminal does, once this is true, asked every 20 ms. */
  readonly signal?: {
    readonly name: NodeJS.Signals;
    readonly when: () => boolean;
    /** And again, as long as that is true. */
    readonly again?: boolean;
  };
}

export interface ScriptEnd {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

const HOME = '/run/lk-machine';
const ROOT = `${HOME}/root`;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const SCRIPT = '/run/stand-in/install.sh';
/** Everything the machine has is this system's, and what is changed is the machine's alone. */
const MAKE_ROOT = [
  'mount -t tmpfs machine /run',
  `mkdir -p ${HOME}/changed ${HOME}/work ${ROOT}`,
  `mount -t overlay -o lowerdir=/,upperdir=${HOME}/changed,workdir=${HOME}/work machine ${ROOT}`,
  ...['proc', 'sys', 'dev'].map((name) => `mount --rbind /${name} ${ROOT}/${name}`),
  ...['run', 'tmp'].map((name) => `mount -t tmpfs ${name} ${ROOT}/${name}`),
  `mkdir -p ${ROOT}/run/stand-in ${ROOT}/run/wireguard ${ROOT}/run/lock`,
  // what this system's kernel has is not said there
  `mount -t tmpfs modules ${ROOT}/sys/module`,
  `rm -rf ${ROOT}/etc/wireguard && mkdir -m 700 ${ROOT}/etc/wireguard`,
].join(' && ');

/** For a script that asks whether the kernel has WireGuard; wg-quick goes on with the system's own. */
const PROBED_IP = `#!/bin/sh
case "$*" in *' type wireguard') exit 2 ;; esac
PATH=/usr/sbin:/usr/bin exec ip "$@"
`;

/** Why no script can be run here as on a machine of its own, or `null`. */
export function installerObstacle(): string | null {
  const missing = ['dash', 'bash', 'curl', 'chroot'].filter((name) => !hasProgram(name));
  return machinesObstacle() ?? (missing.length === 0 ? null : `${missing.join(', ')} not installed`);
}

/**
 * A machine on which an installer is run for real: files and network of its own, with this system's programs, but stand-ins for
 * package managers and inits, which record their calls. Tunnels on it are real.
 */
export class InstallerMachine {
  readonly machine: Machine;

  private constructor(machine: Machine) {
    this.machine = machine;
  }

  /** Of a machine of a network. `without`: packages that are not installed on it, of `PACKAGED`. */
  static async build(
    machine: Machine,
    distribution: Distribution,
    without: readonly string[] = [],
  ): Promise<InstallerMachine> {
    const built = new InstallerMachine(machine);
    await machine.run('sh', '-c', MAKE_ROOT);
    built.hide(...SYSTEM_PROGRAMS);
    built.write('/usr/local/lib/stand-in.sh', STAND_IN_LIBRARY);
    built.write('/etc/os-release', distribution.release);
    built.program('ping', '#!/bin/sh\nexec busybox ping "$@"\n');
    built.program('ip', PROBED_IP);
    const there = Object.keys(PACKAGED).filter((name) => !without.includes(name));
    built.write('/var/lib/stand-in/installed', ['base-files', ...there, ''].join('\n'));
    const lister = { 'apt-get': ['dpkg-query'], dnf: ['rpm'], yum: ['rpm'], zypper: ['rpm'], pacman: [], apk: [] };
    built.standIn(distribution.manager, ...lister[distribution.manager]);
    if (distribution.init === 'systemd') {
      built.standIn('systemctl');
      built.folder('/run/systemd/system');
      built.folder('/etc/systemd/system/multi-user.target.wants');
    } else if (distribution.init === 'openrc') {
      built.standIn('rc-update', 'rc-service');
      for (const folder of ['/run/openrc', '/etc/runlevels/default', '/etc/init.d']) built.folder(folder);
      built.write('/run/stand-in/openrc-service', OPENRC_SERVICE, 0o755);
      if (there.includes('wireguard-tools')) built.write('/etc/init.d/wg-quick', OPENRC_SERVICE, 0o755);
    }
    for (const name of without) built.#unpack(name);
    return built;
  }

  /** Where a file of the machine is from outside. */
  path(path: string): string {
    if (path.startsWith('/var/run/')) throw new TypeError('/var/run leads out of the machine: say /run');
    return `/proc/${this.machine.pid}/root${ROOT}${path}`;
  }

  folder(path: string): void {
    // Node makes folders for ever below a process that has ended
    if (!existsSync(this.path('/'))) throw new Error('the machine was halted');
    mkdirSync(this.path(path), { recursive: true });
  }

  write(path: string, text: string | Uint8Array, mode = 0o644): void {
    this.folder(dirname(path));
    rmSync(this.path(path), { force: true }); // not through a link, which may lead out of the machine
    writeFileSync(this.path(path), text);
    chmodSync(this.path(path), mode);
  }

  /** `null` when it is not there. */
  read(path: string): string | null {
    return existsSync(this.path(path)) ? readFileSync(this.path(path), 'utf8') : null;
  }

  remove(path: string): void {
    rmSync(this.path(path), { recursive: true, force: true });
  }

  /** Puts stand-ins of `STAND_INS` before everything else on the PATH. */
  standIn(...names: string[]): void {
    for (const name of names) this.program(name, STAND_INS[name] ?? '');
  }

  /** A stand-in with a text of its own; `. /usr/local/lib/stand-in.sh` gives it `record`. */
  program(name: string, text: string): void {
    if (text === '') throw new TypeError(`there is no stand-in for ${name}`);
    this.write(`/usr/local/bin/${name}`, text, 0o755);
  }

  /** Programs that this machine is not to have. */
  hide(...names: string[]): void {
    const folders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin'];
    for (const name of names) for (const folder of folders) this.remove(`${folder}/${name}`);
  }

  /** Takes the programs of a package away and keeps them where the stand-in of the package manager finds them. */
  #unpack(name: string): void {
    for (const program of PACKAGED[name] ?? []) {
      const real = findProgram(program);
      if (real !== null) this.write(`/run/stand-in/packages/${name}/${program}`, readFileSync(real), 0o755);
      this.hide(program);
    }
  }

  /** From now on, and instead of what was told before, calls of stand-ins fail that fit one of these patterns of sh (`apt-get *install*`). */
  failAt(...patterns: string[]): void {
    this.write('/run/stand-in/fail', patterns.map((one) => `${one}\n`).join(''));
  }

  /** Likewise, calls that do not come back. */
  hangAt(...patterns: string[]): void {
    this.remove('/run/stand-in/hanging');
    this.write('/run/stand-in/hang', patterns.map((one) => `${one}\n`).join(''));
  }

  /** True when one of those calls is waiting. */
  hangs(): boolean {
    return existsSync(this.path('/run/stand-in/hanging'));
  }

  /** Packages that the package manager does not find before its lists are renewed. */
  unknownPackages(...names: string[]): void {
    this.write('/run/stand-in/unknown', names.join(' '));
  }

  /** What stand-ins were called with, one call a line, without questions, and nothing of it any more. */
  takeCalls(): string[] {
    const questions = /^(dpkg-query|rpm|pacman -Qq|apk info|systemctl (is-|status)|rc-update show)/;
    const calls = (this.read('/run/stand-in/calls') ?? '').split('\n').filter((line) => line !== '');
    this.remove('/run/stand-in/calls');
    return calls.filter((line) => !questions.test(line));
  }

  inside(argv: Argv): Argv {
    return this.machine.inside(['chroot', ROOT, ...argv]);
  }

  /** Runs a command on it; what it printed. Throws when it fails. */
  async command(...argv: Argv): Promise<string> {
    const { stdout } = await run(this.inside(argv), { timeoutMs: 20_000, env: { PATH } });
    return stdout.toString('utf8');
  }

  /** Runs a script to its end, whatever that is. */
  async run(
    script: string,
    { shell = 'dash', args = [], piped = false, env, signal }: ScriptRun = {},
  ): Promise<ScriptEnd> {
    this.write(SCRIPT, script);
    this.remove('/run/stand-in/pid');
    const own = SHELLS[shell];
    const words = piped ? ['-s', '--', ...args] : [SCRIPT, ...args];
    const told = `echo $$ >/run/stand-in/pid; exec setsid ${own.join(' ')} "$@"`;
    const argv = this.inside(['sh', '-c', told, 'sh', ...words]);
    const ended = run(argv, {
      timeoutMs: 120_000,
      allowExit: 'any',
      env: { PATH, HOME: '/root', ...env },
      input: piped ? script : '',
    });
    const watch = signal === undefined ? null : setInterval(() => this.#send(signal), 20);
    const { exit, stdout, stderr } = await ended.finally(() => watch === null || clearInterval(watch));
    return { exit, stdout: stdout.toString('utf8'), stderr };
  }

  #send({ name, when, again }: NonNullable<ScriptRun['signal']>): void {
    const pid = Number(this.read('/run/stand-in/pid'));
    if (pid === 0 || !when()) return;
    if (again !== true) this.remove('/run/stand-in/pid');
    try {
      process.kill(-pid, name);
    } catch {
      // it has ended meanwhile
    }
  }

  /**
   * Everything that the machine has of its own, a line each: files with mode and content, interfaces with addresses, routes and rules,
   * processes of wireguard-go. Two that are equal are a machine that was not changed, or was put back.
   */
  async state(): Promise<string[]> {
    const files = `cd ${HOME}/changed && find . -printf '%y %m %P %l\\n' && find . -type f -exec sha256sum {} +`;
    const passing = `find /run /tmp ! -path '/run/stand-in*' -printf '%y %m %p %l\\n'`;
    const network = 'ip -brief address; ip route; ip -6 route show proto boot; ip rule; ip -6 rule';
    const parts = await Promise.all([
      this.machine.run('sh', '-c', files),
      this.command('sh', '-c', `${passing}; ${network}`),
    ]);
    const lines = parts
      .join('')
      .split('\n')
      .filter((line) => line !== '' && !this.#isCopyOfFolder(line));
    const daemons = this.machine.processes('wireguard-go').length;
    // addresses that the system makes up come a moment after their interface
    return [...lines.map((line) => line.replace(/ fe80:\S+/g, '').trim()).sort(), `wireguard-go: ${daemons}`];
  }

  /** Where something in a folder is written and removed again, the overlay keeps a copy of the folder. */
  #isCopyOfFolder(line: string): boolean {
    const [, mode, path] = /^d (\d+) (\S*)/.exec(line) ?? [];
    if (mode === undefined || path?.startsWith('/')) return false;
    const below = lstatSync(`/${path}`, { throwIfNoEntry: false });
    return below?.isDirectory() === true && (below.mode & 0o7777) === Number.parseInt(mode, 8);
  }
}
