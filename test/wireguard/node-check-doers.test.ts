import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { NetworkView } from '../../wireguard/interface-address.ts';
import { generateKeyPair } from '../../wireguard/keys.ts';
import { alertNotice } from '../../wireguard/node/check-alert.ts';
import { alertTellers, parseAlertCommand } from '../../wireguard/node/check-channel.ts';
import { handOver } from '../../wireguard/node/check-handover.ts';
import { askKeyserver, faultOf, parseKeyserver } from '../../wireguard/node/check-keyserver.ts';
import { sightOf } from '../../wireguard/node/check-look.ts';
import { type RestartView, restartInterface, restartSteps } from '../../wireguard/node/check-restart.ts';
import {
  type CheckNotice,
  type CheckState,
  NO_CHECK_YET,
  readCheckState,
  writeCheckState,
} from '../../wireguard/node/check-state.ts';
import { KeyserverStandIn } from './keyserver-stand-in.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lk-check-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const NOTICE: CheckNotice = {
  id: 'x keyserver https://10.8.0.1:8443',
  event: 'keyserver_silent',
  over: false,
  subject: 'https://10.8.0.1:8443',
  said: 'key server https://10.8.0.1:8443 does not answer (ECONNREFUSED)',
  at: 1_700_000_000_000,
  lasted: null,
};

describe('the state of a check', () => {
  const STATE: CheckState = {
    version: 1,
    topics: { 'silent wg0': { bad: 2, good: 0, toldAt: null } },
    restarts: { wg0: { attempts: 3, at: 5, upSince: null } },
    handshakes: { 'wg0 K=': { value: 9, seenAt: 8 } },
    waiting: [{ ...NOTICE, to: 'command' }],
  };
  const damaged = (): never => {
    throw new Error('was said to be damaged');
  };

  it('is read as it was written, for its owner alone, in a folder that is made', () => {
    const path = join(folder, 'a/b/check.json');
    writeCheckState(path, STATE);
    expect(readCheckState(path, damaged)).toEqual(STATE);
    expect([path, join(folder, 'a')].map((one) => statSync(one).mode & 0o777)).toEqual([0o600, 0o700]);
  });

  it('is a new one where there is none, and nobody is told of a damage', () => {
    expect(readCheckState(join(folder, 'none'), damaged)).toEqual(NO_CHECK_YET);
  });

  it.each<[string, string]>([
    ['is empty', ''],
    ['was cut off', JSON.stringify(STATE).slice(0, -9)],
    ['is of another version', JSON.stringify({ ...STATE, version: 2 })],
    ['has a count below nothing', JSON.stringify({ ...STATE, topics: { x: { bad: -1, good: 0, toldAt: null } } })],
    [
      'has a restart that never was',
      JSON.stringify({ ...STATE, restarts: { wg0: { attempts: 0, at: 1, upSince: 1 } } }),
    ],
    ['lacks a part', JSON.stringify({ ...STATE, waiting: undefined })],
  ])('begins anew when it %s, and that is said', (_, text) => {
    const path = join(folder, 'damaged');
    writeFileSync(path, text);
    let said = 0;
    expect(readCheckState(path, () => said++)).toEqual(NO_CHECK_YET);
    expect(said).toBe(1);
  });

  it('refuses to begin anew when it cannot be read, or written', () => {
    expect(() => readCheckState(folder, damaged)).toThrow('could not be read (EISDIR)');
    writeFileSync(join(folder, 'plain'), '');
    expect(() => writeCheckState(join(folder, 'plain/check.json'), STATE)).toThrow('could not be written');
  });
});

