import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { hasProgram } from './programs.ts';

const SSHD = ['/usr/sbin/sshd', '/usr/bin/sshd', '/usr/local/sbin/sshd'].find((path) => existsSync(path));

/** Why a real sshd cannot be run here, or null when it can. Logging in as other users needs root. */
export function sshdMissing(): string | null {
  if (SSHD === undefined) return 'sshd is not installed';
  if (!hasProgram('sudo')) return 'sudo is not installed';
  return process.getuid?.() === 0 ? null : 'a test sshd needs root';
}

export interface SshdOptions {
  /** More lines for sshd_config, such as `ForceCommand …` or `PasswordAuthentication yes`. */
  readonly config?: readonly string[];
  /** Default `127.0.0.1`. */
  readonly address?: string;
  /** Default a free one. */
  readonly port?: number;
  /** Put before the sshd command, such as `['ip', 'netns', 'exec', 'cloud']`. */
  readonly wrap?: readonly string[];
  /** Type of the host key, default `ed25519`. */
  readonly hostKeyType?: 'ed25519' | 'ecdsa' | 'rsa';
}

export interface TestSshd {
  readonly address: string;
  readonly port: number;
  /** Private key that may log in as any user of the machine. */
  readonly identity: string;
  /** `SHA256:…` of the host key. */
  readonly fingerprint: string;
  /** A known_hosts file that knows this server. */
  readonly knownHosts: string;
  /** The host key as in a `.pub` file: type and base64. */
  readonly hostKey: string;
  /** The temporary folder all of it is in. */
  readonly folder: string;
  /** What sshd has logged so far. */
  log(): string;
  stop(): Promise<void>;
}

/** An OpenSSH server of its own: own configuration, host key, authorized key and port; nothing of the machine's is used. */
export async function startSshd(options: SshdOptions = {}): Promise<TestSshd> {
  if (SSHD === undefined) throw new Error('sshd is not installed');
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-sshd-'));
  chmodSync(folder, 0o755); // sshd reads the authorized key as the user who logs in
  mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const type = options.hostKeyType ?? 'ed25519';
  makeKey(join(folder, 'host_key'), type);
  makeKey(join(folder, 'identity'), 'ed25519');
  const address = options.address ?? '127.0.0.1';
  const port = options.port ?? (await freePort());
  writeFileSync(join(folder, 'sshd_config'), configuration(folder, address, port, options.config ?? []));
  const [command, ...args] = [...(options.wrap ?? []), SSHD, '-D', '-e', '-f', join(folder, 'sshd_config')];
  const server = spawn(command ?? SSHD, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  server.stderr?.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  await listening(server, () => log);
  const hostKey = readFileSync(join(folder, 'host_key.pub'), 'utf8').split(' ').slice(0, 2).join(' ').trim();
  const knownHosts = join(folder, 'known_hosts');
  writeFileSync(knownHosts, `${port === 22 ? address : `[${address}]:${port}`} ${hostKey}\n`);
  return {
    address,
    port,
    identity: join(folder, 'identity'),
    fingerprint:
      execFileSync('ssh-keygen', ['-l', '-f', join(folder, 'host_key.pub')], { encoding: 'utf8' }).split(' ')[1] ?? '',
    knownHosts,
    hostKey,
    folder,
    log: () => log,
    stop: async () => {
      await ended(server);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function configuration(folder: string, address: string, port: number, more: readonly string[]): string {
  return [
    ...more, // sshd takes the first value it sees
    `ListenAddress ${address}:${port}`,
    `HostKey ${folder}/host_key`,
    `AuthorizedKeysFile ${folder}/identity.pub`,
    `SetEnv ${environment().join(' ')}`,
    'PidFile none',
    'StrictModes no',
    'PermitRootLogin yes',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'UsePAM no',
    'MaxStartups 100',
    'LogLevel VERBOSE',
    '',
  ].join('\n');
}

/** What sessions find in their environment. */
function environment(): string[] {
  const scanned = process.env.PHP_INI_SCAN_DIR;
  const php = scanned === undefined ? [] : [`PHP_INI_SCAN_DIR=${scanned}`];
  return ['SHLVL=1', ...php]; // the first keeps bash from reading the .bashrc of this machine's user for each command
}

export function makeKey(file: string, type: 'ed25519' | 'ecdsa' | 'rsa', passphrase = ''): void {
  execFileSync('ssh-keygen', ['-q', '-t', type, '-N', passphrase, '-C', '', '-f', file], { stdio: 'pipe' });
}

/** sshd says so itself, which also works inside another network namespace. */
function listening(server: ChildProcess, log: () => string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = () => reject(new Error(`sshd did not start: ${log()}`));
    const timer = setTimeout(fail, 10_000);
    server.on('exit', fail);
    server.on('error', fail);
    server.stderr?.on('data', () => {
      if (!log().includes('Server listening on')) return;
      clearTimeout(timer);
      server.off('exit', fail);
      resolve();
    });
  });
}

/** The listening process ends on TERM; those of open sessions end with their connections. */
function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.on('exit', () => resolve());
    child.kill('SIGTERM');
  });
}

