import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { run } from '../../platform/run.ts';
import type { HubRequest, StandInAnswer } from '../harness/installer-hub.ts';
import { type InstallerMachine, installerObstacle, SHELLS, type Shell } from '../harness/installer-machine.ts';
import { InstallerScene } from '../harness/installer-scene.ts';
import { DISTRIBUTIONS } from '../harness/installer-stand-ins.ts';

const obstacle = installerObstacle();
const isThorough = process.env.LATCHKEY_THOROUGH === '1';
const CONF = '/etc/wireguard/wg0.conf';
const TOKEN = 'CANARY'.padEnd(43, 'x');
const ALL = ['wireguard-tools', 'wireguard-go'];
const everyShell = Object.keys(SHELLS) as Shell[];
/** Each way to fail is tried under one shell of the three in turn, and under all when there is time. */
const shellsFor = (at: number): Shell[] => (isThorough ? everyShell : [everyShell[at % everyShell.length] as Shell]);

interface Failure {
  readonly name: string;
  /** What the script says of it. */
  readonly says: string;
  readonly prepare: (machine: InstallerMachine, scene: InstallerScene) => void | Promise<void>;
  /** Of the hub, when it is not the hub's. */
  readonly url?: string;
  /** The machine is another one before the script is run, and nothing for the next test. */
  readonly spoils?: true;
}

const answer =
  (body: string, status = 201, type = 'text/plain') =>
  (_: InstallerMachine, { hub }: InstallerScene): void => {
    hub.answering = (request, usual) => (request.path.endsWith('/register') ? { status, body, type } : usual(request));
  };
const rewrite =
  (change: (text: string) => string) =>
  (_: InstallerMachine, { hub }: InstallerScene): void => {
    hub.rewrite = change;
  };
const failAt =
  (...patterns: string[]) =>
  (machine: InstallerMachine): void =>
    machine.failAt(...patterns);
/** As a hub would never write it: with what turns a terminal red. */
const refusal = '{"error":"this token has \\"expired\\"\u001b[31m","recoveryHint":"have a new one made"}';

