import { resolve } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { run } from '../../platform/run.ts';
import { STATE } from '../../wireguard/provision/script.ts';
import { BackgroundProcess } from '../harness/background-process.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { HubNetwork } from '../harness/hub-network.ts';
import { InstallerMachine, SHELLS, type Shell } from '../harness/installer-machine.ts';
import { DISTRIBUTIONS } from '../harness/installer-stand-ins.ts';
import {
  decided,
  everything,
  INCLUDE,
  inForce,
  isWaiting,
  MAIN,
  makeNew,
  provisionObstacle,
  RULES,
  SECOND,
  SYSCTL,
  provisionScript as script,
  USUAL_MAIN,
} from './provision-machine.ts';

const obstacle = provisionObstacle();
const isThorough = process.env.LATCHKEY_THOROUGH === '1';
const everyShell = Object.keys(SHELLS) as Shell[];
/** Each failure is tried under one shell of the three in turn, and under all when there is time. */
const shellsFor = (at: number): Shell[] => (isThorough ? everyShell : [everyShell[at % everyShell.length] as Shell]);
/** The rest takes long, and is tried when there is time. */
const some = <T>(list: readonly T[], few: number): readonly T[] => (isThorough ? list : list.slice(0, few));
const PROGRAM = resolve(import.meta.dirname, '../../wireguard/main.ts');
/** Runs a command at a terminal of its own, and types once it is asked. */
const TYPE = `
import os, pty, sys
answer, said, asked = sys.argv[1].encode(), b'', False
pid, end = pty.fork()
if pid == 0: os.execvp(sys.argv[2], sys.argv[2:])
while True:
    try: piece = os.read(end, 4096)
    except OSError: break
    if not piece: break
    said += piece
    if b'type yes: ' in said and not asked:
        asked = True
        os.write(end, answer)
sys.stdout.buffer.write(said)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;
/** The real one, but for one thing that it is told. */
const nftThat = (pattern: string, does: string): string =>
  `#!/bin/sh\ncase "$*" in ${pattern}) ${does} ;; esac\nexec /usr/sbin/nft "$@"\n`;

