import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { run } from '../../platform/run.ts';
import { hasProgram } from './programs.ts';

/** What the tests use of a Debian or Ubuntu system. Tests that miss theirs are skipped and counted so. */
export const testPackages = [
  ...['php-cli', 'php-fpm', 'php-sqlite3', 'php-curl', 'php-gd', 'php-mbstring', 'php-xml', 'php-zip', 'php-intl'],
  ...['php-bcmath', 'php-gmp', 'php-apcu', 'phpunit', 'php-codesniffer', 'wireguard-tools', 'wireguard-go'],
  ...[
    'openssh-server',
    'nftables',
    'nginx-light',
    'iproute2',
    'sqlite3',
    'unzip',
    'bzip2',
    'shellcheck',
    'busybox',
    'sudo',
    'squashfs-tools',
    'python3',
    'python3-cryptography',
  ],
  ...['postgresql', 'chromium', 'spin', 'gcc', 'libc6-dev', 'age', 'prometheus', 'caddy', 'debootstrap'],
] as const;

/** Programs by which a system without apt is judged. */
const testPrograms = [
  'php',
  'phpunit',
  'phpcs',
  'wg',
  'wireguard-go',
  'sshd',
  'nft',
  'nginx',
  'ip',
  'sqlite3',
  'postgres',
  'unzip',
  'bzip2',
  'chromium',
  'shellcheck',
  'busybox',
  'sudo',
  'mksquashfs',
  'python3',
  'spin',
  'gcc',
  'age',
  'prometheus',
  'caddy',
  'promtool',
];

export interface PackageSystem {
  readonly apt: boolean;
  readonly root: boolean;
  /** Packages that are not installed or, without apt, programs that are not found. */
  missing(): Promise<readonly string[]>;
  install(names: readonly string[]): Promise<void>;
}

export interface PackageReport {
  readonly installed: readonly string[];
  readonly missing: readonly string[];
  /** One line for the person at the terminal, or `null` when there is nothing to say. */
  readonly words: string | null;
}

function isDebianLike(): boolean {
  if (!hasProgram('apt-get') || !hasProgram('dpkg-query') || !existsSync('/etc/os-release')) return false;
  return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8'));
}

async function missingPackages(): Promise<string[]> {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the format is dpkg's own
  const query = await run(['dpkg-query', '-W', '-f=${Package} ${db:Status-Status}\\n', ...testPackages], {
    timeoutMs: 30_000,
    allowExit: 'any',
  });
  const installed = new Set(
    [...query.stdout.toString('utf8').matchAll(/^(\S+) installed$/gm)].map((match) => match[1] ?? ''),
  );
  return testPackages.filter((name) => !installed.has(name));
}

/** Installs without starting any service: a test machine is not to get a web server on port 80 from its tests. */
async function installByApt(names: readonly string[]): Promise<void> {
  const policy = '/usr/sbin/policy-rc.d';
  const ours = !existsSync(policy);
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755, flag: 'wx' });
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  try {
    await run(['apt-get', '-q', 'update'], { timeoutMs: 300_000, env });
    // one by one when the lot does not go through: an older release may not have all of them
    const install = ['apt-get', '-q', '-y', '--no-install-recommends', 'install'] as const;
    const all = await run([...install, ...names], { timeoutMs: 900_000, env, allowExit: 'any' });
    if (all.exit === 0) return;
    for (const name of names) await run([...install, name], { timeoutMs: 300_000, env, allowExit: 'any' });
  } finally {
    if (ours) rmSync(policy, { force: true });
  }
}

/** This machine. */
export function ownSystem(): PackageSystem {
  const apt = isDebianLike();
  return {
    apt,
    root: process.getuid?.() === 0,
    missing: async () => (apt ? missingPackages() : testPrograms.filter((name) => !hasProgram(name))),
    install: installByApt,
  };
}

/** The first step of `npm test`: installs what is missing where it may, else says what is missing. Never throws for a failed installation. */
export async function preparePackages(
  say: (line: string) => void,
  system: PackageSystem = ownSystem(),
): Promise<PackageReport> {
  const missing = await system.missing();
  if (missing.length === 0) return { installed: [], missing: [], words: null };
  if (!system.apt || !system.root) {
    const how = system.apt ? 'as root, "npm test" installs them' : 'install them by hand';
    return { installed: [], missing, words: `not installed: ${missing.join(', ')}; their tests are skipped (${how})` };
  }
  say(`installing ${missing.join(', ')}`);
  const failed = await system.install(missing).then(
    () => false,
    () => true,
  );
  const still = await system.missing();
  const installed = missing.filter((name) => !still.includes(name));
  if (still.length === 0) return { installed, missing: [], words: null };
  const why = failed ? 'apt-get failed' : 'apt-get could not install them';
  return { installed, missing: still, words: `not installed: ${still.join(', ')}; their tests are skipped (${why})` };
}
