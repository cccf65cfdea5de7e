import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../platform/run.ts';
import { pluginAnswer } from '../../wireguard/node/check-plugin.ts';
import type { CheckFinding } from '../../wireguard/node/check-topic.ts';
import { type CheckForm, checkForms, checkTimerFiles } from '../../wireguard/node/check-units.ts';
import { addNodeCommands } from '../../wireguard/node/commands.ts';
import { placeFiles } from '../../wireguard/node/place-files.ts';
import { runCommandHere } from '../harness/command-runner.ts';
import { freePort } from '../harness/free-port.ts';
import { hasProgram } from '../harness/programs.ts';
import { verifyUnits } from '../harness/unit-verification.ts';
import { KeyserverStandIn } from './keyserver-stand-in.ts';

let folder: string;
let state: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lk-check-'));
  state = join(folder, 'check.json');
});
afterAll(() => rmSync(folder, { recursive: true }));

const wgnode = (...argv: string[]) => runCommandHere(addNodeCommands, argv, { program: 'wgnode' });
const WRONG: [string, string[], string][] = [
  ['nothing to look at', [], '"--interface" or "--keyserver" must say what is to be looked at'],
  ['a name that no interface has', ['--interface', 'a/b'], '"--interface" must be a name of an interface'],
  ['a key server without TLS', ['--keyserver', 'http://10.8.0.1'], '"--keyserver" must be https'],
  ['an authority that is not there', ['--keyserver', 'https://h', '--ca', '/no/ca.pem'], '"--ca" must be a PEM file'],
  [
    'a program that is looked for',
    ['--interface', 'wg0', '--alert-command', 'mail'],
    'must begin with the absolute path',
  ],
  ['no rounds', ['--interface', 'wg0', '--bad-rounds', '0'], '"--bad-rounds" must be an integer from 1'],
  ['no rounds to be over', ['--interface', 'wg0', '--good-rounds', '0'], '"--good-rounds" must be an integer from 1'],
  ['a bound that is no number', ['--interface', 'wg0', '--warning', '3m'], '"--warning" must be an integer'],
  ['bounds the wrong way round', ['--interface', 'wg0', '--warning', '301'], '"--warning" must not be more than'],
];

describe('wgnode check', () => {
  it.each(WRONG)('refuses %s, and leaves nothing behind', async (_, words, text) => {
    const said = await wgnode('check', '--state', state, ...words);
    expect(said).toMatchObject({ exit: 2, stdout: '' });
    expect(said.stderr).toContain(text);
    expect(existsSync(state)).toBe(false);
  });

  it.each(WRONG)('is unknown to Nagios, and 3, for %s', async (_, words, text) => {
    const said = await wgnode('check', '--nagios', ...words);
    expect(said.exit).toBe(3);
    expect(said.stdout).toMatch(/^UNKNOWN: [^\n]+\n$/);
    expect(said.stdout).toContain(text);
  });

  it('tells of a key server where nobody listens after three rounds, again until it is taken, and begins anew', async () => {
    const origin = `https://127.0.0.1:${await freePort()}`;
    const round = (...words: string[]) => wgnode('check', '--keyserver', origin, '--state', state, ...words);
    const told = `key server ${origin} does not answer (ECONNREFUSED)`;
    const failing = ['--alert-command', '/bin/false', '--json'];
    const rounds = [await round(...failing), await round(...failing), await round(...failing)];
    expect(rounds.map(({ exit }) => exit)).toEqual([1, 1, 1]);
    const [first, , third] = rounds.map(({ stdout }) => JSON.parse(stdout));
    expect(first).toMatchObject({
      findings: [{ level: 'critical', said: told }],
      restarts: [],
      told: [],
      undelivered: 0,
    });
    expect(third).toMatchObject({ told: [{ version: 1, severity: 'critical' }], undelivered: 1 });
    const script = join(folder, 'tell.sh');
    writeFileSync(script, `cat >>'${folder}/alerts'\n`);
    for (const _ of [1, 2]) await round('--alert-command', `/bin/sh ${script}`);
    expect(readFileSync(join(folder, 'alerts'), 'utf8').trimEnd().split('\n')).toEqual([JSON.stringify(third.told[0])]);

    writeFileSync(state, '{');
    const anew = await round('--bad-rounds', '1');
    expect(anew.stderr).toContain(`${state} was damaged; it starts anew`);
    expect(anew.stdout).toBe(`critical  ${told}\nalert: ${told}\n`);
    expect((await wgnode('check', '--nagios', '--keyserver', origin)).stdout).toBe(`CRITICAL: ${told}\n`);
  });
});