/** A port that passes everything on to another, and cuts all its connections when told to. */
export interface CuttableLine {
  readonly port: number;
  /** Drops every connection now, both ways, without a goodbye. */
  cut(): void;
  /** Cuts after this many more bytes have gone from the client to the server. */
  cutAfter(bytes: number): void;
  close(): Promise<void>;
}

export async function startCuttableLine(targetPort: number): Promise<CuttableLine> {
  const open = new Set<() => void>();
  let left = Number.POSITIVE_INFINITY;
  const cut = () => {
    left = Number.POSITIVE_INFINITY;
    for (const drop of open) drop();
    open.clear();
  };
  const server = createServer((near) => {
    const far = connect(targetPort, '127.0.0.1');
    const drop = () => {
      near.resetAndDestroy();
      far.resetAndDestroy();
    };
    open.add(drop);
    for (const socket of [near, far]) {
      socket
        .on('error', () => undefined)
        .on('close', () => {
          open.delete(drop);
          near.destroy();
          far.destroy();
        });
    }
    near.on('data', (chunk) => {
      const pass = chunk.subarray(0, Math.min(chunk.length, left));
      left -= chunk.length;
      if (left > 0) return void far.write(pass);
      far.write(pass, () => setImmediate(cut));
    });
    far.on('data', (chunk) => near.write(chunk));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    cut,
    cutAfter: (bytes) => {
      left = bytes;
    },
    close: () =>
      new Promise((resolve) => {
        cut();
        server.close(() => resolve());
      }),
  };
}

export interface TestUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  remove(): void;
}

/** A temporary user of this machine (needs root). `sudo` gives it sudo with or without its password. */
export function makeUser(options: { password?: string; sudo?: 'free' | 'password' } = {}): TestUser {
  const name = `lk${randomBytes(4).toString('hex')}`;
  execFileSync('useradd', ['--create-home', '--shell', '/bin/sh', name], { stdio: 'pipe' });
  if (options.password === undefined) execFileSync('usermod', ['-p', '*', name], { stdio: 'pipe' });
  else execFileSync('chpasswd', [], { input: `${name}:${options.password}\n`, stdio: 'pipe' });
  const rule = `/etc/sudoers.d/${name}`;
  if (options.sudo !== undefined) {
    const rights = options.sudo === 'free' ? 'NOPASSWD: ALL' : 'ALL';
    writeFileSync(rule, `${name} ALL=(ALL) ${rights}\n`, { mode: 0o440 });
  }
  const id = (flag: string) => Number(execFileSync('id', [flag, name], { encoding: 'utf8' }));
  return {
    name,
    uid: id('-u'),
    gid: id('-g'),
    remove: () => {
      rmSync(rule, { force: true });
      execFileSync('userdel', ['--remove', '--force', name], { stdio: 'pipe' });
    },
  };
}