describe.skipIf(obstacle !== null)(`a machine that is provisioned${obstacle === null ? '' : `: ${obstacle}`}`, () => {
  const cleanup = new Cleanup();
  const unguard = cleanup.guard();
  let machine: InstallerMachine;
  let network: HubNetwork;

  beforeAll(async () => {
    network = await HubNetwork.build(cleanup);
    machine = await InstallerMachine.build(await network.machine('target', 1), DISTRIBUTIONS.debian);
  });
  afterAll(async () => {
    unguard();
    await cleanup.run();
  });
  beforeEach(() => makeNew(machine));

  const confirmed = async (text: string): Promise<void> => {
    expect((await machine.run(text)).exit).toBe(0);
    expect(await machine.run(text, { args: ['--confirm'] })).toMatchObject({ exit: 0 });
  };

  test.each(some(everyShell, 1))(
    'keeps what was confirmed, also after a restart, and a second run changes nothing (%s)',
    async (shell) => {
      const applied = await machine.run(script(), { shell, piped: true });
      expect(applied).toMatchObject({ exit: 0, stdout: expect.stringMatching(/^waiting 30 seconds/) });
      expect(applied.stderr).toContain('no service latchkey-hub here, so nothing starts the hub at boot');
      expect(await inForce(machine)).toMatch(/table inet latchkey .*\n1\n1\n$/s);
      expect(machine.read(RULES)).toBeNull();
      const kept = await machine.run(script(), { shell, args: ['--confirm'] });
      expect(kept).toMatchObject({ exit: 0, stdout: 'confirmed: these rules stay, also after a restart\n' });
      expect(machine.read(MAIN)).toBe(USUAL_MAIN + INCLUDE);
      expect(machine.read(SYSCTL)).toBe('# by Latchkey\nnet/ipv4/ip_forward = 1\nnet/ipv6/conf/all/forwarding = 1\n');
      expect(machine.takeCalls()).toEqual(['systemctl enable nftables.service']);
      expect(machine.read(STATE)).toBeNull();
      const before = await everything(machine);
      const again = await machine.run(script(), { shell });
      expect(again).toMatchObject({ exit: 0, stdout: 'everything is in place: nothing was changed\n', stderr: '' });
      expect(await everything(machine)).toEqual(before);
      // as nftables.service does at boot
      const rules = await machine.command('nft', '-s', 'list', 'table', 'inet', 'latchkey');
      const atBoot = await machine.command(
        'unshare',
        '-n',
        'sh',
        '-c',
        `nft -f ${MAIN} && nft -s list table inet latchkey`,
      );
      expect(atBoot).toBe(rules);
    },
  );

  test.each(some(everyShell, 1))(
    'names what its rules will close, and nothing that only the machine reaches (%s)',
    async (shell) => {
      // 443 is one that the rules leave open
      const doors = [
        ['0.0.0.0', 80],
        ['127.0.0.1', 81],
        ['::1', 82],
        ['::', 443],
        ['::', 8080],
      ] as const;
      const listen = doors.map(([host, port]) => `net.createServer().listen(${port}, '${host}', open)`).join(';');
      const text = `let left = ${doors.length}; const open = () => { if (--left === 0) console.log('open') }; ${listen}`;
      const servers = await BackgroundProcess.start(machine.inside([process.execPath, '-e', text]), {
        readyWhen: /^open$/m,
      });
      const { stderr } = await machine.run(script({ waitSeconds: 5 }), { shell });
      await servers.stop();
      expect(stderr).toContain('something listens on TCP 80 8080, which these rules close; --open PORT keeps one open');
    },
  );

  test('puts back what was before when nobody confirms, whoever started it being gone', async () => {
    await confirmed(script());
    const before = await everything(machine);
    expect((await machine.run(script({ ruleset: SECOND, waitSeconds: 2 }))).exit).toBe(0);
    expect(await inForce(machine)).toContain('8443');
    await decided(machine);
    expect(await everything(machine)).toEqual(before);
    const late = await machine.run(script(), { args: ['--confirm'] });
    expect(late).toMatchObject({ exit: 1, stderr: expect.stringContaining('nothing waits for a confirmation') });
  });

  test.runIf(isThorough)('had no rules, and has none again when nobody confirms', async () => {
    const before = await everything(machine);
    expect((await machine.run(script({ waitSeconds: 2 }))).exit).toBe(0);
    expect(await inForce(machine)).not.toBe(before[0]);
    await decided(machine);
    expect(await everything(machine)).toEqual(before);
    expect(machine.takeCalls()).toEqual([]);
  });

  test('is as before after a power cut between loading and confirming', async () => {
    await confirmed(script());
    const atBoot = () => machine.command('unshare', '-n', 'sh', '-c', `nft -f ${MAIN} && nft -s list ruleset`);
    const files = async () => (await machine.state()).filter((line) => !/ \/run/.test(line));
    const [rules, before] = [await atBoot(), await files()];
    expect((await machine.run(script({ ruleset: SECOND }))).exit).toBe(0);
    expect(isWaiting(machine)).toBe(true);
    expect(await files()).toEqual(before);
    expect(await atBoot()).toBe(rules);
  });

  test.runIf(isThorough)('puts everything back at once when it is told so', async () => {
    const before = await everything(machine);
    await machine.run(script());
    const back = await machine.run(script(), { args: ['--roll-back'] });
    expect(back).toMatchObject({ exit: 0, stdout: 'what was before is back\n' });
    expect(await everything(machine)).toEqual(before);
  });

  test.runIf(isThorough)('refuses a second run while rules wait', async () => {
    await machine.run(script());
    const before = await everything(machine);
    const second = await machine.run(script({ ruleset: SECOND }));
    expect(second).toMatchObject({ exit: 3, stderr: expect.stringContaining('wait for their confirmation') });
    expect(await everything(machine)).toEqual(before);
  });

  test('is put back by the next one who looks when the guard was killed', async () => {
    const before = await everything(machine);
    const killGuard = async (): Promise<void> => {
      await machine.run(script());
      process.kill(Number(machine.read(`${STATE}/pid`)), 'SIGKILL');
    };
    await killGuard();
    const asked = await machine.run(script(), { args: ['--confirm'] });
    expect(asked).toMatchObject({ exit: 1, stderr: expect.stringContaining('nobody watched over these rules') });
    expect(await everything(machine)).toEqual(before);
    await killGuard();
    const next = await machine.run(script());
    expect(next).toMatchObject({ exit: 0, stderr: expect.stringContaining('nobody watches over the rules') });
    await machine.run(script(), { args: ['--roll-back'] });
    expect(await everything(machine)).toEqual(before);
  });

  test('puts everything back when all of the session is killed while nft loads', async () => {
    const before = await everything(machine);
    machine.program(
      'nft',
      nftThat(`'-f ${STATE}/wanted.nft'`, '/usr/sbin/nft "$@"; : >/run/stand-in/hanging; sleep 600'),
    );
    const signal = { name: 'SIGKILL', when: () => machine.hangs() } as const;
    await machine.run(script({ waitSeconds: 2 }), { signal });
    machine.remove('/usr/local/bin/nft');
    machine.remove('/run/stand-in/hanging');
    await machine.command('sh', '-c', 'rm -r /run/latchkey-installer /run/latchkey.*'); // of the killed run
    await decided(machine);
    expect(await everything(machine)).toEqual(before);
  });

  const failures: [name: string, says: string, prepare: () => string | undefined][] = [
    [
      'nft does not take the rules',
      'nft does not take these rules',
      () => script({ ruleset: 'table inet latchkey {\n' }),
    ],
    [
      'nft cannot load them',
      'nft could not load the rules',
      () => void machine.program('nft', nftThat(`'-f ${STATE}/wanted.nft'`, 'exit 1')),
    ],
    [
      'nft loads them and fails',
      'nft could not load the rules',
      () => void machine.program('nft', nftThat(`'-f ${STATE}/wanted.nft'`, '/usr/sbin/nft "$@"; exit 1')),
    ],
    [
      'the kernel does not forward',
      'forwarding could not be switched on',
      () =>
        script({
          sysctls: [
            ['net/ipv6/conf/all/forwarding', '1'],
            ['net/ipv4/ip_forward', 'x'],
          ],
        }),
    ],
    [
      'nftables.conf cannot be loaded',
      'cannot be loaded, so that after a restart',
      () => void machine.write(MAIN, 'this is no rule\n', 0o755),
    ],
    [
      'the guard does not start',
      'did not start',
      () =>
        void machine.program('setsid', '#!/bin/sh\ncase "$*" in *watch) exit 1 ;; esac\nexec /usr/bin/setsid "$@"\n'),
    ],
  ];
  test.each(
    some(failures, 3).flatMap(([name, says, prepare], at) =>
      shellsFor(at).map((shell) => ({ name, says, prepare, shell })),
    ),
  )('is as it was when $name ($shell)', async ({ says, prepare, shell }) => {
    const text = prepare() ?? script();
    const before = await everything(machine);
    const { exit, stderr, stdout } = await machine.run(text, { shell });
    expect({ exit, stdout }).toEqual({ exit: 1, stdout: '' });
    expect(stderr).toContain(says);
    expect(await everything(machine)).toEqual(before);
  });

  const refusedAtTheEnd: [name: string, says: string, prepare: () => void][] = [
    [
      'systemd does not enable the service',
      'cannot have nftables.service started at boot',
      () => machine.failAt('systemctl enable*'),
    ],
    ['a folder is a file', 'cannot write /etc/nftables.d', () => machine.write('/etc/nftables.d', 'not a folder\n')],
    [
      'nftables.conf cannot be loaded any more',
      'cannot be loaded with these rules in it',
      () => machine.program('nft', nftThat(`'-c -f ${MAIN}'`, 'exit 1')),
    ],
  ];
  test.each(
    some(refusedAtTheEnd, 1).flatMap(([name, says, prepare], at) =>
      shellsFor(at).map((shell) => ({ name, says, prepare, shell })),
    ),
  )('is as it was when it was confirmed and $name ($shell)', async ({ says, prepare, shell }) => {
    const former = await inForce(machine);
    expect((await machine.run(script(), { shell })).exit).toBe(0);
    prepare();
    const files = async () => (await machine.state()).filter((line) => !line.includes(STATE));
    const before = await files();
    const { exit, stderr, stdout } = await machine.run(script(), { shell, args: ['--confirm'] });
    expect({ exit, stdout }).toEqual({ exit: 1, stdout: '' });
    expect(stderr).toContain(says);
    expect(stderr).toContain('what was before is back');
    expect(await files()).toEqual(before);
    expect(await inForce(machine)).toBe(former);
    expect(machine.read(STATE)).toBeNull();
  });

  test.runIf(isThorough)('has what was confirmed before when the next rules cannot be made permanent', async () => {
    await confirmed(script());
    const before = await everything(machine);
    expect((await machine.run(script({ ruleset: SECOND }))).exit).toBe(0);
    machine.program('nft', nftThat(`'-c -f ${MAIN}'`, 'exit 1'));
    expect((await machine.run(script(), { args: ['--confirm'] })).exit).toBe(1);
    machine.remove('/usr/local/bin/nft');
    expect(await everything(machine)).toEqual(before);
    await confirmed(script({ ruleset: SECOND }));
    expect(machine.read(RULES)).toContain('8443');
    expect(machine.read(MAIN)).toBe(USUAL_MAIN + INCLUDE); // once
  });

  const FOREIGN =
    'table ip mine {\n\tchain c {\n\t\ttype filter hook input priority 5; policy accept;\n\t\tip saddr 192.0.2.1 drop\n\t}\n}';
  test('keeps a nftables.conf that somebody else wrote, and its rules', async () => {
    machine.write(MAIN, FOREIGN, 0o640);
    await machine.command('systemctl', 'enable', 'nftables.service');
    await machine.command('nft', '-f', MAIN);
    await confirmed(script());
    expect(machine.read(MAIN)).toBe(`${FOREIGN}\n${INCLUDE}`);
    expect((await machine.command('stat', '-c', '%a', MAIN)).trim()).toBe('640');
    expect(await inForce(machine)).toContain('192.0.2.1');
    expect(machine.takeCalls()).toEqual(['systemctl enable nftables.service']); // its owner's
  });
  test('refuses to wake rules that nobody has in use', async () => {
    machine.write(MAIN, FOREIGN, 0o640);
    const before = await everything(machine);
    const refused = await machine.run(script());
    expect(refused).toMatchObject({ exit: 3, stderr: expect.stringContaining('has rules that are not in use') });
    expect(await everything(machine)).toEqual(before);
  });

  test.runIf(isThorough)('goes on listening to the router that it knows by announcements', async () => {
    const routed =
      'ip link add up0 type veth peer name up1 && ip link set up1 up && ip link set up0 up && ip -6 route add default via fe80::1 dev up0 proto ra';
    await machine.command('sh', '-c', `${routed} && echo 1 >/proc/sys/net/ipv6/conf/up0/accept_ra`);
    const acceptRa = async () => (await machine.command('cat', '/proc/sys/net/ipv6/conf/up0/accept_ra')).trim();
    await confirmed(script());
    expect(await acceptRa()).toBe('2');
    expect(machine.read(SYSCTL)).toContain('net/ipv6/conf/up0/accept_ra = 2\n');
    expect((await machine.run(script())).stdout).toBe('everything is in place: nothing was changed\n');
    await machine.command('ip', 'link', 'delete', 'up0');
  });

  test.runIf(isThorough)('has services started at boot that are there, and no others', async () => {
    machine.write('/etc/wireguard/wg0.conf', '[Interface]\n', 0o600);
    const services = ['wg-quick@wg0.service', 'latchkey-node.service'];
    const text = script({ role: 'spoke', sysctls: [], services });
    await confirmed(text);
    expect(machine.takeCalls()).toEqual(['systemctl enable nftables.service', 'systemctl enable wg-quick@wg0.service']);
    expect(machine.read(SYSCTL)).toBeNull();
    machine.remove('/etc/wireguard/wg0.conf');
  });

  test.runIf(isThorough)('that lacks packages gets them, and loses them again when a step fails', async () => {
    const bare = await InstallerMachine.build(await network.machine('bare', 2), DISTRIBUTIONS.debian, [
      'wireguard-tools',
    ]);
    await makeNew(bare);
    const before = await everything(bare);
    bare.failAt('apt-get *install*');
    expect(await bare.run(script())).toMatchObject({
      exit: 1,
      stderr: expect.stringContaining('could not install: wireguard-tools'),
    });
    bare.failAt();
    bare.program('nft', nftThat(`'-f ${STATE}/wanted.nft'`, 'exit 1'));
    expect((await bare.run(script())).exit).toBe(1);
    bare.remove('/usr/local/bin/nft');
    bare.takeCalls();
    expect(await everything(bare)).toEqual(before);
    const readied = await bare.run(script());
    expect(readied).toMatchObject({
      exit: 0,
      stdout: expect.stringContaining('installed, and stays: libstandin0 wireguard-tools'),
    });
    expect(await bare.run(script(), { args: ['--confirm'] })).toMatchObject({ exit: 0 });
  });

  test.runIf(isThorough)('has its guard in a unit of its own where systemd makes one', async () => {
    const unit = '. /usr/local/lib/stand-in.sh; record systemd-run "$1" "$2"; shift 3; exec setsid -f "$@"';
    machine.program('systemd-run', `#!/bin/sh\n${unit}\n`);
    const before = await inForce(machine);
    expect((await machine.run(script({ waitSeconds: 2 }))).exit).toBe(0);
    expect(machine.takeCalls()).toEqual(['systemd-run --quiet --collect']);
    await decided(machine);
    expect(await inForce(machine)).toBe(before);
    machine.remove('/usr/local/bin/systemd-run');
  });

  describe.runIf(isThorough)('wghub provision --run', () => {
    const words = [process.execPath, '--disable-warning=ExperimentalWarning', PROGRAM, 'provision'] as const;
    const spoke = [...words, 'spoke', '--network', '10.66.0.0/24', '--hub-address', '10.66.0.1', '--run'] as const;
    /** As somebody at a terminal does. */
    const typing = (answer: string) =>
      run(machine.inside(['python3', '-c', TYPE, answer, ...spoke]), { timeoutMs: 60_000, allowExit: 'any' });

    test('without a terminal leaves the decision to another command', async () => {
      const waits = await run(machine.inside(spoke), { timeoutMs: 60_000 });
      expect(waits.stderr).toContain('wghub provision confirm');
      expect(isWaiting(machine)).toBe(true);
      expect(await machine.command(...words, 'confirm')).toContain('confirmed: these rules stay');
      expect(machine.read(RULES)).toContain('chain input');
      expect(await machine.command(...spoke)).toBe('everything is in place: nothing was changed\n');
    });
    test('keeps the rules when somebody types yes', async () => {
      const { exit, stdout } = await typing('yes\n');
      expect(stdout.toString('utf8')).toContain('confirmed: these rules stay');
      expect(exit).toBe(0);
      expect(machine.read(RULES)).toContain('chain input');
    });
    test.each(['no\n', '\u0003'])('puts them back at once on %j', async (answer) => {
      const before = await everything(machine);
      const { exit, stdout } = await typing(answer);
      expect(stdout.toString('utf8')).toContain('that was no yes');
      expect(exit).toBe(1);
      expect(await everything(machine)).toEqual(before);
    });
  });

  test.runIf(isThorough)('with OpenRC has the service and the file of Alpine', async () => {
    const alpine = await InstallerMachine.build(await network.machine('alpine', 3), DISTRIBUTIONS.alpine);
    await makeNew(alpine);
    alpine.write('/etc/init.d/nftables', '#!/sbin/openrc-run\n', 0o755);
    alpine.write('/etc/nftables.nft', `flush ruleset\ninclude "/etc/nftables.d/*.nft"\n`);
    expect((await alpine.run(script(), { shell: 'ash' })).exit).toBe(0);
    expect(await alpine.run(script(), { shell: 'ash', args: ['--confirm'] })).toMatchObject({ exit: 0 });
    expect(alpine.takeCalls()).toEqual(['rc-update add nftables default']);
    expect(alpine.read('/etc/nftables.nft')).toBe('flush ruleset\ninclude "/etc/nftables.d/*.nft"\n');
    expect((await alpine.run(script(), { shell: 'ash' })).stdout).toContain('nothing was changed');
  });
});