describe('wgnode check, of a stand-in for a key server', () => {
  let server: KeyserverStandIn;
  beforeAll(async () => {
    server = await KeyserverStandIn.start();
    writeFileSync(join(folder, 'ca.pem'), server.ca);
  });
  afterAll(() => server.stop());
  const round = (...words: string[]) => {
    const known = ['--keyserver', server.origin, '--ca', join(folder, 'ca.pem'), '--state', join(folder, 'other.json')];
    return wgnode('check', ...known, '--bad-rounds', '1', '--good-rounds', '1', ...words);
  };

  it('ends with 0 when it is well, and with 1 as long as an alert has not gone out', async () => {
    server.says(503, '{"status":"sealed"}');
    const told = `key server ${server.origin} answers 503 (sealed)`;
    expect(await round()).toMatchObject({ exit: 1, stdout: `critical  ${told}\nalert: ${told}\n` });
    server.says(200, '{"status":"ok"}');
    const well = `ok        key server ${server.origin} answers\n`;
    const over = await round('--alert-command', '/bin/false');
    expect(over).toMatchObject({ exit: 1, stdout: `${well}alert: over: key server ${server.origin} answers\n` });
    expect(over.stderr).toContain('/bin/false ended with exit code 1; alerts that are tried again: 1\n');
    expect((await round('--alert-command', '/bin/false')).exit).toBe(1);
    expect(await round('--alert-command', '/bin/true')).toEqual({ exit: 0, stdout: well, stderr: '' });
    const plugin = await wgnode('check', '--nagios', '--keyserver', server.origin, '--ca', join(folder, 'ca.pem'));
    expect(plugin).toEqual({ exit: 0, stdout: `OK: key server ${server.origin} answers\n`, stderr: '' });
  });
});

describe('pluginAnswer()', () => {
  const bounds = { warning: 180, critical: 300 };
  const finding = (level: CheckFinding['level'], said: string, age?: number | null): CheckFinding => {
    return { topic: said, event: 'handshake_stale', subject: said, level, said, ...(age === undefined ? {} : { age }) };
  };
  it.each<[string, CheckFinding[], number, string]>([
    ['all is well', [finding('ok', 'wg0 is up'), finding('ok', 'a', 41)], 0, 'OK: wg0 is up, a |handshake=41s;180;300'],
    ['one is late', [finding('ok', 'up'), finding('warning', 'late', 200)], 1, 'WARNING: late |handshake=200s;180;300'],
    ['none ever was', [finding('critical', 'never', null)], 2, 'CRITICAL: never |handshake=U;180;300'],
    ['an interface is down', [finding('critical', 'wg0 is down')], 2, 'CRITICAL: wg0 is down'],
    [
      'the worst is not the first',
      [finding('warning', 'late K=', 200), finding('ok', 'b', 1), finding('critical', 'c')],
      2,
      "CRITICAL: c, late K= |'handshake late K'=200s;180;300 'handshake b'=1s;180;300",
    ],
    ['a word would begin the data', [finding('critical', 'a|b')], 2, 'CRITICAL: a/b'],
  ])('when %s', (_, findings, exit, line) => {
    expect(pluginAnswer(findings, bounds)).toEqual({ exit, line });
  });
});

