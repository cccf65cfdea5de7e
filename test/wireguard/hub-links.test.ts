import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { run } from '../../platform/run.ts';
import { type Finding, isTrouble } from '../../wireguard/doctor/finding.ts';
import { generateKeyPair } from '../../wireguard/keys.ts';
import { type Argv, BackgroundProcess } from '../harness/background-process.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { answers, bringUp, HubNetwork, type Machine } from '../harness/hub-network.ts';
import { HubProcess } from '../harness/hub-process.ts';
import { projectProgram } from '../harness/keyserver-process.ts';
import { tunnelObstacle } from '../harness/namespaces.ts';
import { findProgram } from '../harness/programs.ts';

const PATIENCE = { timeout: 30_000, interval: 50 };
const HUB = '10.77.0.1';
const NOBODY = 65_534;
const PROGRAMS = ['ip', 'wg', 'wireguard-go', 'sh', 'cat'] as const;

describe.skipIf(tunnelObstacle() !== null)('a hub and what it makes its interface with', { timeout: 90_000 }, () => {
  const cleanup = new Cleanup();
  const folder = mkdtempSync(join(tmpdir(), 'lk-hub-links-'));
  const keyfile = join(folder, 'hub.key');
  let network: HubNetwork;
  let machine: Machine;
  let hub: HubProcess;
  let running: BackgroundProcess | null = null;

  beforeAll(async () => {
    cleanup.add(folder, () => rmSync(folder, { recursive: true }));
    network = await HubNetwork.build(cleanup);
    machine = await network.machine('hub', 1);
    hub = new HubProcess(machine, join(folder, 'hub'), keyfile, cleanup);
    await hub.init(['--interface', 'wg0', '--network', '10.77.0.0/24']);
    hub.configure({ lookSeconds: 1 });
  });
  afterAll(() => cleanup.run());
  afterEach(async () => {
    await running?.stop();
    await machine.tries('ip link delete wg0');
  });

  /** In a process group of its own, as a terminal or a service has it. */
  async function start(before: readonly string[] = []): Promise<BackgroundProcess> {
    const program = [...projectProgram('wireguard/main.ts'), 'start', '--data', hub.data, '--keyfile', keyfile];
    const argv = machine.inside(['setsid', ...before, ...program] as unknown as Argv);
    running = await BackgroundProcess.start(argv, { readyWhen: /^serving /m, timeoutMs: 30_000 });
    return running;
  }
  const health = async (): Promise<unknown> => (await hub.call('GET', '/api/health')).body?.status;
  const becomes = (status: 'online' | 'degraded'): Promise<void> =>
    vi.waitFor(async () => expect(await health()).toBe(status), PATIENCE);
  /** It serves, says what is wrong, and has an API that answers for the rest. */
  async function servesDegraded(code: string, hint: RegExp): Promise<void> {
    expect(await health()).toBe('degraded');
    expect(running?.output()).toContain('wg0 could not be built yet');
    expect(running?.output()).toContain(`"problem":"${code}"`);
    expect(running?.output()).toMatch(hint);
    expect(await hub.call('GET', '/api/list-peers')).toMatchObject({ status: expect.toSatisfy((one) => one !== 0) });
    await becomes('degraded');
  }
  /** A PATH with these programs and no others. */
  function pathOf(name: string, programs: readonly (typeof PROGRAMS)[number][]): string {
    const path = join(folder, name);
    mkdirSync(path);
    for (const one of programs) symlinkSync(findProgram(one) ?? '', join(path, one));
    return path;
  }
  const standIn = (path: string, lines: string): void => {
    rmSync(path, { force: true });
    writeFileSync(path, `#!/bin/sh\n${lines}\n`);
    chmodSync(path, 0o755);
  };

  test('ended by a signal to its whole process group it leaves the interface, which passes traffic', async () => {
    const { pid: first } = await start();
    const device = await network.machine('device', 10);
    await bringUp(device, (await hub.device('device')).config, cleanup);
    const programs = machine.processes('wireguard-go');
    let pid = first;
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      expect(await answers(device, HUB)).toBe(true);
      process.kill(-pid, signal);
      await vi.waitFor(() => expect(running?.isRunning()).toBe(false), PATIENCE);
      expect(machine.processes('wireguard-go')).toEqual(programs);
      expect(await answers(device, HUB)).toBe(true);
      if (signal !== 'SIGHUP') ({ pid } = await start());
    }
    await device.halt();
  });

  test('nothing of a program stays behind when its interface was taken away', async () => {
    const { pid } = await start();
    const [first] = machine.processes('wireguard-go');
    await machine.run('ip', 'link', 'delete', 'wg0');
    await vi.waitFor(() => expect(machine.processes('wireguard-go')).toHaveLength(1), PATIENCE);
    const children = (): string[] => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    await vi.waitFor(() => expect(children()).not.toContain(String(first)), PATIENCE);
    await vi.waitFor(async () => expect(await hub.differences()).toEqual([]), PATIENCE);
  });

  test('doctor sees what is wrong with an interface that no hub mends', async () => {
    await start();
    await running?.stop();
    await machine.run('ip', 'link', 'set', 'wg0', 'mtu', '1500');
    await machine.run('ip', 'address', 'add', '10.9.9.9/32', 'dev', 'wg0');
    await machine.run('wg', 'set', 'wg0', 'listen-port', '4444', 'peer', generateKeyPair().publicKey);
    const doctor = [
      ...projectProgram('wireguard/main.ts'),
      'doctor',
      '--data',
      hub.data,
      '--keyfile',
      keyfile,
      '--json',
    ];
    const argv = machine.inside(doctor as unknown as Argv);
    const { exit, stdout } = await run(argv, { timeoutMs: 30_000, allowExit: 'any' });
    const findings: readonly Finding[] = JSON.parse(stdout.toString('utf8')).findings;
    const ofInterface = findings.filter((one) => one.interface === 'wg0' && isTrouble(one)).map(({ check }) => check);
    expect(exit).toBe(1);
    expect(ofInterface).toEqual(['addresses', 'mtu', 'port', 'foreign peers']);
    expect(findings).toContainEqual(expect.objectContaining({ check: 'hub', verdict: 'fault', found: 'does not run' }));
  });

  test('a name that another kind of interface has is left alone until it is free', async () => {
    await machine.run('ip', 'link', 'add', 'wg0', 'type', 'veth', 'peer', 'name', 'other');
    await machine.run('ip', 'address', 'add', '10.9.9.9/24', 'dev', 'wg0');
    const before = await machine.run('ip', '-json', 'address', 'show', 'dev', 'wg0');
    await start();
    await servesDegraded('link_name_taken', /another kind \(veth\)/);
    expect(await machine.run('ip', '-json', 'address', 'show', 'dev', 'wg0')).toBe(before);
    await machine.run('ip', 'link', 'delete', 'wg0');
    await becomes('online');
    expect(await hub.differences()).toEqual([]);
  });

  test('without a program for it the hub serves, and takes one that is installed later', async () => {
    const path = pathOf('no-program', ['ip', 'wg']);
    await start(['env', `PATH=${path}`]);
    await servesDegraded('link_missing', /wg0 cannot be made on this machine/);
    symlinkSync(findProgram('wireguard-go') ?? '', join(path, 'wireguard-go'));
    await becomes('online');
  });

  test('without ip the hub serves, and says which package has it', async () => {
    const path = pathOf('no-ip', ['wg', 'wireguard-go']);
    await start(['env', `PATH=${path}`]);
    await servesDegraded('link_missing', /ip is not installed/);
    symlinkSync(findProgram('ip') ?? '', join(path, 'ip'));
    await becomes('online');
  });

  test('without /dev/net/tun the hub serves until it is there', async () => {
    await machine.run('mount', '-t', 'tmpfs', 'tmpfs', '/dev/net');
    await start();
    await servesDegraded('tun_missing', /\/dev\/net\/tun cannot be opened \(ENOENT\)/);
    await machine.run('umount', '/dev/net');
    await becomes('online');
  });

  test('without the tool of a kernel that has WireGuard the hub serves, and goes on when it is back', async () => {
    const path = pathOf('kernel', ['wg', 'wireguard-go', 'sh', 'cat']);
    // a stand-in for a kernel with WireGuard: what is asked of it, wireguard-go makes
    const asked = 'if [ "$1 $2 $4 $5" = "link add type wireguard" ]; then exec wireguard-go "$3"; fi';
    standIn(join(path, 'ip'), `${asked}\nexec ${findProgram('ip')} "$@"`);
    await start(['env', `PATH=${path}`]);
    await becomes('online');
    rmSync(join(path, 'wg'));
    await becomes('degraded');
    expect(running?.output()).toContain('"problem":"driver_missing"');
    standIn(join(path, 'wg'), 'echo what >&2; exit 1');
    await vi.waitFor(() => expect(running?.output()).toContain('"problem":"driver_failed"'), PATIENCE);
    expect(await health()).toBe('degraded');
    rmSync(join(path, 'wg'));
    symlinkSync(findProgram('wg') ?? '', join(path, 'wg'));
    await becomes('online');
  });

  test('without CAP_NET_ADMIN the hub serves, and says what it lacks', async () => {
    await start(['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin', '--']);
    await servesDegraded('link_refused', /without CAP_NET_ADMIN/);
  });

  test('as a user without rights the hub serves its own data, and says what it lacks', async () => {
    const own = join(folder, 'nobody');
    mkdirSync(own, { mode: 0o700 });
    chmodSync(folder, 0o755);
    chownSync(own, NOBODY, NOBODY);
    const as = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--', 'env', `HOME=${own}`];
    const program = projectProgram('wireguard/main.ts');
    const options = ['--data', join(own, 'hub'), '--keyfile', join(own, 'key')];
    await machine.run(
      ...([
        ...as,
        ...program,
        'init',
        '--endpoint',
        'h:51820',
        '--listen',
        '127.0.0.1:8091',
        ...options,
      ] as unknown as Argv),
    );
    const argv = machine.inside([...as, ...program, 'start', ...options] as unknown as Argv);
    const other = await BackgroundProcess.start(argv, { readyWhen: /^serving /m, timeoutMs: 30_000 });
    try {
      expect(other.output()).toContain('"problem":"link_refused"');
      const doctor = machine.inside([...as, ...program, 'doctor', ...options, '--json'] as unknown as Argv);
      const { exit, stdout } = await run(doctor, { timeoutMs: 30_000, allowExit: 'any' });
      expect(exit).toBe(1);
      expect(JSON.parse(stdout.toString('utf8')).findings).toContainEqual(
        expect.objectContaining({ check: 'rights', verdict: 'unknown' }),
      );
    } finally {
      await other.stop();
    }
  });
});