describe('restartInterface()', () => {
  const SYSTEMD = '/run/systemd/system';
  const machine = (files: readonly string[], systemd = '', failing = '') => {
    const ran: string[] = [];
    const view: RestartView = {
      isFile: (path) => files.includes(path),
      run: async (argv) => {
        if (argv[1] === 'show' && files.includes(SYSTEMD)) return { exit: 0, stdout: Buffer.from(systemd) };
        ran.push(argv.join(' '));
        return { exit: argv.join(' ') === failing ? 1 : 0, stdout: Buffer.from('') };
      },
    };
    return { ran, view };
  };
  const CONF = '/etc/wireguard/wg0.conf';

  it.each<[string, string[], string, string[]]>([
    [
      'a unit that starts at boot',
      [SYSTEMD, CONF],
      'UnitFileState=enabled\nActiveState=inactive\n',
      ['systemctl restart wg-quick@wg0.service'],
    ],
    [
      'a unit that was started by hand',
      [SYSTEMD, CONF],
      'UnitFileState=disabled\nActiveState=active\n',
      ['systemctl restart wg-quick@wg0.service'],
    ],
    [
      'a unit that failed',
      [SYSTEMD, CONF],
      'UnitFileState=disabled\nActiveState=failed\n',
      ['systemctl restart wg-quick@wg0.service'],
    ],
    [
      'a file, where its unit is not used',
      [SYSTEMD, CONF],
      'UnitFileState=disabled\nActiveState=inactive\n',
      ['wg-quick up wg0'],
    ],
    [
      'an obfuscated one, by its own unit',
      [SYSTEMD, '/etc/amnezia/amneziawg/wg0.conf'],
      'UnitFileState=enabled\nActiveState=active\n',
      ['systemctl restart awg-quick@wg0.service'],
    ],
    [
      'a service of OpenRC, which would not restart what is gone',
      ['/run/openrc', '/etc/init.d/wg-quick.wg0', CONF],
      '',
      ['rc-service wg-quick.wg0 zap', 'rc-service wg-quick.wg0 start'],
    ],
    [
      'a service of OpenRC whose interface is half there',
      ['/run/openrc', '/etc/init.d/wg-quick.wg0', CONF, '/sys/class/net/wg0'],
      '',
      ['rc-service wg-quick.wg0 stop', 'rc-service wg-quick.wg0 zap', 'rc-service wg-quick.wg0 start'],
    ],
    [
      'a job of launchd',
      ['/Library/LaunchDaemons/com.latchkey.spoke.wg0.plist', '/usr/local/etc/wireguard/wg0.conf'],
      '',
      ['launchctl kickstart -k system/com.latchkey.spoke.wg0'],
    ],
    ['a file, where a service of OpenRC is and no OpenRC', ['/etc/init.d/wg-quick.wg0', CONF], '', ['wg-quick up wg0']],
    ['a file of Homebrew', ['/opt/homebrew/etc/wireguard/wg0.conf'], '', ['wg-quick up wg0']],
    [
      'a file, when what has its name is there',
      [CONF, '/sys/class/net/wg0'],
      '',
      ['wg-quick down wg0', 'wg-quick up wg0'],
    ],
  ])('restarts %s', async (_, files, systemd, commands) => {
    const { ran, view } = machine(files, systemd);
    const said: string[] = [];
    await restartInterface('wg0', (line) => said.push(line), view);
    expect(ran).toEqual(commands);
    expect(said).toEqual(commands.map((command) => `[#] ${command}`));
  });

  it('runs nothing for an interface that nothing here starts', async () => {
    const { ran, view } = machine([SYSTEMD, '/etc/wireguard/wg1.conf'], 'UnitFileState=\nActiveState=inactive\n');
    const attempt = restartInterface('wg0', () => undefined, view);
    await expect(attempt).rejects.toMatchObject({ code: 'restart_unknown' });
    expect(ran).toEqual([]);
  });

  it('goes on when it cannot be taken down, and fails when it cannot be brought up', async () => {
    const half = [CONF, '/sys/class/net/wg0'];
    const gone = machine(half, '', 'wg-quick down wg0');
    await restartInterface('wg0', () => undefined, gone.view);
    expect(gone.ran).toEqual(['wg-quick down wg0', 'wg-quick up wg0']);
    const attempt = restartInterface('wg0', () => undefined, machine(half, '', 'wg-quick up wg0').view);
    await expect(attempt).rejects.toMatchObject({ code: 'restart_failed' });
  });

  it('hands every name over as one word', () => {
    const [step] = restartSteps('a b', { starter: 'wg-quick', unit: '', isThere: false });
    expect(step?.argv).toEqual(['wg-quick', 'up', 'a b']);
  });
});