const FAILURES: readonly Failure[] = [
  {
    name: 'packages cannot be installed',
    says: 'could not install: wireguard-tools',
    prepare: failAt('apt-get *install*'),
  },
  {
    name: 'the package manager says half of what there is',
    says: 'does not say what is installed',
    spoils: true,
    prepare: (machine) => machine.program('dpkg-query', '#!/bin/sh\necho installed base-files\nexit 1\n'),
  },
  {
    name: 'the package manager says that there is nothing',
    says: 'does not say what is installed',
    spoils: true,
    prepare: (machine) => machine.program('dpkg-query', '#!/bin/sh\n'),
  },
  {
    name: 'the package has not the program',
    spoils: true,
    says: 'there is no wg-quick, also after installing',
    prepare: (machine) => machine.remove('/run/stand-in/packages/wireguard-tools/wg-quick'),
  },
  {
    name: 'wg makes no key',
    spoils: true,
    says: 'wg could not make a key',
    prepare: (machine) => machine.program('wg', '#!/bin/sh\nexit 1\n'),
  },
  { name: 'the token has expired', says: 'this token has "expired"[31m', prepare: answer(refusal, 410) },
  {
    name: 'the hub is broken',
    says: 'the hub answered 500',
    prepare: answer('Internal Server Error', 500, 'text/html'),
  },
  { name: 'a login page answers', says: 'is not the hub', prepare: answer('<html>log in</html>', 200, 'text/html') },
  { name: 'a page answers as if it was the hub', says: 'is not a configuration', prepare: answer('<html>\n</html>') },
  { name: 'the hub sends its caller elsewhere', says: 'is not the hub', prepare: answer('', 302) },
  { name: 'the answer is empty', says: 'it lacks [Interface]Address', prepare: answer('') },
  { name: 'the answer never ends', says: 'too long', prepare: answer(`# ${'x'.repeat(70_000)}\n`) },
  {
    name: 'nobody listens there',
    says: 'no answer from',
    url: 'http://10.205.0.1:9',
    prepare: () => undefined,
  },
  {
    name: 'the hub hangs up',
    says: 'no answer from',
    prepare: (_, { hub }) => {
      hub.answering = (request, usual) => (request.path.endsWith('/register') ? null : usual(request));
    },
  },
  {
    name: 'the hub registers and then falls silent',
    says: 'no answer from',
    prepare: (_, { hub }) => {
      hub.answering = async (request, usual): Promise<StandInAnswer> => {
        const usually = await usual(request);
        return request.path.endsWith('/register') ? 'silence' : usually;
      };
    },
  },
  {
    name: 'a command hides in the answer',
    says: 'not known here',
    prepare: rewrite((text) => text.replace('[Peer]', 'PostUp = touch /tmp/owned\n[Peer]')),
  },
  {
    name: 'a command hides in a peer',
    says: 'not known here',
    prepare: rewrite((text) => `${text}PreUp = touch /tmp/owned\n`),
  },
  {
    name: 'a command hides in a value',
    says: 'not a configuration: Endpoint',
    prepare: rewrite((text) => text.replace('Endpoint = ', 'Endpoint = $(touch /tmp/owned)')),
  },
  {
    name: 'the answer has a private key',
    says: 'not known here',
    prepare: rewrite((text) => text.replace('[Interface]', `[Interface]\nPrivateKey = ${'A'.repeat(43)}=`)),
  },
  {
    name: 'a setting comes twice',
    says: 'two of AllowedIPs',
    prepare: rewrite((text) => `${text}AllowedIPs = 0.0.0.0/0\n`),
  },
  { name: 'there are two peers', says: 'two of [Peer]', prepare: rewrite((text) => `${text}[Peer]\n`) },
  {
    name: 'the peer has no key',
    says: 'it lacks [Peer]PublicKey',
    prepare: rewrite((text) => text.replace(/PublicKey.*\n/, '')),
  },
  {
    name: 'the answer is cut short',
    says: 'it lacks [Peer]AllowedIPs',
    prepare: rewrite((text) => text.replace(/AllowedIPs.*/s, '')),
  },
  {
    name: 'the answer is for somebody else',
    says: 'it is for another spoke',
    prepare: rewrite((text) => text.replace('spoke-1', 'spoke-2')),
  },
  {
    name: 'the address to ping is an option',
    says: 'hub-address',
    prepare: rewrite((text) => text.replace('10.77.0.1\n', '-f 10.77.0.1\n')),
  },
  {
    name: 'the time to wait is no number',
    says: 'handshake-within',
    prepare: rewrite((text) => text.replace('within: 10', 'within: $(id)')),
  },
  {
    name: 'another configuration comes to be there meanwhile',
    spoils: true,
    says: `cannot write ${CONF}`,
    prepare: (machine, { hub }) => {
      hub.answering = (request, usual) => {
        if (request.path.endsWith('/register')) machine.write(CONF, '# of somebody else\n', 0o600);
        return usual(request);
      };
    },
  },
  {
    name: 'the folder cannot be made',
    spoils: true,
    says: 'cannot make /etc/wireguard',
    prepare: (machine) => {
      machine.remove('/etc/wireguard');
      machine.program('mkdir', '#!/bin/sh\ncase $* in *wireguard) exit 1 ;; esac\nPATH=/usr/bin exec mkdir "$@"\n');
    },
  },
  {
    name: 'systemd does not enable the unit',
    says: 'does not start wg-quick@wg0.service at boot',
    prepare: failAt('systemctl enable*'),
  },
  {
    name: 'systemd does not start the unit',
    says: 'could not start wg-quick@wg0.service',
    prepare: failAt('systemctl restart*'),
  },
  {
    name: 'wg-quick fails half-way',
    says: 'could not start wg-quick@wg0.service',
    prepare: rewrite((text) => text.replace('AllowedIPs = 10.77.0.0/24', 'AllowedIPs = 10.77.0.0/99')),
  },
  {
    name: 'the unit does not stop either',
    says: 'did not answer through it within 1 seconds',
    prepare: (machine, { hub }) => {
      machine.failAt('systemctl stop*');
      hub.rewrite = (text) => text.replace('within: 10', 'within: 1').replace(':51820', ':51999');
    },
  },
  {
    name: 'the hub is not heard',
    says: 'did not answer through it within 1 seconds',
    prepare: rewrite((text) => text.replace('within: 10', 'within: 1').replace(':51820', ':51999')),
  },
];

