import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type PairPlatform, type PairValues, pairScript } from '../../../wireguard/pair/pair-script.ts';
import { SHELLS } from '../../harness/installer-machine.ts';
import { hasProgram } from '../../harness/programs.ts';
import { verifyUnits } from '../../harness/unit-verification.ts';

const VALUES: PairValues = {
  interface: 'latchkey',
  network: '10.71.203.0/30',
  ownAddress: '10.71.203.1',
  otherAddress: '10.71.203.2',
  listen: null,
  endpoint: { host: 'cloud.example.org', port: 51820 },
  serves: 8443,
};
/** Breaks out of every careless way to put a value into a script. */
const NASTY = "'; touch BROKEN #'\n\"$(touch BROKEN)`touch BROKEN`\n# @@values@@\n$& $1 $' 日本\\";
const platforms: readonly PairPlatform[] = ['linux', 'macos'];
const isThorough = process.env.LATCHKEY_THOROUGH === '1';
const folder = new URL('../../../wireguard/pair/templates/', import.meta.url);

/** What the functions of a script print, run by a shell without its last line. */
function printed(platform: PairPlatform, calls: string, shell: readonly string[] = ['dash']): string {
  const script = pairScript(platform, VALUES).replace(/^main .*$/m, '');
  const [program = '', ...words] = shell;
  const { stdout, stderr, status } = spawnSync(program, [...words, '-s'], {
    input: `${script}\nTUNNEL=latchkey\nCONF=/etc/wireguard/latchkey.conf\n${calls}\n`,
    encoding: 'utf8',
  });
  expect([status, stderr]).toEqual([0, '']);
  return stdout;
}

describe('pairScript()', () => {
  test.each(platforms)(
    'is the same for the same values, whole, and has nothing of a template left (%s)',
    (platform) => {
      const text = pairScript(platform, VALUES);
      expect(pairScript(platform, { ...VALUES })).toBe(text);
      expect(text).not.toMatch(/@@/);
      expect(text.split('\n').at(-2)).toBe('main "$@" </dev/null');
      expect(text.match(/^[A-Z]+='.*'$/gm)?.slice(0, 8)).toEqual([
        "TUNNEL='latchkey'",
        "NETWORK='10.71.203.0/30'",
        "ADDRESS='10.71.203.1/30'",
        "OTHER='10.71.203.2'",
        "LISTEN=''",
        "ENDPOINT='cloud.example.org:51820'",
        "SERVES='8443'",
        "KEEPALIVE='25'",
      ]);
      const dialled = { ...VALUES, listen: 51_820, endpoint: null };
      expect(pairScript(platform, dialled)).toContain("\nKEEPALIVE=''\n");
      expect(pairScript(platform, { ...dialled, mayMove: true })).toContain("\nKEEPALIVE='25'\n");
      expect(pairScript(platform, { ...VALUES, endpoint: { host: 'fd00::1', port: 1 } })).toContain("'[fd00::1]:1'");
    },
  );

  test.each(platforms)('takes a value for what it is, whatever it looks like (%s)', (platform) => {
    const text = pairScript(platform, { ...VALUES, otherAddress: NASTY });
    for (const [program, ...words] of Object.values(SHELLS)) {
      const input = `${text.replaceAll('touch BROKEN', 'echo BROKEN').replace(/^main .*$/m, '')}\nprintf %s "$OTHER"\n`;
      const { stdout, status } = spawnSync(program, [...words, '-s'], { input, encoding: 'utf8' });
      expect([status, stdout]).toEqual([0, NASTY.replaceAll('touch', 'echo')]);
    }
    expect(() => pairScript(platform, { ...VALUES, otherAddress: 'a\0b' })).toThrow(TypeError);
  });

  // all but a page is the same
  test.runIf(hasProgram('shellcheck')).each(isThorough ? platforms : (['linux'] as const))(
    'has nothing that shellcheck finds, nor has what it leaves behind (%s)',
    (platform) => {
      const keeper = printed(platform, "INIT=systemd\nUNIT=wg-quick@latchkey.service\nPREFIX=''\nkeeper_text");
      for (const input of [pairScript(platform, VALUES), keeper]) {
        const { stdout, status } = spawnSync('shellcheck', ['--shell=sh', '-'], { input, encoding: 'utf8' });
        expect([stdout, status]).toEqual(['', 0]);
      }
    },
  );

  test('uses each of its templates', () => {
    const names = readdirSync(folder).map((name) => name.replace('.sh', ''));
    const sources = names.map((name) => readFileSync(new URL(`${name}.sh`, folder), 'utf8')).join('');
    const unused = names.filter((name) => !sources.includes(`# @@own ${name}@@`));
    expect(unused.sort()).toEqual([...platforms].sort());
  });

  test.runIf(hasProgram('systemd-analyze'))('has units that systemd takes', async () => {
    const text = (name: string): string => printed('linux', `INIT=systemd\nfind_keeper\n${name}`);
    const units = {
      'latchkey-keep-latchkey.service': text('service_text'),
      'latchkey-keep-latchkey.timer': text('timer_text'),
    };
    const ours = (said: string): string[] => said.split('\n').filter((line) => line.includes('latchkey-keep'));
    expect(ours(await verifyUnits(units))).toEqual([]);
    const wrong = {
      ...units,
      'latchkey-keep-latchkey.timer': units['latchkey-keep-latchkey.timer'].replace('30s', 'x'),
    };
    expect(ours(await verifyUnits(wrong))).not.toEqual([]);
  });

  test('has a file for cron that is one line of root’s, under a name that cron takes', () => {
    const text = printed('linux', 'INIT=none\nTUNNEL=a.b\nfind_keeper\nprintf "%s\\n" "$CRON_FILE"; cron_text');
    expect(text.split('\n')).toEqual([
      '/etc/cron.d/latchkey-keep-a_b',
      '# pair 10.71.203.0/30, by Latchkey',
      '* * * * * root /bin/sh /usr/local/lib/latchkey/keep-a.b >/dev/null 2>&1 # latchkey-keep-a.b',
      '',
    ]);
  });

  test.runIf(hasProgram('python3'))('has property lists that launchd takes', () => {
    const at = 'PREFIX=/opt/homebrew\nLABEL=com.latchkey.pair.latchkey\nLOG=/var/log/x.log\nfind_keeper\n';
    const read = 'import json, plistlib, sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))';
    const parsed = (name: string): unknown =>
      JSON.parse(spawnSync('python3', ['-c', read], { input: printed('macos', at + name), encoding: 'utf8' }).stdout);
    expect(parsed('keeper_list')).toEqual({
      Label: 'com.latchkey.keep.latchkey',
      ProgramArguments: ['/bin/sh', '/etc/wireguard/latchkey.keep'],
      RunAtLoad: true,
      StartInterval: 30,
      StandardErrorPath: '/dev/null',
    });
    expect(parsed('tunnel_list')).toMatchObject({
      Label: 'com.latchkey.pair.latchkey',
      ProgramArguments: ['/opt/homebrew/bin/wg-quick', 'up', '/etc/wireguard/latchkey.conf'],
    });
  });
});
