import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { answers } from '../harness/hub-network.ts';
import { type InstallerMachine, installerObstacle, SHELLS, type Shell } from '../harness/installer-machine.ts';
import { InstallerScene } from '../harness/installer-scene.ts';
import { DISTRIBUTIONS, type Distribution } from '../harness/installer-stand-ins.ts';

const obstacle = installerObstacle();
const isThorough = process.env.LATCHKEY_THOROUGH === '1';
const CONF = '/etc/wireguard/wg0.conf';
const TOKEN = 'CANARY'.padEnd(43, 'x');
const shells = Object.keys(SHELLS) as Shell[];
const TOOLS = ['wireguard-tools', 'wireguard-go'];
const apt = (verb: string): string => `apt-get -q -y -o DPkg::Lock::Timeout=120 ${verb}`;
/** What each package manager is told to put in, and to take out again with what came along. */
const MANAGERS: readonly (readonly [keyof typeof DISTRIBUTIONS, string, string])[] = [
  ['debian', apt('--no-install-recommends install'), apt('remove --purge')],
  ['fedora', 'dnf -y install', 'dnf -y remove'],
  ['centos', 'yum -y install', 'yum -y remove'],
  ['suse', 'zypper --non-interactive install --no-recommends', 'zypper --non-interactive remove'],
  ['arch', 'pacman -S --needed --noconfirm', 'pacman -R --noconfirm'],
  ['alpine', 'apk add', 'apk del'],
];
const SECOND_TRIES = [
  ['debian', 'apt-get -q -o DPkg::Lock::Timeout=120 update'],
  ['suse', 'zypper --non-interactive refresh'],
  ['fedora', 'dnf -y install epel-release'],
  ['alpine', 'apk update'],
] as const;
const STARTS: Readonly<Record<Distribution['init'], readonly string[]>> = {
  systemd: ['systemctl enable wg-quick@wg0.service', 'systemctl restart wg-quick@wg0.service'],
  openrc: ['rc-update add wg-quick.wg0 default', 'rc-service wg-quick.wg0 zap', 'rc-service wg-quick.wg0 start'],
  none: [],
};
const STOPS: Readonly<Record<Distribution['init'], readonly string[]>> = {
  systemd: [
    'systemctl stop wg-quick@wg0.service',
    'systemctl reset-failed wg-quick@wg0.service',
    'systemctl disable wg-quick@wg0.service',
  ],
  openrc: ['rc-service wg-quick.wg0 stop', 'rc-update del wg-quick.wg0 default'],
  none: [],
};

