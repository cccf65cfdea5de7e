import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addProvisionCommands } from '../../wireguard/commands/provision.ts';
import { overSsh } from '../../wireguard/provision/place.ts';
import { guardText, provisionText } from '../../wireguard/provision/script.ts';
import { SHELLS } from '../harness/installer-machine.ts';
import { hasProgram } from '../harness/programs.ts';
import { runHubCommand } from './command-runner.ts';
import { provisionScript } from './provision-machine.ts';
import { type RunningHub, startRunningHub } from './running-hub.ts';

/** Breaks out of every careless way to put a value into a script. */
const NASTY = "'; touch BROKEN #'\n$(touch BROKEN)`touch BROKEN`\n# @@values@@\n# @@part say@@\nGUARD\n$& $1\\";
const isThorough = process.env.LATCHKEY_THOROUGH === '1';
const shells = Object.entries(SHELLS).filter(([, [program]]) => hasProgram(program));

describe('provisionText()', () => {
  test('is the same for the same values, whole, and has nothing of the template left', () => {
    expect(provisionScript()).toBe(provisionScript());
    expect(provisionScript({ waitSeconds: 31 })).not.toBe(provisionScript());
    expect(provisionScript()).not.toMatch(/@@/);
    expect(provisionScript()).toContain("\nSYSCTLS='net/ipv4/ip_forward 1\nnet/ipv6/conf/all/forwarding 1'\n");
    expect(provisionScript()).toContain(guardText().trimEnd());
  });
  test.each(shells)('hands %s each value as it is, and nothing in it is run', (_, argv) => {
    const text = provisionText({ role: 'hub', ruleset: NASTY, sysctls: [], services: [NASTY], waitSeconds: 7 });
    const show = 'printf "%s|%s|%s" "$RULESET" "$SERVICES" "$WAIT"';
    const [command, ...first] = argv;
    const input = text.replace(/^main "\$@".*$/m, show);
    const cwd = mkdtempSync(join(tmpdir(), 'lk-provision-'));
    const { stdout, stderr } = spawnSync(command, [...first, '-s'], { input, encoding: 'utf8', cwd });
    expect([stdout, stderr]).toEqual([`${NASTY}|${NASTY}|7`, '']);
    expect(readdirSync(cwd)).toEqual([]);
    rmSync(cwd, { recursive: true });
  });
  test.each(shells)('says under %s what it does, and what it does not know', (_, argv) => {
    const [command, ...first] = argv;
    const said = (...words: string[]) =>
      spawnSync(command, [...first, '-s', '--', ...words], { input: provisionScript(), encoding: 'utf8' });
    expect(said('--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('waits 30 seconds') });
    for (const words of [['--frobnicate'], ['--confirm', '--roll-back']]) {
      expect(said(...words)).toMatchObject({ status: 2, stdout: '' });
    }
  });
  test.each(shells)('does nothing under %s when half of it has come', (_, [command, ...first]) => {
    const text = provisionScript();
    const input = text.slice(0, text.lastIndexOf('main "$@"'));
    expect(spawnSync(command, [...first, '-s'], { input, encoding: 'utf8' })).toMatchObject({ status: 0, stdout: '' });
  });
  // of the script its parts are looked at with the installers that have them, and all of it when there is time
  test.runIf(hasProgram('shellcheck')).each(isThorough ? [guardText(), provisionScript()] : [guardText()])(
    'shellcheck finds nothing in it (%#)',
    (input) => {
      const { stdout, status } = spawnSync('shellcheck', ['--shell=sh', '-'], { input, encoding: 'utf8' });
      expect([stdout, status]).toEqual(['', 0]);
    },
  );
});

describe('overSsh()', () => {
  test('knows the host or does not connect, and never shares a connection', () => {
    const argv = overSsh('ann@hub.example');
    for (const one of ['BatchMode=yes', 'StrictHostKeyChecking=yes', 'ControlMaster=no', 'ControlPath=none']) {
      expect(argv[argv.indexOf(one) - 1]).toBe('-o');
    }
    expect(argv.slice(argv.indexOf('--'))).toEqual(['--', 'ann@hub.example', 'sudo', '-n', 'sh', '-s']);
    expect(overSsh('ssh://root@[fd00::1]:2222', 'file').slice(-6)).toEqual([
      ...['-F', 'file', '--', 'ssh://root@[fd00::1]:2222', 'sh', '-s'],
    ]);
  });
  test.each(['', '-oProxyCommand=x', 'a b', 'a;b', 'ssh://', 'ann@hub\n'])('refuses %j', (target) => {
    expect(() => overSsh(target)).toThrow('"--ssh" must be');
  });
});

describe('wghub provision', () => {
  let running: RunningHub;
  beforeAll(async () => {
    running = await startRunningHub({ config: { listen: { host: '127.0.0.1', port: 0 } } });
  });
  afterAll(() => running.stop());
  const provision = (...words: string[]) => runHubCommand(addProvisionCommands, ['provision', ...words]);
  const spoke = (...words: string[]) =>
    provision('spoke', '--network', '10.0.1.0/24', '--hub-address', '10.0.1.1', ...words);

  test('prints the script of this hub, which forwards', async () => {
    const { exit, stdout } = await provision('hub', '--data', running.data.directory, '--talking', 'all');
    expect(exit).toBe(0);
    expect(stdout).toMatch(/^#!\/bin\/sh\n/);
    expect(stdout).toContain("\nROLE='hub'\n");
    expect(stdout).toContain('udp dport { 51820 } accept');
    expect(stdout).toContain("\nSYSCTLS='net/ipv4/ip_forward 1\n");
    expect(stdout).toContain("\nWAIT='60'\n");
  });
  test('prints that of a spoke, which does not', async () => {
    const { exit, stdout } = await spoke('--confirm-within', '90', '--interface', 'wg7', '--json');
    expect(exit).toBe(0);
    const { script } = JSON.parse(stdout) as { script: string };
    expect(script).toContain(
      "\nSYSCTLS=''\nSERVICES='wg-quick@wg7.service latchkey-node-look.service latchkey-node.service'\n",
    );
    expect(script).toContain("\nWAIT='90'\n");
    expect(script).toContain('iifname "wg7" ip saddr 10.0.1.1 counter drop');
  });
  test.each([
    [['--run', '--ssh', 'ann@hub'], '"--run" is here'],
    [['--ssh-config', 'file'], '"--ssh-config" needs "--ssh"'],
    [['--ssh=-oProxyCommand=x'], '"--ssh" must be'],
    [['--confirm-within', '4'], '"--confirm-within" must be'],
    [['--confirm-within', '601'], '"--confirm-within" must be'],
    [['--interface', 'a b'], '"--interface" must be'],
  ])('refuses %j', async (words, says) => {
    const refused = await spoke(...words);
    expect([refused.exit, refused.stdout]).toEqual([2, '']);
    expect(refused.stderr).toContain(says);
  });
});
