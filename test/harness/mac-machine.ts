import { existsSync, readFileSync } from 'node:fs';
import { run } from '../../platform/run.ts';
import { type InstallerMachine, type ScriptEnd, type ScriptRun, SHELLS } from './installer-machine.ts';
import type { InstallerScene } from './installer-scene.ts';
import { DISTRIBUTIONS } from './installer-stand-ins.ts';
import { BREW, DARWIN_WG_QUICK, guarded, LAUNCHD, MAC_PROGRAMS, SHARED_PROGRAMS } from './mac-stand-ins.ts';
import { findProgram } from './programs.ts';

export interface MacShape {
  /** What `uname -m` says. */
  readonly says?: 'arm64' | 'x86_64';
  /** What it is, where a program made for Intel asks. */
  readonly isArm?: boolean;
  /** Prefixes that have Homebrew. */
  readonly brews?: readonly string[];
  /** The prefix in which wireguard-tools are. */
  readonly tools?: string;
  /** Whom Homebrew belongs to. */
  readonly owner?: 'ann' | 'root';
}

const BIN = '/run/stand-in/mac';
const SCRIPT = '/run/stand-in/mac-installer.sh';
/** Of what runs the script, not of the Mac. */
const HARNESS = ['dash', 'bash', 'busybox', 'setsid', 'sh', 'python3'];

/**
 * A stand-in for a Mac, on which the installer for macOS is run: it sees no program but what a Mac has, and no option but what both know.
 * Homebrew, launchd and wg-quick are stand-ins; wg and wireguard-go are real.
 */
export class MacMachine {
  readonly base: InstallerMachine;

  private constructor(base: InstallerMachine) {
    this.base = base;
  }

  static async build(scene: Pick<InstallerScene, 'machine'>, shape: MacShape = {}): Promise<MacMachine> {
    const { says = 'arm64', isArm = says === 'arm64', brews = ['/opt/homebrew'], tools, owner = 'ann' } = shape;
    const base = await scene.machine(DISTRIBUTIONS.container, ['wireguard-tools', 'wireguard-go']);
    const mac = new MacMachine(base);
    base.write('/run/stand-in/mac-says', `${says}\n`);
    base.write('/run/stand-in/mac-is-arm', isArm ? '1\n' : '0\n');
    base.write('/run/stand-in/launchd.py', LAUNCHD);
    const links = [...HARNESS, 'curl', 'env'].map((name) => `ln -sf ${mac.#real(name)} ${BIN}/${name}`);
    for (const name of ['wg', 'wireguard-go']) {
      const folder = name === 'wg' ? 'wireguard-tools' : name;
      base.write(
        `/run/stand-in/bottles/${name}`,
        readFileSync(base.path(`/run/stand-in/packages/${folder}/${name}`)),
        0o755,
      );
    }
    base.write('/run/stand-in/bottles/wg-quick', DARWIN_WG_QUICK, 0o755);
    const user = [
      'echo ann:x:4711:4711::/Users/ann:/bin/sh >>/etc/passwd; echo ann:x:4711: >>/etc/group',
      'mkdir -p /Users/ann /Library/LaunchDaemons /var/log; chown ann:ann /Users/ann; rmdir /etc/wireguard',
      // as on every BSD, a file has the group of its folder
      'chgrp ann /Library/LaunchDaemons; chmod g+s /Library/LaunchDaemons',
      'mkdir -p /usr/local/bin /opt',
    ];
    await base.command('sh', '-c', [`mkdir -p ${BIN}`, ...links, ...user].join('; '));
    mac.repair();
    for (const prefix of brews) {
      base.write(`${prefix}/bin/brew`, BREW, 0o755);
      await base.command(
        'sh',
        '-c',
        `mkdir -p ${prefix}/Cellar; chown ${owner}:${owner} ${prefix} ${prefix}/* ${prefix}/bin/brew`,
      );
      if (prefix === tools)
        await base.command(
          'setpriv',
          '--reuid=ann',
          '--regid=ann',
          '--clear-groups',
          'sh',
          '-c',
          `cd /; HOME=/Users/ann ${prefix}/bin/brew install wireguard-tools`,
        );
    }
    return mac;
  }

  /** Its programs are as they were when it was built, and none fails or hangs any more. */
  repair(): void {
    this.base.failAt();
    this.base.hangAt();
    for (const name of SHARED_PROGRAMS) this.base.write(`${BIN}/${name}`, guarded(name, this.#real(name)), 0o755);
    for (const [name, text] of Object.entries(MAC_PROGRAMS)) this.base.write(`${BIN}/${name}`, text, 0o755);
    this.base.write('/run/stand-in/bottles/bash', readFileSync(this.#real('bash')), 0o755);
  }

  /** As `sudo sh` by ann runs it. */
  run(script: string, { piped = false, ...options }: ScriptRun = {}): Promise<ScriptEnd> {
    this.base.write(SCRIPT, script);
    const shell = SHELLS[options.shell ?? 'dash'].join(' ');
    const told = `PATH=${BIN}; export PATH; exec ${shell} ${piped ? `-s -- "$@" <${SCRIPT}` : `${SCRIPT} "$@"`}`;
    return this.base.run(told, { ...options, env: { SUDO_USER: 'ann', ...options.env } });
  }

  /** Runs a line that its user pastes into a terminal. */
  async paste(line: string): Promise<{ readonly exit: number; readonly stdout: string; readonly stderr: string }> {
    const argv = this.base.inside(['env', `PATH=${BIN}`, 'HOME=/Users/ann', 'sh', '-c', line]);
    const { exit, stdout, stderr } = await run(argv, { timeoutMs: 60_000, allowExit: 'any' });
    return { exit, stdout: stdout.toString('utf8'), stderr };
  }

  /** Runs a line as its administrator does. */
  async admin(line: string): Promise<void> {
    await this.base.command('env', `PATH=/opt/homebrew/bin:/usr/local/bin:${BIN}:/usr/bin`, 'sh', '-c', line);
  }

  /** What was called to change something; the words by which Homebrew is called are left out. */
  takeCalls(): string[] {
    const words = / env( HOMEBREW_[A-Z_]+=1| NONINTERACTIVE=1)+/;
    return this.base
      .takeCalls()
      .filter((line) => !line.endsWith(' list --formula -1'))
      .map((line) => line.replace(words, ''));
  }

  #real(name: string): string {
    // the system's own: others may be scripts that need more than themselves
    const path = existsSync(`/usr/bin/${name}`) ? `/usr/bin/${name}` : findProgram(name);
    if (path === null) throw new Error(`no ${name} here`);
    return path;
  }
}