describe('sightOf() on a Mac, with a stand-in for wg', () => {
  const key = generateKeyPair().publicKey;
  const mac = (isSocketThere: boolean): NetworkView => ({
    platform: 'darwin',
    addresses: () => [],
    readText: (path) => (path === '/var/run/wireguard/wg0.name' ? 'utun4\n' : null),
    list: () => ['wg0.name'],
    isRootSocket: (path) => isSocketThere && path === '/var/run/wireguard/utun4.sock',
    rootWrote: () => null,
  });
  const wgSays = (script: string): void => {
    writeFileSync(join(folder, 'wg'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    vi.stubEnv('PATH', folder);
  };
  const device = `(none)\\t${key}\\t51820\\toff`;
  const peer = `${key}\\t(none)\\t192.0.2.1:51820\\t10.0.1.0/24\\t1700000000\\t1\\t2\\t25`;
  const DUMP = `[ "$*" = 'show utun4 dump' ] && printf '${device}\\n${peer}\\n'`;
  afterEach(() => vi.unstubAllEnvs());

  it('asks for the utun that wg-quick has written down', async () => {
    wgSays(DUMP);
    expect(await sightOf(['wg0', 'wg1'], 0, mac(true))).toMatchObject([
      { name: 'wg0', isUp: true, peers: [{ publicKey: key, lastHandshake: 1_700_000_000_000 }] },
      { name: 'wg1', isUp: false, peers: [] },
    ]);
  });
  it('finds one down that has left nothing but its name', async () => {
    wgSays(DUMP);
    expect(await sightOf(['wg0'], 0, mac(false))).toEqual([{ name: 'wg0', isUp: false, peers: [] }]);
  });
  it('finds one down that does not answer', async () => {
    wgSays("echo 'Unable to access interface: No such device' >&2; exit 1");
    expect(await sightOf(['wg0'], 0, mac(true))).toEqual([{ name: 'wg0', isUp: false, peers: [] }]);
  });
  it.each(['Operation not permitted', 'Permission denied'])('finds none down to whom wg says %s', async (words) => {
    wgSays(`echo 'Unable to access interface: ${words}' >&2; exit 1`);
    await expect(sightOf(['wg0'], 0, mac(true))).rejects.toMatchObject({ code: 'look_refused' });
  });
  it('asks awg where that is all there is', async () => {
    wgSays(DUMP);
    renameSync(join(folder, 'wg'), join(folder, 'awg'));
    expect(await sightOf(['wg0'], 0, mac(true))).toMatchObject([{ name: 'wg0', isUp: true }]);
    rmSync(join(folder, 'awg'));
  });
  it('finds none down where wg is not installed', async () => {
    vi.stubEnv('PATH', join(folder, 'nowhere'));
    await expect(sightOf(['wg0'], 0, mac(true))).rejects.toMatchObject({ code: 'driver_missing' });
  });
});

describe('askKeyserver(), of a stand-in for a key server', () => {
  let server: KeyserverStandIn;
  beforeAll(async () => {
    server = await KeyserverStandIn.start();
  });
  afterAll(() => server.stop());

  it('finds nothing wrong when it says that it is well', async () => {
    server.says(200, '{"status":"ok"}');
    expect(await askKeyserver(server.origin, server.ca)).toBeNull();
  });
  it('says what a key server says of itself, and repeats no other word', async () => {
    server.says(503, '{"status":"sealed"}');
    expect(await askKeyserver(server.origin, server.ca)).toBe('answers 503 (sealed)');
    server.says(502, '{"status":"secret words of a proxy"}');
    expect(await askKeyserver(server.origin, server.ca)).toBe('answers 502');
  });
  it('follows nobody elsewhere', async () => {
    server.says(302, '', { location: `${server.origin}/health` });
    expect(await askKeyserver(server.origin, server.ca)).toBe('answers 302');
  });
  it('believes no certificate that is not of its authority', async () => {
    server.says(200, '{"status":"ok"}');
    expect(await askKeyserver(server.origin, null)).toBe(
      'shows a certificate that is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT)',
    );
  });
  it('waits for no answer that does not come, and reads none without end', async () => {
    server.answer = () => undefined;
    expect(await askKeyserver(server.origin, server.ca, 100)).toBe('does not answer within 0.1 s');
    server.says(200, `{"status":"ok","x":"${'x'.repeat(10_000)}"}`);
    expect(await askKeyserver(server.origin, server.ca)).toMatch(/^does not answer/);
  });
  it('finds nobody where nobody listens', async () => {
    server.stop();
    expect(await askKeyserver(server.origin, server.ca)).toBe('does not answer (ECONNREFUSED)');
  });
  it.each([
    [200, 'ok'],
    [200, '{"status":"OK"}'],
    [200, 'null'],
    [200, '{"status":"sealed"}'],
  ])('takes %i %s for no key server that is well', (status, body) => {
    expect(faultOf(status, body)).toBe('answers what no key server would');
  });
  it.each([
    'http://10.8.0.1:8443',
    'https://u@h',
    'https://:p@h',
    'https://h/x',
    'https://h/?a',
    'https://h/#a',
    'h:1',
    '',
  ])('refuses %j', (text) => {
    expect(() => parseKeyserver(text)).toThrow('"--keyserver" must be https://HOST:PORT');
  });
  it.each(['https://10.8.0.1:8443', 'https://10.8.0.1:8443/', 'HTTPS://10.8.0.1:8443'])('takes %j', (text) => {
    expect(parseKeyserver(text)).toBe('https://10.8.0.1:8443');
  });
});

describe('handOver()', () => {
  const waiting = { ...NOTICE, to: 'command' };
  const round = { now: () => NOTICE.at, keep: () => undefined };
  const by = (...argv: [string, ...string[]]) => alertTellers(argv, []);

  it('gives a program one alert after the other, in the members of a key server’s', async () => {
    const [out, script] = [join(folder, 'out'), join(folder, 'tell.sh')];
    writeFileSync(script, `cat >>'${out}'\n`);
    const over = { ...waiting, id: 'y', over: true, lasted: 61_000 };
    const handed = await handOver([waiting, over], by('/bin/sh', script), 'office', round);
    expect(handed).toEqual({ left: [], failures: [], dropped: [] });
    const alerts = readFileSync(out, 'utf8').trimEnd().split('\n');
    expect(alerts.map((line) => JSON.parse(line))).toEqual([
      { version: 1, ...alertNotice(NOTICE, 'office') },
      { version: 1, ...alertNotice(over, 'office') },
    ]);
    const keys = ['version', 'id', 'server', 'severity', 'title', 'text', 'alerts'];
    expect(Object.keys(JSON.parse(alerts[0] ?? ''))).toEqual(keys);
  });

  it('keeps what a program did not take, and all behind it', async () => {
    const both = [waiting, { ...waiting, id: 'y' }];
    const handed = await handOver(both, by('/bin/false'), 'office', round);
    expect(handed).toMatchObject({ left: both, failures: [{ code: 'command_failed' }] });
    const gone = await handOver(both, by('/nowhere/at all'), 'office', round);
    expect(gone).toMatchObject({ left: both, failures: [{ code: 'command_missing' }] });
  });

  it('says how bad it is, and how long it lasted', () => {
    expect(alertNotice(NOTICE, 'office')).toMatchObject({ severity: 'critical', title: `office: ${NOTICE.said}` });
    expect(alertNotice({ ...NOTICE, event: 'handshake_stale' }, 'office')).toMatchObject({ severity: 'warning' });
    const over = alertNotice({ ...NOTICE, over: true, lasted: 61_000 }, 'office');
    expect(over.severity).toBe('info');
    expect(over.text).toContain('It is over after 1 minute: ');
  });

  it.each(['tell', '', ' ', './tell', 'tell /bin/x', '/bin/x\n/bin/y'])('takes no program as %j', (text) => {
    expect(() => parseAlertCommand(text)).toThrow('"--alert-command" must begin with the absolute path');
  });
  it('is split at spaces, and read by no shell', () => {
    expect(parseAlertCommand('/bin/x  $HOME ;y')).toEqual(['/bin/x', '$HOME', ';y']);
  });
});
