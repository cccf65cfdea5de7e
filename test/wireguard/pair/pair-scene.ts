import { loginToTarget } from '../../../patcher/transports/target-login.ts';
import type { Transport } from '../../../patcher/transports/transport.ts';
import { run } from '../../../platform/run.ts';
import type { Argv } from '../../harness/background-process.ts';
import { Cleanup } from '../../harness/cleanup.ts';
import { HubNetwork, Machine } from '../../harness/hub-network.ts';
import { InstallerMachine, installerObstacle, SHELLS, type Shell } from '../../harness/installer-machine.ts';
import { DISTRIBUTIONS, type Distribution } from '../../harness/installer-stand-ins.ts';
import { MacMachine, type MacShape } from '../../harness/mac-machine.ts';
import { hasProgram } from '../../harness/programs.ts';

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const MAC_PATH = '/run/stand-in/mac';

/** Why no two machines with a router between them can be made here, or `null`. */
export function pairObstacle(): string | null {
  return installerObstacle() ?? (hasProgram('nft') ? null : 'nft not installed');
}

/** One machine of the scene, with a transport to it as root, and everything that went over it. */
export interface PairPlace {
  readonly machine: InstallerMachine;
  readonly transport: Transport;
  readonly carried: Buffer[];
  readonly platform: 'linux' | 'macos';
}

export interface PairShape {
  readonly home?: Distribution | MacShape;
  readonly server?: Distribution;
  /** What the machines are made without, of `PACKAGED`. */
  readonly without?: readonly string[];
  /** What `sh` is on them. */
  readonly shell?: Shell;
}

/** A server in a network, and a machine at home behind a router that lets nothing in: 10.206.0.2, seen from there as 10.205.0.3. */
export class PairScene {
  readonly server: PairPlace;
  readonly home: PairPlace;
  readonly router: Machine;
  readonly #cleanup: Cleanup;
  readonly #unguard: () => void;

  private constructor(server: PairPlace, home: PairPlace, router: Machine, cleanup: Cleanup, unguard: () => void) {
    this.server = server;
    this.home = home;
    this.router = router;
    this.#cleanup = cleanup;
    this.#unguard = unguard;
  }

  static async build(shape: PairShape = {}): Promise<PairScene> {
    const { home = DISTRIBUTIONS.debian, server = DISTRIBUTIONS.debian, without = [], shell = 'dash' } = shape;
    const cleanup = new Cleanup();
    const unguard = cleanup.guard();
    const network = await HubNetwork.build(cleanup);
    const router = await network.machine('router', 3);
    const atHome = await Machine.start('home', '10.206.0.2');
    cleanup.add('home', () => atHome.halt());
    await router.run('sh', '-c', `${wireTo(atHome.pid)} && nft -f - <<'end'\n${RULES}\nend`);
    const wire = 'ip address add 10.206.0.2/24 dev eth0 && ip link set eth0 up && ip route add default via 10.206.0.1';
    await atHome.run('sh', '-c', wire);
    const serverPlace = await linuxPlace(await network.machine('server', 2), server, without, shell);
    const homePlace =
      'manager' in home ? await linuxPlace(atHome, home, without, shell) : await macPlace(atHome, home, shell);
    return new PairScene(serverPlace, homePlace, router, cleanup, unguard);
  }

  /** From now on the router lets no UDP through. */
  async blockUdp(): Promise<void> {
    await this.router.run('nft', 'add', 'rule', 'ip', 'wall', 'through', 'meta', 'l4proto', 'udp', 'drop');
  }

  async state(): Promise<readonly [string[], string[]]> {
    return [await this.home.machine.state(), await this.server.machine.state()];
  }

  async end(): Promise<void> {
    this.#unguard();
    await this.#cleanup.run();
  }
}

const wireTo = (pid: number): string =>
  [
    `ip link add inner type veth peer name eth0 netns ${pid}`,
    'ip address add 10.206.0.1/24 dev inner',
    'ip link set inner up',
    'echo 1 >/proc/sys/net/ipv4/ip_forward',
  ].join(' && ');

const RULES = `table ip wall {
  chain through {
    type filter hook forward priority 0; policy accept;
    iifname "eth0" ct state new drop
  }
  chain out {
    type nat hook postrouting priority 100;
    oifname "eth0" masquerade
  }
}`;

async function linuxPlace(
  base: Machine,
  distribution: Distribution,
  without: readonly string[],
  shell: Shell,
): Promise<PairPlace> {
  const machine = await InstallerMachine.build(base, distribution, without);
  machine.hide('cron', 'crond', 'crontab', 'ufw', 'firewall-cmd');
  return placeOf(machine, 'linux', shell, (argv) => machine.inside(argv));
}

async function macPlace(base: Machine, shape: MacShape, shell: Shell): Promise<PairPlace> {
  const made = (distribution: Distribution, without?: readonly string[]): Promise<InstallerMachine> =>
    InstallerMachine.build(base, distribution, without);
  const { base: machine } = await MacMachine.build({ machine: made }, shape);
  return placeOf(machine, 'macos', shell, (argv) => machine.inside(['env', `PATH=${MAC_PATH}`, ...argv]));
}

async function placeOf(
  machine: InstallerMachine,
  platform: 'linux' | 'macos',
  shell: Shell,
  inside: (argv: Argv) => Argv,
): Promise<PairPlace> {
  const carried: Buffer[] = [];
  const transport = await loginToTarget({
    label: machine.machine.name,
    sudo: false,
    prompter: null,
    close: async () => undefined,
    exec: async (argv, { input, timeoutMs, maxBytes }) => {
      carried.push(Buffer.from(argv.join('\0')), input);
      const [program, ...words] = argv.map((word) => word);
      // only where it is the program that a script is for
      const told: Argv = program === 'sh' && words[0] === '-s' ? [...SHELLS[shell], ...words] : argv;
      const options = { input, timeoutMs, maxBytes, allowExit: 'any', env: { PATH } } as const;
      const result = await run(inside(told), options);
      carried.push(result.stdout, Buffer.from(result.stderr));
      return result;
    },
  });
  return { machine, transport, carried, platform };
}
