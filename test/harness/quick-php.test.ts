import { execFileSync } from 'node:child_process';
import { pbkdf2Sync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { NEEDED_EXTENSIONS } from '../../patcher/targets/php-answer.ts';
import { Cleanup } from './cleanup.ts';
import { hasProgram } from './programs.ts';
import { makePhpLean, makePhpQuick, mayBeQuick } from './quick-php.ts';

/** Called as Nextcloud's encryption calls it, from its namespace, and whose function that was. */
const AS_NEXTCLOUD = `<?php
namespace OCA\\Encryption\\Crypto;
$by = (new \\ReflectionFunction(\\function_exists(__NAMESPACE__ . '\\hash_pbkdf2') ? __NAMESPACE__ . '\\hash_pbkdf2' : 'hash_pbkdf2'))->getName();
echo json_encode([$by, bin2hex(hash_pbkdf2('sha256', $argv[1], $argv[2], 1000, 32, true)), hash_pbkdf2('sha256', $argv[1], $argv[2], 7)]);`;

function derived(password: string, salt: string): string[] {
  const said = execFileSync('php', ['--', password, salt], { input: AS_NEXTCLOUD, encoding: 'utf8' });
  return JSON.parse(said) as string[];
}

describe('a quick PHP', () => {
  afterEach(() => vi.unstubAllEnvs());

  it('is for npm test alone, and not for a thorough one', () => {
    expect(mayBeQuick({ VITEST: 'true' })).toBe(true);
    expect(mayBeQuick({ VITEST: 'true', LATCHKEY_THOROUGH: '1' })).toBe(false);
    expect(mayBeQuick({})).toBe(false);
  });

  it.runIf(hasProgram('php'))('derives for Nextcloud what PHP itself does, to the byte', async () => {
    vi.stubEnv('LATCHKEY_THOROUGH', '');
    const cleanup = new Cleanup();
    const folder = () => process.env.PHP_INI_SCAN_DIR?.slice(1) ?? '';
    expect(derived('a', 'b')[0]).toBe('hash_pbkdf2');
    makePhpQuick(cleanup);
    const made = folder();
    try {
      for (const [password, salt] of [
        ['secret', 'salt'],
        ['', 'x'],
        ['ä€', 'long '.repeat(40)],
      ] as const) {
        const whole = pbkdf2Sync(password, salt, 1000, 32, 'sha256').toString('hex');
        const otherwise = pbkdf2Sync(password, salt, 7, 32, 'sha256').toString('hex');
        expect(derived(password, salt)).toEqual(['OCA\\Encryption\\Crypto\\hash_pbkdf2', whole, otherwise]);
      }
    } finally {
      expect(await cleanup.run()).toEqual([]);
    }
    expect([existsSync(made), process.env.PHP_INI_SCAN_DIR]).toEqual([false, undefined]);
    expect(derived('a', 'b')[0]).toBe('hash_pbkdf2');
  });

  it('leaves PHP alone in a thorough test', () => {
    vi.stubEnv('LATCHKEY_THOROUGH', '1');
    makePhpQuick(new Cleanup());
    expect(process.env.PHP_INI_SCAN_DIR).toBeUndefined();
  });

  it.runIf(hasProgram('php'))('without most extensions has those that ncpatch wants, and says nothing', async () => {
    const cleanup = new Cleanup();
    const loaded = (): string[] =>
      JSON.parse(
        execFileSync('php', ['-r', 'echo json_encode(array_map("strtolower", get_loaded_extensions()));'], {
          encoding: 'utf8',
        }),
      ) as string[];
    const all = loaded();
    makePhpLean(cleanup);
    const few = loaded();
    expect(await cleanup.run()).toEqual([]);
    expect(few.filter((name) => !all.includes(name))).toEqual([]);
    expect(NEEDED_EXTENSIONS.filter((name) => all.includes(name) && !few.includes(name))).toEqual([]);
    expect(loaded()).toEqual(all);
  });
});