/** Where a signal comes: at a call that does not come back, or while the hub thinks. */
const SIGNALS: readonly (readonly [NodeJS.Signals, string])[] = [
  ['SIGINT', 'apt-get *install*'],
  ['SIGTERM', 'systemctl enable*'],
  ['SIGHUP', 'systemctl restart*'],
  ['SIGINT', 'POST'],
  ['SIGTERM', 'handshake'],
];

/** What a spoke sends until its hub is heard. */
function isPing(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('busybox\0ping\0');
  } catch {
    return false; // it has ended meanwhile
  }
}

describe.skipIf(obstacle !== null)(
  `linux.sh that does not get to its end${obstacle === null ? '' : ` (${obstacle})`}`,
  () => {
    let scene: InstallerScene;
    let machine: InstallerMachine;
    /** Of a machine that is as it was before, and good for another test. */
    let clean: string[] | null = null;
    /** A machine without WireGuard; its state. */
    const debian = async (): Promise<string[]> => {
      if (clean === null) machine = await scene.machine(DISTRIBUTIONS.debian, ALL);
      const state = clean ?? (await machine.state());
      clean = null;
      return state;
    };
    beforeAll(async () => {
      scene = await InstallerScene.build();
    });
    afterAll(() => scene.end());
    afterEach(async () => {
      if (clean !== null) machine.failAt();
      else await machine.machine.halt();
      scene.hub.reset();
      await scene.hub.forget();
    });

    test.each(FAILURES.flatMap((failure, at) => shellsFor(at).map((shell) => [failure.name, shell, failure] as const)))(
      'undoes everything when %s (%s)',
      async (_, shell, { says, prepare, spoils, url = scene.hub.url }) => {
        const unspoilt = await debian();
        await prepare(machine, scene);
        const before = spoils === true ? await machine.state() : unspoilt;
        const { exit, stdout, stderr } = await machine.run(scene.script('linux', { hubUrl: url }), { shell });
        expect([exit, stderr]).toEqual([1, expect.stringContaining(says)]);
        expect(stderr).toContain('\nundoing what was done\n');
        expect(stderr.endsWith('\neverything is as it was before\n')).toBe(true);
        expect(`${stdout}${stderr}`).not.toContain(TOKEN);
        const after = (await machine.state()).filter((line) => !line.includes('wg0.conf'));
        expect([after, machine.read(CONF)]).toEqual([before, says.includes(CONF) ? '# of somebody else\n' : null]);
        expect(await scene.hub.peers()).toEqual([]);
        machine.takeCalls();
        clean = spoils === true ? null : before;
      },
    );

    test.each(SIGNALS.flatMap(([signal, at], index) => shellsFor(index).map((shell) => [signal, at, shell] as const)))(
      'undoes everything when %s comes at %s (%s)',
      async (signal, at, shell) => {
        const before = await debian();
        let asked = false;
        if (at === 'POST') {
          scene.hub.answering = (request: HubRequest, usual) => {
            asked = request.path.endsWith('/register');
            return asked ? 'silence' : usual(request);
          };
        } else if (at === 'handshake') {
          scene.hub.rewrite = (text) => text.replace(':51820', ':51999');
        } else machine.hangAt(at);
        const when = {
          POST: () => asked,
          handshake: () => machine.machine.processes('busybox').some(isPing),
        }[at];
        const { exit, stderr } = await machine.run(scene.script('linux'), {
          shell,
          signal: { name: signal, when: when ?? (() => machine.hangs()) },
        });
        machine.hangAt();
        expect([exit, stderr]).toEqual([1, expect.stringContaining(`error: stopped by ${signal}\n`)]);
        expect(stderr.endsWith('\neverything is as it was before\n')).toBe(true);
        expect(await machine.state()).toEqual(before);
        expect(await scene.hub.peers()).toEqual([]);
        machine.takeCalls();
        clean = before;
      },
    );

    test('goes on undoing, whatever signals come meanwhile', async () => {
      const before = await debian();
      machine.hangAt('systemctl restart*');
      let hung = false;
      const when = (): boolean => {
        hung ||= machine.hangs();
        return hung;
      };
      const { exit, stderr } = await machine.run(scene.script('linux'), {
        signal: { name: 'SIGINT', when, again: true },
      });
      machine.hangAt();
      expect([exit, stderr.match(/^error: .*$/gm)]).toEqual([1, ['error: stopped by SIGINT']]);
      expect(stderr.endsWith('\neverything is as it was before\n')).toBe(true);
      expect([await machine.state(), await scene.hub.peers()]).toEqual([before, []]);
    });

    test('leaves an interface alone that somebody else has made meanwhile', async () => {
      const before = await debian();
      scene.hub.rewrite = (text) => text.replace('within: 10', 'within: 1');
      scene.hub.answering = async (request, usual) => {
        if (request.path.endsWith('/register'))
          await machine.command('sh', '-c', 'ip link add wg0 type veth peer name wg0b');
        return usual(request);
      };
      expect((await machine.run(scene.script('linux'))).exit).toBe(1);
      const after = await machine.state();
      expect(after.filter((line) => !before.includes(line))).toEqual([
        expect.stringMatching(/^wg0@wg0b/),
        expect.stringMatching(/^wg0b@wg0/),
      ]);
      expect(before.filter((line) => !after.includes(line))).toEqual([]);
    });

    test('says what it could not undo, and undoes the rest', async () => {
      const before = await debian();
      machine.failAt('systemctl restart*', 'systemctl disable*');
      scene.hub.answering = (request, usual) =>
        request.path.endsWith('/withdraw') ? { status: 503, body: '{}' } : usual(request);
      const { exit, stderr } = await machine.run(scene.script('linux'));
      expect([exit, stderr]).toEqual([1, expect.stringContaining('if it lists the spoke "a spoke", delete it there')]);
      expect(stderr.endsWith('\nerror: could not be undone: not_at_boot; undo_registration;\n')).toBe(true);
      const left = (await machine.state()).filter((line) => !before.includes(line));
      expect(left).toEqual([expect.stringContaining('multi-user.target.wants/wg-quick@wg0.service')]);
    });

    test('two at once: the second is refused, and what a killed one has left is no obstacle', async () => {
      await debian();
      const script = scene.script('linux');
      const lock = '/run/latchkey-installer';
      let refused: number | null = null;
      machine.hangAt('systemctl restart*');
      const first = machine.run(script, {
        signal: { name: 'SIGKILL', when: () => machine.hangs() && refused !== null },
      });
      await vi.waitFor(() => expect(machine.hangs()).toBe(true), { timeout: 20_000 });
      const before = await machine.state();
      const second = run(machine.inside(['sh', '/run/stand-in/install.sh']), { timeoutMs: 20_000, allowExit: 'any' });
      const { exit, stderr } = await second;
      expect([exit, stderr]).toEqual([
        1,
        `error: another installer runs on this machine\nhint: wait for its end; if there is none: rm -r /var${lock}\n`,
      ]);
      expect(await machine.state()).toEqual(before);
      refused = exit;
      await first.catch(() => null);
      machine.hangAt();
      await machine.command(
        'sh',
        '-c',
        `rm ${CONF} /etc/systemd/system/multi-user.target.wants/wg-quick@wg0.service; rm -r /tmp/latchkey.*`,
      );
      expect(machine.read(`${lock}/pid`)).toMatch(/^\d+\n$/);
      expect((await machine.run(script)).exit).toBe(0);
      expect(machine.read(`${lock}/pid`)).toBeNull();
    });

    test('a tunnel that was there before and does not start again is left as it was', async () => {
      machine = await scene.machine(DISTRIBUTIONS.debian);
      await machine.run(scene.script('linux'));
      await machine.command('sh', '-c', 'systemctl disable --now wg-quick@wg0.service');
      const before = await machine.state();
      machine.failAt('systemctl restart*');
      expect((await machine.run(scene.script('linux'))).exit).toBe(1);
      expect(await machine.state()).toEqual(before);
      expect(scene.hub.requests).toHaveLength(1);
    });

    describe('before anything is done', () => {
      const link = 'ip link add wg0 type veth peer name wg0b';
      test.each([
        ['a configuration of somebody else', `echo '[Interface]' >${CONF}`, [], `${CONF} is there already`],
        ['one of another spoke', `echo '# spoke spoke-2 of http://x, by Latchkey' >${CONF}`, [], 'not of this spoke'],
        ['a link that leads nowhere', `ln -s /nowhere ${CONF}`, [], `${CONF} is there already`],
        ['an interface of somebody else', link, [], 'there is an interface wg0 already'],
        ['one of the name that was wished for', link.replaceAll('wg0', 'lk9'), ['--tunnel', 'lk9'], 'an interface lk9'],
      ] as const)('refuses where there is %s', async (_, line, args, says) => {
        await debian();
        await machine.command('sh', '-c', line);
        const before = await machine.state();
        const { exit, stderr } = await machine.run(scene.script('linux'), { args });
        expect([exit, stderr]).toEqual([1, expect.stringContaining(says)]);
        expect(stderr).toContain('\nhint: --tunnel NAME takes another name\n');
        expect([await machine.state(), machine.takeCalls(), scene.hub.requests]).toEqual([before, [], []]);
        const away = await machine.run(scene.script('linux'), { args: [...args, '--uninstall'] });
        expect([away.exit, await machine.state()]).toEqual([
          line.includes('link') || line.includes('nowhere') ? 0 : 1,
          before,
        ]);
      });

      test.each([
        [['--tunnel'], 2],
        [['--tunnel', ''], 2],
        [['--tunnel', '-x'], 2],
        [['--tunnel=../x'], 2],
        [['--tunnel', 'a name'], 2],
        [['--tunnel', 'sixteen-letters-'], 2],
        [['--tunnel', '$(id)'], 2],
        [['--frobnicate'], 2],
        [['wg1'], 2],
        [['--help'], 0],
      ] as const)('%j is answered, and no more', async (args, expected) => {
        const before = await debian();
        const { exit, stdout, stderr } = await machine.run(scene.script('linux'), { args });
        expect([exit, expected === 0 ? stdout : stderr]).toEqual([expected, expect.stringContaining('--help')]);
        expect([await machine.state(), machine.takeCalls(), scene.hub.requests]).toEqual([before, [], []]);
        clean = before;
      });

      test.each([
        [
          'a user who is not root',
          'only root can make interfaces',
          (one: InstallerMachine) => one.program('id', '#!/bin/sh\necho 1000\n'),
        ],
        [
          'another system',
          'this script is for Linux, and this is Darwin',
          (one) => one.program('uname', '#!/bin/sh\necho Darwin\n'),
        ],
        ['no package manager that is known', 'install by hand: wireguard-tools', (one) => one.hide('apt-get')],
        [
          'neither a kernel that has it nor /dev/net/tun',
          'there is no /dev/net/tun',
          (one) => one.command('sh', '-c', 'mount -t tmpfs dev /dev && mknod -m 666 /dev/null c 1 3'),
        ],
      ] as readonly (readonly [string, string, (machine: InstallerMachine) => unknown])[])(
        'refuses where there is %s',
        async (_, says, prepare) => {
          await debian();
          await prepare(machine);
          const before = await machine.state();
          const { exit, stderr } = await machine.run(scene.script('linux'));
          expect([exit, stderr]).toEqual([1, expect.stringContaining(says)]);
          expect([await machine.state(), machine.takeCalls(), scene.hub.requests]).toEqual([before, [], []]);
        },
      );

      test('half a download does nothing', async () => {
        const before = await debian();
        const script = scene.script('linux');
        const wholes = [...script.matchAll(/\n\n/g)].map(({ index }) => index);
        for (const end of [2_000, 9_000, ...wholes.filter((_, at) => at % 12 === 0), script.length - 20]) {
          await machine.run(script.slice(0, end), { piped: true });
        }
        expect([await machine.state(), machine.takeCalls(), scene.hub.requests]).toEqual([before, [], []]);
      });
    });
  },
);
