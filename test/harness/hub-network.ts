import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../platform/run.ts';
import { type Argv, BackgroundProcess } from './background-process.ts';
import type { Cleanup } from './cleanup.ts';
import { tunnelObstacle } from './namespaces.ts';
import type { Place } from './place.ts';
import { hasProgram } from './programs.ts';

const TIMEOUT_MS = 20_000;

/** Interfaces of its own, seen as such by whoever looks into /sys, and a folder of control sockets that no other machine has. */
const HELD = [
  'mount -t sysfs sysfs /sys',
  'mkdir -p /run/wireguard && mount -t tmpfs wireguard /run/wireguard',
  'ip link set lo up',
  'echo ready',
  'exec sleep infinity',
].join(' && ');

/** Why no such machines can be made here, or `null`. */
export function machinesObstacle(): string | null {
  const missing = ['unshare', 'mount', 'busybox', 'wg-quick'].filter((name) => !hasProgram(name));
  return tunnelObstacle() ?? (missing.length === 0 ? null : `${missing.join(', ')} not installed`);
}

/** Network and mount namespaces without a name, which end with the last process inside. */
export class Machine implements Place {
  readonly name: string;
  readonly address: string;
  readonly #holder: BackgroundProcess;

  private constructor(name: string, address: string, holder: BackgroundProcess) {
    this.name = name;
    this.address = address;
    this.#holder = holder;
  }

  /** A machine without a wire. */
  static async start(name: string, address: string): Promise<Machine> {
    const argv: Argv = ['unshare', '--net', '--mount', '--propagation', 'private', 'sh', '-c', HELD];
    return new Machine(name, address, await BackgroundProcess.start(argv, { readyWhen: /^ready$/m }));
  }

  /** Of the process that holds the namespaces. */
  get pid(): number {
    return this.#holder.pid;
  }

  inside(argv: Argv): Argv {
    return ['nsenter', `--target=${this.pid}`, '--net', '--mount', '--', ...argv];
  }

  /** Runs a command inside; what it printed. Throws when it fails. */
  async run(...argv: Argv): Promise<string> {
    const { stdout } = await run(this.inside(argv), { timeoutMs: TIMEOUT_MS });
    return stdout.toString('utf8');
  }

  /** Runs a line of shell inside; true when it ended well. */
  async tries(line: string): Promise<boolean> {
    const { exit } = await run(this.inside(['sh', '-c', line]), { timeoutMs: TIMEOUT_MS, allowExit: 'any' });
    return exit === 0;
  }

  /** Ids of what runs inside under this name, without what holds the namespaces. */
  processes(name?: string): number[] {
    const own = readlinkSync(`/proc/${this.pid}/ns/net`);
    return readdirSync('/proc').flatMap((entry) => {
      const pid = Number(entry);
      if (!Number.isInteger(pid) || pid === this.pid) return [];
      try {
        if (readlinkSync(`/proc/${entry}/ns/net`) !== own) return [];
        return name === undefined || readlinkSync(`/proc/${entry}/exe`).endsWith(`/${name}`) ? [pid] : [];
      } catch {
        return []; // it has ended meanwhile
      }
    });
  }

  async signal(name: string, signal: NodeJS.Signals): Promise<void> {
    const pids = this.processes(name);
    if (pids.length === 0) throw new Error(`no ${name} runs on ${this.name}`);
    for (const pid of pids) {
      process.kill(pid, signal);
      // its threads stop one by one, after that call
      while (signal === 'SIGSTOP' && !/^State:\tT/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) await sleep(5);
    }
  }

  /** As when the power fails: every process ends, and with them everything that is not on disk. */
  async halt(): Promise<void> {
    if (!this.#holder.isRunning()) return;
    for (const pid of this.processes()) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // it has ended meanwhile
      }
    }
    await this.#holder.kill();
  }
}

/** Machines on one switch, in a network (10.205.0.0/24) that carries nothing else. */
export class HubNetwork {
  readonly #switch: Machine;
  readonly #cleanup: Cleanup;

  private constructor(board: Machine, cleanup: Cleanup) {
    this.#switch = board;
    this.#cleanup = cleanup;
  }

  static async build(cleanup: Cleanup): Promise<HubNetwork> {
    const board = await Machine.start('switch', '');
    cleanup.add('switch', () => board.halt());
    await board.run('sh', '-c', 'ip link add br0 type bridge && ip link set br0 up');
    return new HubNetwork(board, cleanup);
  }

  /** A machine with a wire to the switch. */
  async machine(name: string, host: number): Promise<Machine> {
    const address = `10.205.0.${host}`;
    const machine = await Machine.start(name, address);
    this.#cleanup.add(name, () => machine.halt());
    const wire = `ip link add w${host} type veth peer name eth0 netns ${machine.pid}`;
    // the system takes its time with the wire of a machine that was there before
    const before = `ip link delete w${host} 2>/dev/null`;
    await this.#switch.run('sh', '-c', `${before}; ${wire} && ip link set w${host} master br0 up`);
    await machine.run('sh', '-c', `ip address add ${address}/24 dev eth0 && ip link set eth0 up`);
    return machine;
  }
}

/** A device as its user sets it up: the file that the hub gave, and `wg-quick up`. */
export async function bringUp(machine: Machine, config: string, cleanup: Cleanup): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'lk-device-'));
  cleanup.add(folder, () => rmSync(folder, { recursive: true }));
  const file = join(folder, 'wg0.conf');
  writeFileSync(file, config, { mode: 0o600 });
  if ((await machine.run('wg', 'show', 'interfaces')).includes('wg0')) await machine.run('ip', 'link', 'delete', 'wg0');
  await machine.run('wg-quick', 'up', file);
}

/** Which of these addresses do not answer a machine, each asked once more when it was silent. */
export async function silentFrom(machine: Machine, addresses: readonly string[]): Promise<string[]> {
  const line = addresses.map((one) => `{ ${ping(one)} || ${ping(one)} || echo ${one}; }`).join('; ');
  return (await machine.run('sh', '-c', line)).split('\n').filter((text) => text !== '');
}

/** True when the address answers within a second. */
export function answers(machine: Machine, address: string): Promise<boolean> {
  return machine.tries(ping(address));
}

function ping(address: string): string {
  return `busybox ping${address.includes(':') ? ' -6' : ''} -c 1 -W 1 ${address} >/dev/null 2>&1`;
}