describe.skipIf(obstacle !== null)(`linux.sh${obstacle === null ? '' : ` (${obstacle})`}`, () => {
  let scene: InstallerScene;
  let machine: InstallerMachine;
  const make = async (distribution: Distribution, without: readonly string[] = []): Promise<void> => {
    machine = await scene.machine(distribution, without);
  };
  const pings = (): Promise<boolean> => answers(machine.machine, '10.77.0.1');

  beforeAll(async () => {
    scene = await InstallerScene.build();
  });
  afterAll(() => scene.end());
  beforeEach(async () => {
    scene.hub.reset();
    await scene.hub.forget();
  });
  afterEach(() => machine.machine.halt());

  describe.each(shells)('run by %s', (shell) => {
    test('makes a tunnel that pings, changes nothing when it is run again, and takes away what it has made', async () => {
      await make(DISTRIBUTIONS.debian);
      const before = await machine.state();
      const script = scene.script('linux');
      const { exit, stdout, stderr } = await machine.run(script, { shell });
      expect([exit, stderr]).toEqual([0, expect.not.stringContaining('warning')]);
      expect(stdout).toContain('this machine is the spoke "a spoke" of "a hub": 10.77.0.');
      expect(await pings()).toBe(true);
      expect(machine.takeCalls()).toEqual(STARTS.systemd);
      const after = await machine.state();
      expect(await machine.run(script, { shell })).toEqual({
        exit: 0,
        stdout: 'everything is in place: wg0 is up, and nothing was changed\n',
        stderr: '',
      });
      expect(await machine.state()).toEqual(after);
      expect([machine.takeCalls(), scene.hub.requests.length]).toEqual([[], 1]);
      const away = await machine.run(script, { shell, args: ['--uninstall'] });
      expect([away.exit, away.stdout]).toEqual([0, expect.stringContaining('delete the spoke "a spoke" at the hub')]);
      expect(await machine.state()).toEqual(before);
      expect((await machine.run(script, { shell, args: ['--uninstall'] })).stdout).toContain('nothing was changed');
    });

    test('comes through a pipe, and says how to take away what it has made without it', async () => {
      await make(DISTRIBUTIONS.debian);
      const before = await machine.state();
      const { exit, stdout } = await machine.run(scene.script('linux'), {
        shell,
        piped: true,
        args: ['--tunnel', 'lk1'],
      });
      expect([exit, await pings()]).toEqual([0, true]);
      expect(machine.read('/etc/wireguard/lk1.conf')).toContain('# spoke spoke-1 of ');
      const away = /^to take it away: (.+)$/m.exec(stdout)?.[1] ?? 'false';
      await machine.command('sh', '-c', away);
      expect(await machine.state()).toEqual(before);
    });
  });

  test('keeps what is secret out of every argument, off the terminal, and in a file that root alone reads', async () => {
    await make(DISTRIBUTIONS.debian);
    for (const name of ['curl', 'wg', 'wg-quick', 'wireguard-go', 'cat', 'sed', 'ln', 'mktemp', 'rm']) {
      machine.program(
        name,
        `#!/bin/sh\n. /usr/local/lib/stand-in.sh\nrecord ${name} "$@"\nPATH=/usr/bin exec ${name} "$@"\n`,
      );
    }
    const { exit, stdout, stderr } = await machine.run(scene.script('linux'));
    const conf = machine.read(CONF) ?? '';
    const key = /^PrivateKey = (.{44})$/m.exec(conf)?.[1] ?? '';
    expect([exit, key]).toEqual([0, expect.stringMatching(/=$/)]);
    const calls = machine.takeCalls();
    expect(calls.some((line) => line.startsWith('curl '))).toBe(true);
    const seen = [stdout, stderr, ...calls].join('\n');
    expect([seen.includes(key), seen.includes(TOKEN)]).toEqual([false, false]);
    expect(scene.hub.requests.some(({ body }) => body.includes(key))).toBe(false);
    expect(conf.split('\n')[0]).toBe(`# spoke spoke-1 of ${scene.hub.url}, by Latchkey`);
    expect(await machine.command('stat', '-c', '%a', CONF)).toBe('600\n');
    const [request] = scene.hub.requests;
    expect(request).toMatchObject({ method: 'POST', path: '/api/spoke/register', headers: { accept: 'text/plain' } });
    expect(JSON.parse(request?.body ?? '')).toEqual({
      token: TOKEN,
      publicKey: (await scene.hub.peers())[0],
      os: expect.stringMatching(/^Debian GNU\/Linux 12 \(bookworm\) \(Linux .+\)$/),
    });
  });

  // yum is told what dnf is told
  describe.each(isThorough ? MANAGERS : MANAGERS.filter(([name]) => name !== 'centos'))(
    'on %s',
    (name, install, remove) => {
      const distribution = DISTRIBUTIONS[name];

      test('takes out again what it has put in when the hub is not heard, and leaves it in when it is', async () => {
        await make(distribution, TOOLS);
        const before = await machine.state();
        const puts = [`${install} ${TOOLS.join(' ')}`, ...STARTS[distribution.init]];
        scene.hub.rewrite = (text) => text.replace(/within: \d+/, 'within: 1').replace(':51820', ':51999');
        const { exit, stderr } = await machine.run(scene.script('linux'));
        expect([exit, stderr]).toEqual([1, expect.stringContaining('did not answer through it within 1 seconds')]);
        expect(await machine.state()).toEqual(before);
        const takes = [...STOPS[distribution.init], `${remove} libstandin0 wireguard-go wireguard-tools`];
        expect(machine.takeCalls()).toEqual([...puts, ...takes]);
        expect(await scene.hub.peers()).toEqual([]);

        scene.hub.reset();
        expect([(await machine.run(scene.script('linux'))).exit, await pings()]).toEqual([0, true]);
        expect(machine.takeCalls()).toEqual(puts);
        expect(machine.read(CONF)).toContain('\n# installed for it: libstandin0 wireguard-go wireguard-tools\n');
        const away = await machine.run(scene.script('linux'), { args: ['--uninstall'] });
        expect([away.exit, away.stdout]).toEqual([0, expect.stringContaining('stay: libstandin0 wireguard-go')]);
      });
    },
  );

  test.each(isThorough ? SECOND_TRIES : SECOND_TRIES.filter((_, at) => at % 2 === 0))(
    'on %s tries once more with newer lists, or another repository',
    async (name, between) => {
      await make(DISTRIBUTIONS[name], ['wireguard-tools']);
      machine.unknownPackages('wireguard-tools');
      expect((await machine.run(scene.script('linux'))).exit).toBe(0);
      const calls = machine.takeCalls();
      expect(calls.slice(0, 3)).toEqual([expect.stringContaining('wireguard-tools'), between, calls[0]]);
    },
  );

  test('has the kernel carry the tunnel where it can, and installs nothing for that', async () => {
    await make(DISTRIBUTIONS.debian, TOOLS);
    machine.program('modprobe', '#!/bin/sh\nexit 0\n');
    // what wg-quick falls back to on a system whose kernel has it not
    const env = { WG_QUICK_USERSPACE_IMPLEMENTATION: '/run/stand-in/packages/wireguard-go/wireguard-go' };
    const { exit, stdout } = await machine.run(scene.script('linux'), { env });
    expect([exit, stdout]).toEqual([0, expect.not.stringContaining('wireguard-go')]);
    expect(machine.takeCalls()[0]).toBe(`${apt('--no-install-recommends install')} wireguard-tools`);
  });

  test('looks for the module in the running kernel first', async () => {
    await make(DISTRIBUTIONS.debian, TOOLS);
    machine.folder('/sys/module/wireguard');
    const { stdout } = await machine.run(scene.script('linux'));
    expect(stdout).not.toContain('wireguard-go'); // wg-quick believes it too, and whether it is right is up to this system
    expect(machine.takeCalls()[0]).toBe(`${apt('--no-install-recommends install')} wireguard-tools`);
  });

  test('brings up the tunnel where nothing starts it at boot, and says what to do about that', async () => {
    await make(DISTRIBUTIONS.container);
    const before = await machine.state();
    const { exit, stderr } = await machine.run(scene.script('linux'));
    expect([exit, await pings()]).toEqual([0, true]);
    expect(stderr).toContain('hint: have this run as root when the machine starts: wg-quick up wg0');
    expect((await machine.run(scene.script('linux'))).stdout).toContain('nothing was changed');
    expect((await machine.run(scene.script('linux'), { args: ['--uninstall'] })).exit).toBe(0);
    expect(await machine.state()).toEqual(before);
  });

  test('writes a service for OpenRC where the package has none', async () => {
    await make(DISTRIBUTIONS.alpine);
    machine.remove('/etc/init.d/wg-quick');
    const before = await machine.state();
    expect((await machine.run(scene.script('linux'))).exit).toBe(0);
    expect(await pings()).toBe(true);
    expect(machine.read('/etc/init.d/wg-quick.wg0')).toContain('# by Latchkey');
    expect((await machine.run(scene.script('linux'), { args: ['--uninstall'] })).exit).toBe(0);
    expect(await machine.state()).toEqual(before);
  });

  test('starts a tunnel again that was installed before and is down, without asking the hub', async () => {
    await make(DISTRIBUTIONS.debian);
    const script = scene.script('linux');
    await machine.run(script);
    const after = await machine.state();
    await machine.command('sh', '-c', 'systemctl stop wg-quick@wg0.service; systemctl disable wg-quick@wg0.service');
    machine.takeCalls();
    const { exit, stdout } = await machine.run(script);
    expect([exit, stdout]).toEqual([0, expect.stringContaining('was installed before; it is up again')]);
    expect([machine.takeCalls(), scene.hub.requests.length]).toEqual([STARTS.systemd, 1]);
    expect(await machine.state()).toEqual(after);
  });

  test.each([
    ['systemd', DISTRIBUTIONS.debian, STARTS.systemd.slice(1)],
    ['OpenRC', DISTRIBUTIONS.alpine, STARTS.openrc.slice(1)],
  ])('starts a tunnel again whose interface is gone, and which %s has for started', async (_, distribution, calls) => {
    await make(distribution);
    const script = scene.script('linux');
    await machine.run(script);
    await machine.command('ip', 'link', 'delete', 'dev', 'wg0');
    machine.takeCalls();
    expect((await machine.run(script)).exit).toBe(0);
    expect(machine.takeCalls()).toEqual(calls);
    await machine.command('wg', 'show', 'wg0');
  });

  describe('name servers of the hub', () => {
    const resolvconf = '#!/bin/sh\n. /usr/local/lib/stand-in.sh\nrecord resolvconf "$@"\n';
    const told = (text: string): string => text.replace('\n[Peer]', 'DNS = 10.77.0.1\n\n[Peer]');

    test('are used where resolvconf works', async () => {
      await make(DISTRIBUTIONS.debian);
      machine.program('resolvconf', resolvconf);
      machine.write('/etc/resolv.conf', '# Generated by resolvconf\nnameserver 192.0.2.1\n');
      scene.hub.rewrite = told;
      expect((await machine.run(scene.script('linux'))).exit).toBe(0);
      expect(machine.read(CONF)).toContain('\nDNS = 10.77.0.1\n');
      expect(machine.takeCalls()).toContain('resolvconf -a wg0 -m 0 -x');
    });

    test.each([
      ['there is none', null],
      ['it is there, but another program keeps resolv.conf, which stays as it is', resolvconf],
    ])('are left out where %s, and that is said', async (_, program) => {
      await make(DISTRIBUTIONS.debian);
      if (program !== null) machine.program('resolvconf', program);
      machine.write('/etc/resolv.conf', '# by hand\nnameserver 192.0.2.1\n');
      scene.hub.rewrite = told;
      const { exit, stderr } = await machine.run(scene.script('linux'));
      expect([exit, machine.read(CONF)?.includes('DNS')]).toEqual([0, false]);
      expect(stderr).toContain(
        'warning: this machine has no resolvconf that works: the name servers of the hub (10.77.0.1)',
      );
      expect(machine.takeCalls()).toEqual(STARTS.systemd);
    });

    test.each([true, false])(
      'are for systemd-resolved where resolvconf is that of it and it runs: %s',
      async (runs) => {
        await make(DISTRIBUTIONS.debian);
        machine.write('/usr/local/bin/resolvectl', resolvconf, 0o755);
        await machine.command('ln', '-s', 'resolvectl', '/usr/local/bin/resolvconf');
        machine.write('/etc/resolv.conf', 'nameserver 127.0.0.53\n');
        if (runs) machine.folder('/run/systemd/resolve');
        scene.hub.rewrite = told;
        expect((await machine.run(scene.script('linux'))).exit).toBe(0);
        expect(machine.read(CONF)?.includes('DNS')).toBe(runs);
      },
    );
  });

  describe('reaching the hub', () => {
    test.each(['wget', 'busybox wget'])('by %s where there is no curl', async (kind) => {
      await make(DISTRIBUTIONS.debian, ['curl']);
      if (kind !== 'wget') machine.program('wget', '#!/bin/sh\nexec busybox wget "$@"\n');
      const { exit } = await machine.run(scene.script('linux'));
      expect([exit, await pings(), machine.takeCalls()]).toEqual([0, true, STARTS.systemd]);
      expect(JSON.parse(scene.hub.requests[0]?.body ?? '')).toMatchObject({ token: TOKEN });
    });

    test('by wget as by curl: it waits no longer, and is sent nowhere else', async () => {
      await make(DISTRIBUTIONS.debian, ['curl']);
      const before = await machine.state();
      const location = `${scene.hub.url}/elsewhere`;
      for (const [answer, says] of [
        ['silence', 'no answer from'],
        [{ status: 307, body: '', location }, '(307) is not the hub'],
        [{ status: 410, body: '{"error":"it has expired"}' }, 'not registered: it has expired'],
      ] as const) {
        scene.hub.answering = (request, usual) => (request.path.endsWith('/register') ? answer : usual(request));
        const { exit, stderr } = await machine.run(scene.script('linux'));
        expect([exit, stderr]).toEqual([1, expect.stringContaining(says)]);
        expect(await machine.state()).toEqual(before);
      }
      expect(scene.hub.requests.map(({ path }) => path)).not.toContain('/elsewhere');
    });

    test('by curl that it installs, where wget checks no certificate or a key is pinned', async () => {
      await make(DISTRIBUTIONS.debian, ['curl']);
      machine.program('wget', '#!/bin/sh\nexec busybox wget "$@"\n');
      const script = scene.script('linux', { hubUrl: scene.hub.tls.url, hubPin: scene.hub.tls.pin });
      expect((await machine.run(script)).exit).toBe(0);
      expect(machine.takeCalls()[0]).toBe(`${apt('--no-install-recommends install')} curl`);
      expect(await pings()).toBe(true);
    });

    test('by a certificate of its own, told by the pinned key and by nothing else', async () => {
      await make(DISTRIBUTIONS.debian);
      const before = await machine.state();
      const other = `sha256//${Buffer.alloc(32).toString('base64')}`;
      for (const hubPin of [other, '']) {
        const { exit, stderr } = await machine.run(scene.script('linux', { hubUrl: scene.hub.tls.url, hubPin }));
        expect([exit, stderr]).toEqual([1, expect.stringContaining('not registered: no answer from')]);
        expect(stderr.endsWith('\neverything is as it was before\n')).toBe(true);
        expect(await machine.state()).toEqual(before);
      }
      expect(scene.hub.requests).toEqual([]);
      const { exit } = await machine.run(
        scene.script('linux', { hubUrl: scene.hub.tls.url, hubPin: scene.hub.tls.pin }),
      );
      expect([exit, await pings()]).toEqual([0, true]);
    });
  });
});
