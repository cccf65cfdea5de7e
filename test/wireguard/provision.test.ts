import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addProvisionCommands } from '../../wireguard/commands/provision.ts';
import { generateKeyPair } from '../../wireguard/keys.ts';
import { decide } from '../../wireguard/provision/carry-out.ts';
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
    const text = provisionText({
      role: 'hub',
      ruleset: NASTY,
      sysctls: [],
      services: [NASTY],
      waitSeconds: 7,
      tunnel: { name: 'wg0', text: NASTY, publicKey: 'key', addresses: [], listenPort: null },
    });
    const show = 'printf "%s|%s|%s|%s" "$RULESET" "$SERVICES" "$WAIT" "$TUNNEL_TEXT"';
    const [command, ...first] = argv;
    const input = text.replace(/^main "\$@".*$/m, show);
    const cwd = mkdtempSync(join(tmpdir(), 'lk-provision-'));
    const { stdout, stderr } = spawnSync(command, [...first, '-s'], { input, encoding: 'utf8', cwd });
    expect([stdout, stderr]).toEqual([`${NASTY}|${NASTY}|7|${NASTY}`, '']);
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

describe('decide()', () => {
  const silent = { onStdout: () => undefined, onStderr: () => undefined };
  test('does not say what became of it when there was no answer in time', async () => {
    const slow = decide(['sh', '-c', 'exec sleep 30'], 'confirm', silent, 100);
    await expect(slow).rejects.toMatchObject({ code: 'provision_undecided' });
    await expect(decide(['false'], 'confirm', silent)).rejects.toMatchObject({ code: 'provision_unconfirmed' });
  });
});

describe('wghub provision', () => {
  let running: RunningHub;
  const folder = mkdtempSync(join(tmpdir(), 'lk-provision-'));
  beforeAll(async () => {
    running = await startRunningHub({ config: { listen: { host: '127.0.0.1', port: 0 } } });
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true });
    await running.stop();
  });
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

  /** A file as somebody has it, and its path. */
  const fileOf = (text: string, mode = 0o600): string => {
    const file = join(folder, `${randomUUID()}.conf`);
    writeFileSync(file, text, { mode });
    return file;
  };
  const { privateKey, publicKey } = generateKeyPair();
  const peer = `[Peer]\nPublicKey = ${publicKey}\nAllowedIPs = 10.0.1.0/24\n`;
  const tunnelText = (more = '', address = '10.0.1.11/24'): string =>
    `# mine\n[Interface]\nPrivateKey = ${privateKey}\nAddress = ${address}\n${more}\n${peer}`;

  test('gives a spoke the file as it is, and says that the script is a secret', async () => {
    const { exit, stdout, stderr } = await spoke('--interface', 'wg7', '--interface-file', fileOf(tunnelText()));
    expect(exit).toBe(0);
    expect(stdout).toContain(`\nTUNNEL='wg7'\nTUNNEL_KEY='${publicKey}'\nTUNNEL_TEXT='${tunnelText().trimEnd()}'\n`);
    expect(stderr).toContain('the script has the private key');
    expect(stderr).not.toContain(privateKey);
  });
  test('has rules for a hub that is but a file', async () => {
    const file = fileOf(tunnelText('ListenPort = 51999', '10.0.1.1/24, fd01::1/64'));
    const { exit, stdout } = await provision('hub', '--interface-file', file, '--talking', '10.0.1.11', 'fd01::/96');
    expect(exit).toBe(0);
    expect(stdout).toContain("\nSERVICES='wg-quick@wg0.service'\n");
    expect(stdout).toContain("\nSYSCTLS='net/ipv4/ip_forward 1\n");
    for (const rule of ['udp dport { 51999 } accept', 'ip saddr 10.0.1.0/24 drop', 'ip6 saddr fd01::/64 drop']) {
      expect(stdout).toContain(rule);
    }
    expect(stdout).toMatch(/set talking4 \{[^}]*10\.0\.1\.11/s);
    expect(stdout).toMatch(/set talking6 \{[^}]*fd01::\/96/s);
  });
  test.each<[words: string, text: string, says: string]>([
    ['without a key', tunnelText().replace(/^PrivateKey.*\n/m, ''), 'has no PrivateKey'],
    ['without an address', tunnelText().replace(/^Address.*\n/m, ''), 'has no Address'],
    ['with commands', tunnelText('PostUp = touch /tmp/x'), 'has commands'],
    ['that wg-quick writes over', tunnelText('SaveConfig = true'), 'has SaveConfig'],
    ['for AmneziaWG', tunnelText('Jc = 4\nJmin = 40\nJmax = 70'), 'is for AmneziaWG'],
    ['of another network', tunnelText('', '10.0.2.11/24'), 'has the address 10.0.2.11/24, which is in no "--network"'],
    ['of a larger one', tunnelText('', '10.0.3.11/16'), 'has the address 10.0.3.11/16'],
    ['that is none', 'nothing', '"--interface-file": line 1'],
  ])('refuses a file %s', async (_, text, says) => {
    const refused = await spoke('--interface-file', fileOf(text));
    expect([refused.exit, refused.stdout]).toEqual([2, '']);
    expect(refused.stderr).toContain(says);
    expect(refused.stderr).not.toContain(privateKey);
  });
  test('refuses a file that others may read, and for a hub one that nobody could reach', async () => {
    const open = await spoke('--interface-file', fileOf(tunnelText(), 0o644));
    expect(open).toMatchObject({ exit: 3, stdout: '', stderr: expect.stringContaining('can be read by others') });
    const unheard = await provision('hub', '--interface-file', fileOf(tunnelText()));
    expect(unheard).toMatchObject({ exit: 2, stdout: '', stderr: expect.stringContaining('has no ListenPort') });
  });
  test.each(['10.0.1.1/32', '10.0.1.1/24, fd01::1/128'])('refuses a hub of which nobody is by %s', async (address) => {
    const file = fileOf(tunnelText('ListenPort = 51999', address));
    const refused = await provision('hub', '--interface-file', file, '--talking', 'all');
    expect([refused.exit, refused.stdout]).toEqual([2, '']);
    expect(refused.stderr).toMatch(/"--interface-file" has the Address .*\/(32|128), in whose network.*prefix length/s);
  });
  test('takes a hub with a second address in its network', async () => {
    const file = fileOf(tunnelText('ListenPort = 51999', '10.0.1.1/24, 10.0.1.2/32'));
    expect(await provision('hub', '--interface-file', file)).toMatchObject({ exit: 0 });
  });
  test.each([
    [[], 'either "--data" or "--interface-file"'],
    [['--data', '/nowhere', '--interface-file', '/nowhere'], 'either "--data" or "--interface-file"'],
  ])('refuses a hub of %j', async (words, says) => {
    const refused = await provision('hub', ...words);
    expect(refused).toMatchObject({ exit: 2, stdout: '', stderr: expect.stringContaining(says) });
  });
  test('knows no names where there is no store', async () => {
    const file = fileOf(tunnelText('ListenPort = 51999'));
    for (const name of ['attic', '10.0.2.1']) {
      expect(await provision('hub', '--interface-file', file, '--talking', name)).toMatchObject({
        exit: 2,
        stdout: '',
      });
    }
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
