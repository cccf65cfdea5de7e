import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Cleanup } from './cleanup.ts';

/**
 * Nextcloud stretches its secret by 600,000 rounds of PBKDF2 to open a key, in each request and each occ, which is half of
 * the time that tests with a real one take. OpenSSL does the same three times as fast; a function of Nextcloud's namespace
 * is found before PHP's own of that name.
 */
export const quickDerivation = `<?php
namespace OCA\\Encryption\\Crypto;

function hash_pbkdf2(string $algo, #[\\SensitiveParameter] string $password, string $salt, int $rounds, int $length = 0, bool $binary = false): string {
	return $binary && $length > 0
		? \\openssl_pbkdf2($password, $salt, $length, $rounds, $algo)
		: \\hash_pbkdf2($algo, $password, $salt, $rounds, $length, $binary);
}
`;

/** Whether PHP is made quick: in `npm test`, unless it is to be thorough. Demonstrations and benches have PHP as it is. */
export function mayBeQuick(env: Readonly<Record<string, string | undefined>> = process.env): boolean {
  return env.VITEST === 'true' && env.LATCHKEY_THOROUGH !== '1';
}

/** For config.php: a master key of 4096 bits takes seconds to make, and a hash of a password a tenth of one in each request. */
export function quickSettings(): Readonly<Record<string, unknown>> {
  if (!mayBeQuick()) return {};
  return { openssl: { private_key_bits: 2048 }, hashingMemoryCost: 1024, hashingTimeCost: 1 };
}

/** Files of a folder for PHP_INI_SCAN_DIR that is seen at the path `folder`. */
export function quickPhpFiles(folder: string): Readonly<Record<string, string>> {
  return { 'derivation.php': quickDerivation, 'zz-quick.ini': `auto_prepend_file = "${folder}/derivation.php"\n` };
}

/** The value of PHP_INI_SCAN_DIR that adds a folder to those which PHP reads settings from by itself. */
export function scanDirectory(folder: string): string {
  return `:${folder}`;
}

/**
 * From here on every PHP that this process starts is quick, by its environment: ncpatch starts some of them. Does nothing
 * where PHP is to be left as it is. With `keepsCode` a command line keeps what it has compiled of the release, and neither
 * of the app nor of what is configured, which tests change; ncpatch warns of such a PHP, so that it is for tests that do not look.
 */
export function makePhpQuick(cleanup: Cleanup, options: { readonly keepsCode?: boolean } = {}): void {
  if (!mayBeQuick()) return;
  const folder = settingsFolder(cleanup);
  for (const [name, text] of Object.entries(quickPhpFiles(folder))) writeFileSync(join(folder, name), text);
  if (options.keepsCode === true) keepCode(folder);
  scanFrom(scanDirectory(folder), cleanup);
}

function keepCode(folder: string): void {
  const compiled = join(folder, 'compiled');
  mkdirSync(compiled);
  chmodSync(compiled, 0o777);
  writeFileSync(join(folder, 'not-kept'), '/**/*remotekeystorage*/**\n/**/config/*.php\n');
  const settings = ['opcache.enable_cli = 1', 'opcache.file_cache_only = 1', `opcache.file_cache = "${compiled}"`];
  const lines = [...settings, `opcache.blacklist_filename = "${folder}/not-kept"`, ''];
  writeFileSync(join(folder, 'zz-quick-code.ini'), lines.join('\n'));
}

/** What ncpatch wants of a PHP, and what it looks for. */
const LEAN = /^(?:[0-9]+-)?(?:apcu|ctype|curl|iconv|mbstring|openssl|posix|zip)\.ini$/;

/**
 * For a stand-in of occ, which does nothing by itself: from here on a PHP that this process starts loads few extensions,
 * because loading all of them takes most of its time (0.04 s of 0.05 s).
 */
export function makePhpLean(cleanup: Cleanup): void {
  const scanned = execFileSync('php', ['-r', 'echo php_ini_scanned_files();'], { encoding: 'utf8' });
  const folder = settingsFolder(cleanup);
  for (const path of scanned.split(',').map((file) => file.trim())) {
    if (LEAN.test(basename(path))) copyFileSync(path, join(folder, basename(path)));
  }
  scanFrom(folder, cleanup);
}

function settingsFolder(cleanup: Cleanup): string {
  const folder = mkdtempSync(join(tmpdir(), `latchkey-life-${process.pid}-php-`));
  chmodSync(folder, 0o755); // the web user reads it
  cleanup.add(folder, () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function scanFrom(value: string, cleanup: Cleanup): void {
  process.env.PHP_INI_SCAN_DIR = value;
  cleanup.add('settings of PHP', () => {
    if (process.env.PHP_INI_SCAN_DIR === value) delete process.env.PHP_INI_SCAN_DIR;
  });
}
