import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { propertyList } from '../../platform/property-list.ts';
import type { InstallerValues } from '../../wireguard/installers/render.ts';
import { answers } from '../harness/hub-network.ts';
import { installerObstacle, SHELLS, type Shell } from '../harness/installer-machine.ts';
import { InstallerScene } from '../harness/installer-scene.ts';
import { MacMachine, type MacShape } from '../harness/mac-machine.ts';
import { DARWIN_WG_QUICK } from '../harness/mac-stand-ins.ts';

const obstacle = installerObstacle();
const isThorough = process.env.LATCHKEY_THOROUGH === '1';
const shells = Object.keys(SHELLS) as Shell[];
const TOKEN = 'CANARY'.padEnd(43, 'x');
const CONF = '/etc/wireguard/wg0.conf';
const LABEL = 'com.latchkey.spoke.wg0';
const PLIST = `/Library/LaunchDaemons/${LABEL}.plist`;
const LOG = `/var/log/${LABEL}.log`;
/** A Mac on which the tools are. */
const READY: MacShape = { tools: '/opt/homebrew' };
const INSTALL = 'sudo -H -u ann /opt/homebrew/bin/brew install wireguard-tools';
const UNINSTALL =
  'sudo -H -u ann /opt/homebrew/bin/brew uninstall --formula bash readline wireguard-go wireguard-tools';
const BOOTSTRAP = `launchctl bootstrap system ${PLIST}`;
const BOOTOUT = `launchctl bootout system/${LABEL}`;
const UP = `wg-quick up ${CONF}`;
const DOWN = `wg-quick down ${CONF}`;

