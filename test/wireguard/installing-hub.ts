import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../platform/run.ts';
import type { HubConfig } from '../../wireguard/data/hub-config.ts';
import type { Cleanup } from '../harness/cleanup.ts';
import { HubNetwork, type Machine } from '../harness/hub-network.ts';
import { HubProcess } from '../harness/hub-process.ts';

const HUB = '10.205.0.1';

/** A real hub that machines in its network fetch installers from: over TLS, with a certificate of its own. */
export class InstallingHub {
  readonly network: HubNetwork;
  readonly machine: Machine;
  readonly hub: HubProcess;
  #token = '';

  private constructor(network: HubNetwork, machine: Machine, hub: HubProcess) {
    this.network = network;
    this.machine = machine;
    this.hub = hub;
  }

  /** It serves, keeps 10.77.0.1/24 and what else `init` is told of, and is called berlin. */
  static async build(
    cleanup: Cleanup,
    init: readonly string[],
    settings: Partial<HubConfig> = {},
  ): Promise<InstallingHub> {
    const folder = mkdtempSync(join(tmpdir(), 'lk-installing-hub-'));
    cleanup.add(folder, () => rmSync(folder, { recursive: true }));
    const network = await HubNetwork.build(cleanup);
    const machine = await network.machine('hub', 1);
    const hub = new HubProcess(machine, join(folder, 'hub'), join(folder, 'hub.key'), cleanup);
    const front = ['--listen', `${HUB}:8443`, '--tls-own', HUB];
    await hub.init(['--interface', 'wg0', '--network', '10.77.0.0/24', '--name', 'berlin', ...front, ...init]);
    hub.configure(settings);
    const self = new InstallingHub(network, machine, hub);
    const made = await hub.command(['token', 'add', 'ops', '--scopes', 'peers:read', 'peers:write']);
    self.#token = (made as { token: string }).token;
    await hub.start();
    return self;
  }

  /** A call of its API, as its operator. */
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of it says what it is
  async call(method: string, path: string, body?: object): Promise<any> {
    const settings = [`url = "https://${HUB}:8443${path}"`, `header = "Authorization: Bearer ${this.#token}"`];
    const sent = body === undefined ? [] : ['-H', 'Content-Type: application/json', '-d', JSON.stringify(body)];
    const argv = this.machine.inside(['curl', '-sSk', '-X', method, '-K', '-', ...sent]);
    const { stdout } = await run(argv, { timeoutMs: 20_000, input: settings.join('\n') });
    return JSON.parse(stdout.toString('utf8'));
  }

  /** Commands to paste on a machine that is to be this spoke: in one line, and in two steps. */
  async commandsFor(
    platform: 'linux' | 'macos' | 'proxmox',
    spokeName: string,
    more: object = {},
  ): Promise<{ readonly short: string; readonly checked: string; readonly tokenId: string }> {
    const made = await this.call('POST', '/api/installation/token', { spokeName, platform, ...more });
    const { installCommands, verifiedCommands, token } = made;
    return { short: installCommands[platform], checked: verifiedCommands[platform], tokenId: token.id };
  }
}
