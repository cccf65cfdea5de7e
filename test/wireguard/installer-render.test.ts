import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type InstallerValues, installerText, SHARED_PARTS } from '../../wireguard/installers/render.ts';
import { PLATFORMS } from '../../wireguard/store/schema.ts';
import { SHELLS } from '../harness/installer-machine.ts';
import { hasProgram } from '../harness/programs.ts';

const isThorough = process.env.LATCHKEY_THOROUGH === '1';
const VALUES: InstallerValues = {
  hubUrl: 'https://hub.example:8443',
  hubPin: 'sha256//AAAA=',
  token: 'CANARY'.padEnd(43, 'x'),
  spokeId: 'spoke-1',
  spokeName: 'a spoke',
  hubName: 'a hub',
  tunnel: 'wg0',
  members: 3,
};
/** Breaks out of every careless way to put a value into a script. */
const NASTY = "'; touch BROKEN #'\n\"$(touch BROKEN)`touch BROKEN`\n# @@values@@\n# @@part say@@\n$& $1 $' 日本\\";
const forSh = PLATFORMS.filter((platform) => platform !== 'windows');
const folder = new URL('../../wireguard/installers/templates/', import.meta.url);

describe('installerText()', () => {
  test.each(PLATFORMS)(
    'is the same for the same values, whole, and has nothing of the template left (%s)',
    (platform) => {
      const text = installerText(platform, VALUES);
      expect(installerText(platform, { ...VALUES })).toBe(text);
      expect(text).not.toMatch(/@@/);
      expect(text.endsWith('\n')).toBe(true);
      for (const value of Object.values(VALUES)) expect(text).toContain(`'${value}'`);
      expect(installerText(platform, { ...VALUES, members: 4 })).not.toBe(text);
    },
  );

  test.each(forSh)('has each value once, under its name (%s)', (platform) => {
    const assigned = installerText(platform, VALUES).match(/^[A-Z_]+='.*'$/gm) ?? [];
    expect(assigned.slice(0, 8)).toEqual([
      "HUB_URL='https://hub.example:8443'",
      "HUB_PIN='sha256//AAAA='",
      `TOKEN='${VALUES.token}'`,
      "SPOKE_ID='spoke-1'",
      "SPOKE_NAME='a spoke'",
      "HUB_NAME='a hub'",
      "TUNNEL='wg0'",
      "MEMBERS='3'",
    ]);
  });

  test.each(PLATFORMS)('takes a value for what it is, whatever it looks like (%s)', (platform) => {
    const plain = installerText(platform, VALUES);
    const nasty = installerText(platform, { ...VALUES, spokeName: NASTY, hubName: NASTY });
    const lines = nasty.split('\n').filter((line) => line === '# @@part say@@').length;
    // in sh they stay within the quotes, on lines of their own
    expect(lines).toBe(platform === 'windows' ? 0 : 2);
    expect(nasty.split('die() {')).toHaveLength(plain.split('die() {').length);
  });

  test.each(
    forSh.flatMap((platform) => Object.entries(SHELLS).map(([shell, argv]) => [platform, shell, argv] as const)),
  )('with such values, %s.sh says under %s what it is, and runs nothing of them', (platform, _, [shell, ...args]) => {
    const text = installerText(platform, { ...VALUES, spokeName: NASTY, hubName: NASTY });
    const { status, stdout } = spawnSync(shell, [...args, '-s', '--', '--help'], {
      input: text.replaceAll('touch BROKEN', 'echo BROKEN'),
      encoding: 'utf8',
    });
    expect(status).toBe(0);
    expect(stdout).toContain(`the spoke "${NASTY.replaceAll('touch', 'echo')}" of the hub "`);
  });

  test('refuses a value that no script can hold', () => {
    expect(() => installerText('linux', { ...VALUES, spokeName: 'a\0b' })).toThrow(TypeError);
    expect(() => installerText('windows', { ...VALUES, spokeName: '\ud800' })).toThrow(TypeError);
  });
});

describe('the templates', () => {
  // of linux.sh, all but a page is in proxmox.sh too
  const looked = isThorough ? forSh : forSh.filter((platform) => platform !== 'linux');
  test.runIf(hasProgram('shellcheck')).each(looked)('shellcheck finds nothing in %s.sh', (platform) => {
    const input = installerText(platform, VALUES);
    const { stdout, status } = spawnSync('shellcheck', ['--shell=sh', '-'], { input, encoding: 'utf8' });
    expect([stdout, status]).toEqual(['', 0]);
  });

  test('windows.ps1 is ASCII whatever its values are, so that no code page changes it', () => {
    expect(installerText('windows', { ...VALUES, spokeName: NASTY })).toMatch(/^[\n -~]*$/);
  });

  test('each part is in some template', () => {
    const files = readdirSync(SHARED_PARTS);
    const sources = [
      ...readdirSync(folder).filter((name) => name !== 'parts'),
      ...files.map((file) => `parts/${file}`),
    ];
    const named = sources.flatMap((source) =>
      [...readFileSync(new URL(source, folder), 'utf8').matchAll(/^# @@part (.+)@@$/gm)].map(
        ([, part]) => `${part}${extname(source)}`,
      ),
    );
    expect(files.filter((file) => !named.includes(file))).toEqual([]);
  });
});
