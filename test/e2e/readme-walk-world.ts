import { chmodSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BackgroundProcess } from '../harness/background-process.ts';
import type { Cleanup } from '../harness/cleanup.ts';
import type { NextcloudTree } from '../harness/nextcloud-tree.ts';
import { findProgram } from '../harness/programs.ts';
import { type Answer, atTerminal } from '../harness/typist.ts';
import { type Layer, WholeMachine, wholeMachineObstacle } from '../harness/whole-machine.ts';
import { REPLACED } from '../harness/whole-machine-boot.ts';
import { WholeNetwork } from '../harness/whole-network.ts';
import { WholeNextcloud } from '../harness/whole-nextcloud.ts';
import { letIn } from '../harness/whole-pair.ts';
import { pinnedNode, project } from '../packaging/release.ts';

/** What the pages call the server. */
const SERVER_NAME = 'cloud.example';

export interface Said {
  readonly exit: number;
  /** What the terminal showed. */
  readonly text: string;
}

/** A machine at home with a clone, and where it is wished a rented server with a Nextcloud, as a reader of the page has them. */
export class ReadmeWorld {
  readonly home: WholeMachine;
  readonly #cloud: WholeNextcloud | null;
  readonly #cleanup: Cleanup;

  private constructor(home: WholeMachine, cloud: WholeNextcloud | null, cleanup: Cleanup) {
    this.home = home;
    this.#cloud = cloud;
    this.#cleanup = cleanup;
  }

  static async build(tree: NextcloudTree | null, cleanup: Cleanup): Promise<ReadmeWorld> {
    const network = await WholeNetwork.build(cleanup);
    const layers = cloneLayers(copyOfSources(cleanup));
    const home = WholeMachine.build('home', { wire: network.home, layers, cleanup });
    const [cloud] = await Promise.all([tree === null ? null : serverWith(tree, network, cleanup), bootHome(home)]);
    if (cloud !== null) {
      await letIn(home, cloud.machine);
      await home.sh(`echo ${cloud.machine.address} ${SERVER_NAME} >>/etc/hosts`);
    }
    return new ReadmeWorld(home, cloud, cleanup);
  }