describe.skipIf(obstacle !== null)(`macos.sh${obstacle === null ? '' : ` (${obstacle})`}`, { timeout: 120_000 }, () => {
  let scene: InstallerScene;
  let mac: MacMachine;
  const make = async (shape?: MacShape): Promise<void> => {
    mac = await MacMachine.build(scene, shape);
  };
  const made = (values?: Partial<InstallerValues>): string =>
    scene.script('macos', values).replace(/^START_PATIENCE=30$/m, 'START_PATIENCE=3');
  const pings = (): Promise<boolean> => answers(mac.base.machine, '10.77.0.1');

  beforeAll(async () => {
    scene = await InstallerScene.build();
  });
  afterAll(() => scene.end());
  beforeEach(async () => {
    scene.hub.reset();
    await scene.hub.forget();
  });
  afterEach(() => mac.base.machine.halt());

  describe.each(shells)('run by %s', (shell) => {
    test('makes a tunnel that pings, changes nothing when it is run again, and takes away what it has made', async () => {
      await make(READY);
      const before = await mac.base.state();
      const script = made();
      const { exit, stdout, stderr } = await mac.run(script, { shell });
      expect([exit, stderr]).toEqual([0, expect.not.stringMatching(/warning|error|stand-in/)]);
      expect(stdout).toContain('this machine is the spoke "a spoke" of "a hub": 10.77.0.');
      expect(await pings()).toBe(true);
      expect(mac.takeCalls()).toEqual([BOOTSTRAP, UP]);
      const after = await mac.base.state();
      expect(await mac.run(script, { shell })).toEqual({
        exit: 0,
        stdout: 'everything is in place: wg0 is up, and nothing was changed\n',
        stderr: '',
      });
      expect(await mac.base.state()).toEqual(after);
      expect([mac.takeCalls(), scene.hub.requests.length]).toEqual([[], 1]);
      const away = await mac.run(script, { shell, args: ['--uninstall'] });
      expect([away.exit, away.stdout]).toEqual([0, expect.stringContaining('delete the spoke "a spoke" at the hub')]);
      expect(mac.takeCalls()).toEqual([DOWN, BOOTOUT]);
      expect((await mac.run(script, { shell, args: ['--uninstall'] })).stdout).toContain('nothing was changed');
      await mac.admin('rmdir /etc/wireguard');
      expect(await mac.base.state()).toEqual(before);
    });
  });

  test('has Homebrew install the tools as the user whom it belongs to, and leaves them when the spoke goes', async () => {
    await make();
    const { exit } = await mac.run(made());
    expect([exit, await pings()]).toEqual([0, true]);
    expect(mac.takeCalls()).toEqual([INSTALL, BOOTSTRAP, UP]);
    expect(mac.base.read(CONF)).toContain('\n# installed for it: bash readline wireguard-go wireguard-tools\n');
    const away = await mac.run(made(), { args: ['--uninstall'] });
    expect([away.exit, away.stdout]).toEqual([0, expect.stringContaining('stay: bash readline wireguard-go')]);
  });

  test('comes through a pipe, under another name, and says how to take away what it has made', async () => {
    await make(READY);
    const before = await mac.base.state();
    const { exit, stdout } = await mac.run(made(), { piped: true, args: ['--tunnel', 'lk1'] });
    expect([exit, await pings()]).toEqual([0, true]);
    expect(mac.base.read('/Library/LaunchDaemons/com.latchkey.spoke.lk1.plist')).toContain('/lk1.conf</string>');
    const away = /^to take it away: (.+)$/m.exec(stdout)?.[1] ?? 'false';
    await mac.admin(
      `${away.replaceAll('sudo ', '')}; rmdir /etc/wireguard; while [ -e /run/stand-in/launchd/* ]; do sleep 0.1; done`,
    );
    expect(await mac.base.state()).toEqual(before);
  });

  test('is as well served by a wg-quick that stays as long as the tunnel', async () => {
    await make(READY);
    mac.base.write('/run/stand-in/stays', '');
    const before = await mac.base.state();
    const script = made();
    expect([(await mac.run(script)).exit, await pings()]).toEqual([0, true]);
    expect((await mac.run(script)).stdout).toContain('nothing was changed');
    expect((await mac.run(script, { args: ['--uninstall'] })).exit).toBe(0);
    await mac.admin('rmdir /etc/wireguard');
    expect(await mac.base.state()).toEqual(before);
  });

  test('is brought up by another try of launchd when the first one fails, as before a network is there', async () => {
    await make();
    const failsOnce = 'if [ ! -e /run/stand-in/once ]; then : >/run/stand-in/once; exit 1; fi';
    mac.base.write(
      '/run/stand-in/bottles/wg-quick',
      DARWIN_WG_QUICK.replace('\nset -e\n', `\n${failsOnce}\nset -e\n`),
      0o755,
    );
    expect([(await mac.run(made())).exit, await pings()]).toEqual([0, true]);
    expect(mac.base.read('/run/stand-in/once')).toBe('');
  });

  test('gives launchd a property list of root’s, with a path on which the tools of Homebrew are', async () => {
    await make(READY);
    await mac.run(made());
    expect(mac.base.read(PLIST)).toBe(
      propertyList(
        {
          Label: LABEL,
          ProgramArguments: ['/opt/homebrew/bin/wg-quick', 'up', CONF],
          EnvironmentVariables: { PATH: '/opt/homebrew/bin:/opt/homebrew/sbin:/usr/bin:/bin:/usr/sbin:/sbin' },
          AbandonProcessGroup: true,
          RunAtLoad: true,
          KeepAlive: { SuccessfulExit: false },
          StandardErrorPath: LOG,
        },
        'by Latchkey',
      ),
    );
    expect(await mac.base.command('stat', '-c', '%u:%g %a', PLIST)).toBe('0:0 644\n');
    expect(await mac.base.command('stat', '-c', '%u:%g %a', CONF)).toBe('0:0 600\n');
  });

  test('keeps what is secret out of every argument, off the terminal and out of the log', async () => {
    await make(READY);
    for (const name of ['curl', 'cat', 'sed', 'ln', 'mktemp', 'rm', 'tr', 'chmod', 'mv']) {
      mac.base.write(
        `/run/stand-in/mac/${name}`,
        `#!/bin/sh\n. /usr/local/lib/stand-in.sh\nrecord ${name} "$@"\nexec /usr/bin/${name} "$@"\n`,
        0o755,
      );
    }
    const { exit, stdout, stderr } = await mac.run(made());
    const key = /^PrivateKey = (.{44})$/m.exec(mac.base.read(CONF) ?? '')?.[1] ?? '';
    expect([exit, key]).toEqual([0, expect.stringMatching(/=$/)]);
    const calls = mac.takeCalls();
    expect(calls.some((line) => line.startsWith('curl '))).toBe(true);
    const seen = [stdout, stderr, ...calls, mac.base.read(PLIST), mac.base.read(LOG)].join('\n');
    expect([seen.includes(key), seen.includes(TOKEN)]).toEqual([false, false]);
    expect(JSON.parse(scene.hub.requests[0]?.body ?? '')).toEqual({
      token: TOKEN,
      publicKey: (await scene.hub.peers())[0],
      os: 'macOS 15.1 (Darwin 24.1.0 arm64)',
    });
  });

  test('takes no name for anything but a name', async () => {
    await make(READY);
    const spokeName = `it's "$(touch /tmp/lost)" \`touch /tmp/lost\`; touch /tmp/lost\n</string>&amp; # é '\\''`;
    const { exit, stdout } = await mac.run(made({ spokeName, hubName: spokeName }));
    expect([exit, stdout]).toEqual([0, expect.stringContaining(`the spoke "${spokeName}" of "${spokeName}"`)]);
    expect([mac.base.read('/tmp/lost'), await pings()]).toEqual([null, true]);
  });

  describe('the prefix of Homebrew', () => {
    const intel = { says: 'x86_64', brews: ['/usr/local'] } as const;
    const both = { brews: ['/usr/local', '/opt/homebrew'] } as const;

    const cases: readonly (readonly [string, MacShape, string])[] = [
      ['is /opt/homebrew for a shell that runs as one for Intel', { ...intel, ...both, isArm: true }, '/opt/homebrew'],
      ['is /usr/local where both are and the Mac is of Intel', { ...intel, ...both }, '/usr/local'],
      ['is the one in which the tools are', { ...both, tools: '/usr/local' }, '/usr/local'],
      ['is /opt/homebrew where both are and the Mac is an arm64', both, '/opt/homebrew'],
      ['is /usr/local on Intel', intel, '/usr/local'],
    ];
    test.each(isThorough ? cases : cases.slice(0, 3))('%s', async (_, shape: MacShape, prefix) => {
      await make(shape);
      expect((await mac.run(made())).exit).toBe(0);
      const calls = mac.takeCalls();
      const install = `sudo -H -u ann ${prefix}/bin/brew install wireguard-tools`;
      expect(calls).toEqual([...(shape.tools === undefined ? [install] : []), BOOTSTRAP, UP]);
      expect(mac.base.read(PLIST)).toContain(`<string>${prefix}/bin/wg-quick</string>`);
      expect(await pings()).toBe(true);
    });
  });

  describe('is refused, and changes nothing,', () => {
    const refused = async (words: string, script = made(), args: readonly string[] = []): Promise<void> => {
      const before = await mac.base.state();
      const { exit, stderr } = await mac.run(script, { args });
      expect([exit === 0, stderr]).toEqual([false, expect.stringContaining(words)]);
      expect(await mac.base.state()).toEqual(before);
      expect(mac.takeCalls()).toEqual([]);
      expect(scene.hub.requests).toEqual([]);
    };

    test('where there is no Homebrew', async () => {
      await make({ brews: [] });
      await refused('error: there is no Homebrew');
    });

    test('where Homebrew is root’s and nobody else is known to whom it may belong', async () => {
      await make({ owner: 'root' });
      const before = await mac.base.state();
      const { exit, stderr } = await mac.run(made(), { env: { SUDO_USER: '' } });
      expect([exit, stderr]).toEqual([1, expect.stringContaining('Homebrew does not work for root')]);
      expect(await mac.base.state()).toEqual(before);
    });

    test('on a system that is no Mac, and by whoever is not root', async () => {
      await make(READY);
      for (const [program, says, words] of [
        ['uname', 'Linux', 'this script is for macOS, and this is Linux'],
        ['id', '501', 'hint: run it by sudo sh'],
      ] as const) {
        mac.base.write(`/run/stand-in/mac/${program}`, `#!/bin/sh\necho ${says}\n`, 0o755);
        await refused(words);
        mac.repair();
      }
    });

    test('where the name is another’s, and goes by another name', async () => {
      await make(READY);
      const marks = [CONF, '/opt/homebrew/etc/wireguard/wg0.conf', '/usr/local/etc/wireguard/wg0.conf', PLIST];
      for (const path of marks) {
        mac.base.write(path, 'of another\n');
        await refused('hint: --tunnel NAME takes another name');
        expect(mac.base.read(path)).toBe('of another\n');
        mac.base.remove(path);
      }
      mac.base.write(`/run/stand-in/launchd/${LABEL}`, '');
      await refused(`launchd has ${LABEL} already`);
      mac.base.remove(`/run/stand-in/launchd/${LABEL}`);
      await mac.admin(
        'mkdir -p /etc/wireguard; echo "[Interface]\nPrivateKey = $(wg genkey)" >/tmp/wg0.conf; wg-quick up /tmp/wg0.conf',
      );
      mac.takeCalls();
      await refused('there is an interface wg0 already');
      expect((await mac.run(made(), { args: ['--tunnel', 'wg1'] })).exit).toBe(0);
      expect(await pings()).toBe(true);
      const away = await mac.run(made(), { args: ['--tunnel', 'wg1', '--uninstall'] });
      expect([away.exit, await mac.base.command('ls', '/var/run/wireguard')]).toEqual([0, 'utun4.sock\nwg0.name\n']);
    });
  });

  describe('when a step fails, everything before it is undone:', () => {
    /** What fails, how, what is said, and what was called. */
    const failures: readonly (readonly [string, () => void, string, readonly string[]])[] = [
      [
        'Homebrew does not say what is installed',
        () => mac.base.failAt('sudo * list *'),
        'does not say what is installed',
        [],
      ],
      [
        'Homebrew cannot install',
        () => mac.base.failAt('sudo * install *'),
        'could not install wireguard-tools',
        [INSTALL],
      ],
      [
        'Homebrew installs another bash than wg-quick needs',
        () => mac.base.write('/run/stand-in/bottles/bash', '#!/bin/sh\necho 3\n', 0o755),
        'is older than 4',
        [INSTALL, UNINSTALL],
      ],
      [
        'the hub refuses',
        () => {
          const body =
            '{"error":"the token was used","code":"TOKEN_ALREADY_USED","recoveryHint":"have a new one made"}';
          scene.hub.answering = (request, usual) =>
            request.path === '/api/spoke/register' ? { status: 410, body } : usual(request);
        },
        'error: not registered: the token was used\nhint: have a new one made',
        [INSTALL, UNINSTALL],
      ],
      [
        'the hub sends a line that would run a command',
        () => {
          scene.hub.rewrite = (text) => text.replace('[Peer]', 'PostUp = touch /tmp/lost\n[Peer]');
        },
        'a line in it is not known here',
        [INSTALL, UNINSTALL],
      ],
      [
        'the property list cannot be written',
        () => mac.base.write('/run/stand-in/mac/chown', '#!/bin/sh\nexit 1\n', 0o755),
        `cannot write ${PLIST}`,
        [INSTALL, UNINSTALL],
      ],
      [
        'launchd refuses',
        () => mac.base.failAt('launchctl bootstrap *'),
        'launchd does not take',
        [INSTALL, BOOTSTRAP, UNINSTALL],
      ],
      [
        'wg-quick fails, again and again',
        () => mac.base.failAt('wg-quick up *'),
        'stand-in: told to fail at: wg-quick up',
        [INSTALL, BOOTSTRAP, UP, UP, BOOTOUT, UNINSTALL],
      ],
      [
        'the hub is not heard',
        () => {
          scene.hub.rewrite = (text) => text.replace(/within: \d+/, 'within: 1').replace(':51820', ':51999');
        },
        'did not answer through it within 1 seconds',
        [INSTALL, BOOTSTRAP, UP, DOWN, BOOTOUT, UNINSTALL],
      ],
    ];

    test.each(isThorough ? shells : (['dash'] as const))('by %s', async (shell) => {
      await make();
      const before = await mac.base.state();
      for (const [what, arrange, words, calls] of failures) {
        scene.hub.reset();
        mac.repair();
        arrange();
        const { exit, stdout, stderr } = await mac.run(made(), { shell });
        expect([what, exit, stderr]).toEqual([what, 1, expect.stringContaining(words)]);
        expect(`${stdout}${stderr}`, what).not.toContain('could not be undone');
        expect([...new Set(mac.takeCalls())], what).toEqual([...new Set(calls)]);
        expect([what, await mac.base.state()]).toEqual([what, before]);
        expect([what, await scene.hub.peers()]).toEqual([what, []]);
      }
    });

    const signals = [
      ['SIGTERM', 'sudo * install *', 'dash'],
      ['SIGINT', 'launchctl bootstrap *', 'bash'],
      ['SIGHUP', 'launchctl bootstrap *', 'ash'],
    ] as const;
    test.each(isThorough ? signals : signals.slice(0, 2))('by %s during %s, under %s', async (name, pattern, shell) => {
      await make();
      const before = await mac.base.state();
      mac.base.hangAt(pattern);
      const { exit, stderr } = await mac.run(made(), { shell, signal: { name, when: () => mac.base.hangs() } });
      expect([exit, stderr]).toEqual([1, expect.stringContaining('everything is as it was before')]);
      expect(await mac.base.state()).toEqual(before);
      expect(await scene.hub.peers()).toEqual([]);
    });

    test('and says what could not be undone', async () => {
      await make();
      mac.base.failAt('launchctl bootstrap *', 'sudo * uninstall *');
      const { exit, stderr } = await mac.run(made());
      expect([exit, stderr]).toEqual([1, expect.stringContaining('error: could not be undone: undo_formulae;')]);
      expect(await scene.hub.peers()).toEqual([]);
    });
  });

  test('says that the tools are gone under a tunnel that they made, and takes that away without them', async () => {
    await make(READY);
    await mac.run(made());
    const { exit, stderr } = await mac.run(made());
    expect([exit, stderr]).toEqual([0, '']);
    await mac.admin('rm -r /opt/homebrew/bin/wg* /opt/homebrew/Cellar/wireguard-tools');
    const lost = await mac.run(made());
    expect([lost.exit, lost.stderr]).toEqual([
      1,
      expect.stringContaining(`error: ${CONF} is there, but WireGuard is not`),
    ]);
    expect((await mac.run(made(), { args: ['--uninstall'] })).exit).toBe(0);
    expect([mac.base.read(CONF), mac.base.read(PLIST)]).toEqual([null, null]);
    await mac.admin('while [ -n "$(ls /sys/class/net | grep utun)" ]; do sleep 0.1; done');
  });

  test('starts a tunnel again that was installed before and is down, without asking the hub', async () => {
    await make(READY);
    await mac.run(made());
    const after = await mac.base.state();
    mac.takeCalls();
    await mac.admin(`wg-quick down ${CONF}`);
    const { exit, stdout } = await mac.run(made());
    expect([exit, stdout]).toEqual([0, expect.stringContaining('was installed before; it is up again')]);
    expect(mac.takeCalls()).toEqual([DOWN, BOOTOUT, BOOTSTRAP, UP]);
    expect([scene.hub.requests.length, await pings()]).toEqual([1, true]);
    expect(await mac.base.state()).toEqual(after);
  });
});