describe('wgnode check print', () => {
  const facts = {
    node: '/opt/100% node/bin/node',
    root: '/opt/latch $HOME',
    words: ['--interface', 'wg0', '--alert-command', '/bin/it\'s <a> & 100% "b"'],
    everySeconds: 300,
    stateFolder: null,
  };
  const texts = (form: CheckForm) => checkTimerFiles(form, facts).map(({ text }) => text);

  it.each(['systemd', 'cron', 'launchd'] as const)('refuses for %s what no such file can hold', (form) => {
    expect(() => checkTimerFiles(form, { ...facts, root: '/a\nExecStart=/b' })).toThrow('control characters');
  });

  it('is one answer: a plugin’s line or JSON', async () => {
    const said = await wgnode('check', '--nagios', '--json', '--interface', 'wg0');
    expect(said.exit).toBe(2);
    expect(said.stderr).toContain("option '--nagios' cannot be used with option '--json'");
  });

  it.each<[string, string[], string]>([
    ['no form', ['--interface', 'wg0'], "'--form <form>' not specified"],
    ['an unknown form', ['--form', 'at', '--interface', 'wg0'], 'Allowed choices'],
    ['nothing to look at', ['--form', 'cron'], 'must say what is to be looked at'],
    ['a pause that no crontab can say', ['--form', 'cron', '--every', '7m', '--interface', 'wg0'], '"--every" must be'],
    ['a plugin', ['--form', 'cron', '--nagios', '--interface', 'wg0'], '"--nagios" is for who asks'],
  ])('refuses %s', async (_, words, text) => {
    const said = await wgnode('check', 'print', ...words);
    expect(said).toMatchObject({ exit: 2, stdout: '' });
    expect(said.stderr).toContain(text);
  });

  it.skipIf(!hasProgram('systemd-analyze'))('is units that systemd takes, and not when a word is wrong', async () => {
    const program = { ...facts, node: process.execPath, root: join(import.meta.dirname, '../..') };
    for (const stateFolder of [null, '/srv/a b 100%']) {
      const files = checkTimerFiles('systemd', { ...program, stateFolder });
      const units = Object.fromEntries(files.map(({ path, text }) => [basename(path), text]));
      expect(Object.keys(units)).toEqual(['latchkey-node-check.service', 'latchkey-node-check.timer']);
      const ours = (said: string) => said.split('\n').filter((line) => line.includes('latchkey-node-check'));
      expect(ours(await verifyUnits(units))).toEqual([]);
      const timer = (units['latchkey-node-check.timer'] ?? '').replace('=300s', '=300x');
      expect(ours(await verifyUnits({ ...units, 'latchkey-node-check.timer': timer }))).not.toEqual([]);
    }
  });

  it('gives its unit the right over networks and no more, and room for its state', () => {
    const [service = ''] = texts('systemd');
    expect(service).toContain('\nCapabilityBoundingSet=CAP_NET_ADMIN CAP_DAC_OVERRIDE\n');
    expect(service).toContain('\nStateDirectory=latchkey-node\n');
    const [moved] = checkTimerFiles('systemd', { ...facts, stateFolder: '/srv/x' });
    expect(moved?.text).toContain('\nReadWritePaths="/srv/x"\n');
    expect(moved?.text).not.toContain('StateDirectory=');
  });

  it.skipIf(!hasProgram('python3'))('is a property list that says what was meant', async () => {
    const read = 'import json, plistlib, sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))';
    const said = await run(['python3', '-c', read], { input: texts('launchd')[0] ?? '', timeoutMs: 30_000 });
    const plist = JSON.parse(said.stdout.toString());
    expect(plist).toMatchObject({ Label: 'latchkey.node-check', StartInterval: 300, RunAtLoad: true });
    expect(plist.ProgramArguments.slice(3)).toEqual(['check', ...facts.words]);
    expect(plist.EnvironmentVariables.PATH.split(':')).toContain('/opt/homebrew/bin');
  });

  it('is a line of a crontab from which a shell makes the same words', async () => {
    const lines = (texts('cron')[0] ?? '').trimEnd().split('\n');
    const [, command = ''] = /^\*\/5 \* \* \* \* root (.*) >\/dev\/null 2>&1$/.exec(lines.at(-1) ?? '') ?? [];
    expect(command).not.toMatch(/(?<!\\)%/); // cron ends a line there
    const show = `show() { printf '%s\\n' "$@"; }; show ${command.replaceAll('\\%', '%')}`;
    const said = await run(['sh', '-c', show], { timeoutMs: 10_000 });
    const main = `${facts.root}/wireguard/node/main.ts`;
    const words = [facts.node, '--disable-warning=ExperimentalWarning', main, 'check', ...facts.words];
    expect(said.stdout.toString()).toBe(`${words.join('\n')}\n`);
  });

  it.each(checkForms)('writes for %s over its own files, wherever the clone is, and over nobody else’s', (form) => {
    const quiet = { ...facts, root: '/opt/lk', words: ['--interface', 'wg0'], stateFolder: '/srv/state' };
    const files = checkTimerFiles(form, quiet).map(({ path, text }) => ({
      path: join(folder, form, basename(path)),
      text,
    }));
    placeFiles(files);
    placeFiles(files);
    for (const { path } of files) writeFileSync(path, '* * * * * root true\n');
    expect(() => placeFiles(files)).toThrow('is there already, and not of this');
  });

  it('hands on what was given, with whole paths, and nothing that was not', async () => {
    const said = await wgnode(
      ...['check', 'print', '--form', 'cron', '--every', '2h', '--interface', 'wg0', 'wg1', '--ca', 'ca.pem'],
      ...['--keyserver', 'https://h', '--no-restart', '--each-peer', '--bad-rounds', '5', '--state', 's.json'],
    );
    expect(said.exit).toBe(0);
    const words = `--interface wg0 wg1 --keyserver https://h --ca ${process.cwd()}/ca.pem --bad-rounds 5 --state ${process.cwd()}/s.json --each-peer --no-restart`;
    expect(said.stdout).toContain(`\n0 */2 * * * root ${process.execPath} `);
    expect(said.stdout).toContain(`/wireguard/node/main.ts check ${words} >/dev/null 2>&1\n`);
    expect(said.stderr).toBe(
      'wgnode: hint: as root: write it to /etc/cron.d/latchkey-node-check, or have that done by --write; cron reads it by itself\n',
    );
    const json = await wgnode('check', 'print', '--form', 'launchd', '--interface', 'wg0', '--json');
    expect(JSON.parse(json.stdout).files).toEqual([
      { path: '/Library/LaunchDaemons/latchkey.node-check.plist', text: expect.stringMatching(/^<\?xml/) },
    ]);
    const units = await wgnode('check', 'print', '--form', 'systemd', '--interface', 'wg0');
    expect(units.stdout).toContain('# /etc/systemd/system/latchkey-node-check.timer\n');
    expect(units.stderr).toContain('it restarts what systemd starts: systemctl enable wg-quick@wg0');
  });
});
