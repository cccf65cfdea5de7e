import type { InstallerValues } from '../../wireguard/installers/render.ts';
import { installerText } from '../../wireguard/installers/render.ts';
import type { Platform } from '../../wireguard/store/schema.ts';
import { Cleanup } from './cleanup.ts';
import { HubNetwork } from './hub-network.ts';
import { StandInHub } from './installer-hub.ts';
import { InstallerMachine } from './installer-machine.ts';
import type { Distribution } from './installer-stand-ins.ts';

/** A network with a stand-in for a hub, and machines that are to become its spokes. */
export class InstallerScene {
  readonly hub: StandInHub;
  readonly #network: HubNetwork;
  readonly #cleanup: Cleanup;
  readonly #unguard: () => void;
  #made = 1;

  private constructor(hub: StandInHub, network: HubNetwork, cleanup: Cleanup, unguard: () => void) {
    this.hub = hub;
    this.#network = network;
    this.#cleanup = cleanup;
    this.#unguard = unguard;
  }

  static async build(): Promise<InstallerScene> {
    const cleanup = new Cleanup();
    const unguard = cleanup.guard();
    const network = await HubNetwork.build(cleanup);
    const hub = await StandInHub.start(await network.machine('hub', 1), cleanup);
    return new InstallerScene(hub, network, cleanup, unguard);
  }

  /** A machine on which these packages are not installed, of `PACKAGED`. */
  async machine(distribution: Distribution, without?: readonly string[]): Promise<InstallerMachine> {
    const host = ++this.#made;
    return InstallerMachine.build(await this.#network.machine(`spoke${host}`, host), distribution, without);
  }

  /** The installer that this hub would hand out; it waits for answers for 2 seconds, and not for a minute. */
  script(platform: Platform, values: Partial<InstallerValues> = {}): string {
    const usual = { hubUrl: this.hub.url, hubPin: '', token: 'CANARY'.padEnd(43, 'x'), spokeId: 'spoke-1' };
    const names = { spokeName: 'a spoke', hubName: 'a hub', tunnel: 'wg0', members: 0 };
    const text = installerText(platform, { ...usual, ...names, ...values });
    return text.replace(/^HUB_PATIENCE=60$/m, 'HUB_PATIENCE=2');
  }

  async end(): Promise<void> {
    this.#unguard();
    await this.#cleanup.run();
  }
}