  get cloud(): WholeNextcloud {
    if (this.#cloud === null) throw new Error('this world was built without a server');
    return this.#cloud;
  }

  /** A line of the page, typed in the clone at home; questions are answered as a person does. */
  async type(line: string, answers: readonly Answer[] = []): Promise<Said> {
    const { exit, stdout, stderr } = await this.home.run(atTerminal(inClone(line)), {
      input: JSON.stringify(answers),
      timeoutMs: 540_000,
    });
    return { exit, text: stdout.toString('utf8').replaceAll('\r\n', '\n') + stderr };
  }

  /** A line that goes on until it is ended; returns when it has said this. */
  async leaveRunning(line: string, readyWhen: RegExp): Promise<void> {
    const running = await BackgroundProcess.start(this.home.inside(inClone(line)), { readyWhen, timeoutMs: 60_000 });
    this.#cleanup.add(line, () => running.kill());
  }

  /** Private keys on the server's disk, by their files' names. */
  async keysOnServer(): Promise<readonly string[]> {
    const { machine, data } = this.cloud;
    return (await machine.sh(`find ${data} -name '*.privateKey' -printf '%f\\n'`))
      .split('\n')
      .filter((name) => name !== '');
  }

  /** A person reads a file over the web that was encrypted before anything moved. */
  async readFile(): Promise<void> {
    const { status, body } = await this.cloud.dav().get(FILE);
    if (status !== 200 || body.toString('utf8') !== TEXT) throw new Error(`${FILE} answered ${status}`);
  }

  /** The network that the page asks for where it goes by hand. */
  async layTunnel(): Promise<void> {
    const { home } = this;
    const server = this.cloud.machine;
    const [ownKey, farKey] = [await home.sh('wg genkey'), await server.sh('wg genkey')].map((key) => key.trim());
    const publicOf = async (key = ''): Promise<string> => (await home.command(['wg', 'pubkey'], { input: key })).trim();
    const dial = `Endpoint = ${SERVER_NAME}:51820\nPersistentKeepalive = 25\n`;
    const ends = [
      [server, farKey, '10.8.0.2/24', 'ListenPort = 51820\n', await publicOf(ownKey), '10.8.0.1/32', ''],
      [home, ownKey, '10.8.0.1/24', '', await publicOf(farKey), '10.8.0.2/32', dial],
    ] as const;
    for (const [machine, key, address, port, peer, allowed, more] of ends) {
      const own = `[Interface]\nPrivateKey = ${key}\nAddress = ${address}\n${port}`;
      const other = `[Peer]\nPublicKey = ${peer}\nAllowedIPs = ${allowed}\n${more}`;
      machine.write('/etc/wireguard/wg0.conf', `${own}\n${other}`, 0o600);
      await machine.sh('systemctl enable --now wg-quick@wg0.service');
    }
  }
}

const FILE = 'walk.txt';
const TEXT = 'written before anything moved';

async function serverWith(tree: NextcloudTree, network: WholeNetwork, cleanup: Cleanup): Promise<WholeNextcloud> {
  const layers = [WholeNextcloud.layer(tree)];
  const server = WholeMachine.build('server', { wire: network.server, layers, cleanup });
  await server.boot();
  const cloud = await WholeNextcloud.install(server);
  const { status } = await cloud.dav().put(FILE, TEXT);
  if (status !== 201) throw new Error(`writing ${FILE} answered ${status}`);
  return cloud;
}

async function bootHome(home: WholeMachine): Promise<void> {
  await home.boot();
  home.write('/usr/local/bin/node', readFileSync(pinnedNode), 0o755);
  await commitAll(home);
}

function inClone(line: string): readonly [string, ...string[]] {
  return ['sh', '-c', 'cd "$0" && eval "$1"', project, line];
}

/** Why no machine can be had here that a reader has at home, or `null`. */
export function homeObstacle(): string | null {
  const missing = ['npm', 'git', 'python3', 'sudo'].filter((name) => findProgram(name) === null);
  if (missing.length > 0) return `${missing.join(', ')} not installed`;
  const npm = realpathSync(findProgram('npm') as string);
  if (REPLACED.some((folder) => npm.startsWith(`${folder}/`))) return 'npm lies where people keep their own';
  const hasPackages = existsSync(join(project, 'node_modules/.latchkey-installed')) && existsSync(pinnedNode);
  return hasPackages ? wholeMachineObstacle() : 'the packages of the lockfile are not installed by the launcher';
}

/** The sources as they are now, which others may work on meanwhile. */
function copyOfSources(cleanup: Cleanup): string {
  const copy = mkdtempSync(join(tmpdir(), 'latchkey-clone-'));
  cleanup.add(copy, () => rmSync(copy, { recursive: true, force: true }));
  chmodSync(copy, 0o755);
  const isSource = (name: string): boolean => !['.git', 'dist', ...BESIDE].includes(name);
  for (const entry of readdirSync(project).filter(isSource)) {
    cpSync(join(project, entry), join(copy, entry), { recursive: true, filter: (from) => existsSync(from) });
  }
  return copy;
}

/** What a clone has made for itself: packages, and what was compiled of its files. */
const BESIDE = ['node_modules', '.cache'];

/** In the place of this one, where what was compiled is known by its path. */
function cloneLayers(clone: string): Layer[] {
  const beside = BESIDE.map((name) => join(project, name)).filter((folder) => existsSync(folder));
  return [{ at: project, over: clone }, ...beside.map((folder) => ({ at: folder, over: folder }))];
}

/** Everything is committed, as in a clone that was just made. */
async function commitAll(home: WholeMachine): Promise<void> {
  const own = 'git config --global user.name walk && git config --global user.email walk@localhost';
  const commit = 'git init -q && git add -A && git commit -q -m walk';
  await home.sh(`cd '${project}' && ${own} && git config --global safe.directory '*' && ${commit}`);
}
