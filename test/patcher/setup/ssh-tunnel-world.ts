import { setTimeout as sleep } from 'node:timers/promises';
import { layTunnel, lookAtTunnel, type TunnelEnds } from '../../../patcher/setup/ssh-tunnel/ssh-tunnel.ts';
import type { SshTunnelPlan } from '../../../patcher/setup/ssh-tunnel/ssh-tunnel-plan.ts';
import { loginToTarget } from '../../../patcher/transports/target-login.ts';
import type { Transport } from '../../../patcher/transports/transport.ts';
import { run } from '../../../platform/run.ts';
import { Cleanup } from '../../harness/cleanup.ts';
import { WholeMachine } from '../../harness/whole-machine.ts';
import { WholeNetwork } from '../../harness/whole-network.ts';

/** Says at home what a key server would, to whoever reaches it. */
const ANSWERER = `systemctl stop answerer.service 2>/dev/null
systemd-run -q --unit=answerer systemd-socket-activate --accept --inetd --listen=127.0.0.1:8443 echo 'the machine at home'`;

/** A machine at home behind a router and a server on the internet, each with an sshd, and what is said by whom. */
export class SshTunnelWorld {
  readonly network: WholeNetwork;
  readonly home: WholeMachine;
  readonly server: WholeMachine;
  /** As ncpatch reaches them. */
  readonly ends: { readonly home: Transport; readonly server: Transport };
  /** Everything that came from either over those. */
  readonly heard: Buffer[];
  readonly #cleanup: Cleanup;

  private constructor(
    network: WholeNetwork,
    machines: { home: WholeMachine; server: WholeMachine },
    ends: { home: Transport; server: Transport },
    heard: Buffer[],
    cleanup: Cleanup,
  ) {
    this.network = network;
    this.home = machines.home;
    this.server = machines.server;
    this.ends = ends;
    this.heard = heard;
    this.#cleanup = cleanup;
  }

  static async build(): Promise<SshTunnelWorld> {
    const cleanup = new Cleanup();
    const network = await WholeNetwork.build(cleanup);
    const home = WholeMachine.build('home', { wire: network.home, cleanup });
    const server = WholeMachine.build('server', { wire: network.server, cleanup });
    await Promise.all([home.boot(), server.boot()]);
    await home.sh(`mkdir -p /root/.ssh; ${ANSWERER}`);
    for (const machine of [home, server]) {
      await machine.sh('rm -f /etc/ssh/ssh_host_*; ssh-keygen -q -A; systemctl enable --now ssh.service');
    }
    // what is written once stays a file of the machine's own, whatever is in it
    const passing = 'useradd -r -U -M passing && userdel passing; cp -p sshd_config kept && mv kept sshd_config';
    for (const machine of [home, server]) await machine.sh(`cd /etc/ssh; ${passing}`);
    const heard: Buffer[] = [];
    const ends = { home: await transportTo(home, heard), server: await transportTo(server, heard) };
    return new SshTunnelWorld(network, { home, server }, ends, heard, cleanup);
  }

  /** Both ends of a tunnel. */
  endsOf(change: Partial<SshTunnelPlan> = {}): TunnelEnds {
    return { plan: this.plan(change), ...this.ends };
  }

  async lay(ends: TunnelEnds): Promise<void> {
    await layTunnel(ends, await lookAtTunnel(ends));
  }

  /** What the disks of both have of their own, but for logs and the like, a line each. */
  files(): { readonly home: readonly string[]; readonly server: readonly string[] } {
    return { home: traces(this.home.changes()), server: traces(this.server.changes()) };
  }

  async startAnswerer(): Promise<void> {
    await this.home.sh(ANSWERER);
  }

  /** A tunnel as it is agreed on, with less patience. */
  plan(change: Partial<SshTunnelPlan> = {}): SshTunnelPlan {
    const endpoint = { host: this.server.address, port: 22 };
    const own = { name: 'cloud', instance: 'oc1234567890', account: 'latchkey-tunnel' } as const;
    const usual = { ...own, dials: 'home', endpoint, listen: 8443 } as const;
    return { ...usual, target: '127.0.0.1:8443', aliveSeconds: 1, retrySeconds: 1, ...change };
  }

  /** What somebody on the server hears from its loopback port. */
  async heardOnServer(port = 8443): Promise<string> {
    const line = `timeout 3 bash -c 'exec 3<>/dev/tcp/127.0.0.1/${port} && cat <&3'`;
    return (await this.server.run(['sh', '-c', line])).stdout.toString('utf8').trim();
  }

  /** Nothing may be left. */
  async end(): Promise<string[]> {
    return this.#cleanup.run();
  }
}

function transportTo(machine: WholeMachine, heard: Buffer[]): Promise<Transport> {
  return loginToTarget({
    label: machine.name,
    exec: async (argv, { onStdout: _, ...options }) => {
      const result = await run(machine.inside(argv), { ...options, allowExit: 'any' });
      heard.push(result.stdout, Buffer.from(result.stderr));
      return result;
    },
    sudo: false,
    prompter: null,
    close: async () => undefined,
  });
}

function traces(changes: ReadonlyMap<string, string>): string[] {
  const passing = /^\/(var|tmp|run|root)(\/|$)|^\/etc\/(passwd|group|shadow|gshadow|subuid|subgid)-?$|\.lock$|\/\.pwd/;
  return [...changes]
    .filter(([path]) => !passing.test(path))
    .map((entry) => entry.join(' '))
    .sort();
}

/** Waits for what is to come; a busy machine may take its time. */
export async function until(is: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await is()); tries++) {
    if (tries === 150) throw new Error('it did not come to pass');
    await sleep(200);
  }
}
