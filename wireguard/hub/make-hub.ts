import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import type { Driver } from '../drivers/driver.ts';
import { MemoryDriver } from '../drivers/memory.ts';
import { toolDriver } from '../drivers/tool.ts';
import { uapiDriver } from '../drivers/uapi.ts';
import { chooseLink, type LinkChoice, type LinkMeans } from '../links/link-choice.ts';
import { settleRoutes } from '../links/link-routes.ts';
import { ensureLink } from '../links/linux-link.ts';
import { LINK_MTU, tunnelMtu } from '../obfuscation/mtu.ts';
import { isPlain, type Obfuscation } from '../obfuscation/parameters.ts';
import type { HubInterface } from '../store/hub-interface.ts';
import { networksBehind } from '../store/peers.ts';
import { Hub, type HubParts } from './hub.ts';
import { RouteKeeper } from './route-keeper.ts';

/**
 * A hub for the interface, spoken to in the best way that this machine has; without `findMeans` it is only remembered. Where this
 * machine has no way, each try to make the interface throws `link_missing` with what to install, and looks again: the hub needs
 * no restart for it.
 */
export async function makeHub(
  facts: HubInterface,
  findMeans: (() => Promise<LinkMeans>) | null,
  parts: HubParts,
): Promise<Hub> {
  if (findMeans === null) return new Hub(facts, new MemoryDriver(), () => Promise.resolve(), parts);
  const obfuscated = !isPlain(facts.obfuscation);
  const { store, onTrouble } = parts;
  const routes = new RouteKeeper({
    networks: () => store.read((db) => networksBehind(db, facts.name)),
    settle: (networks) => settleRoutes(facts.name, networks),
    onTrouble,
  });
  const driver = new ChosenDriver(facts.name, obfuscated, () => routes.follow());
  driver.choose(chooseLink(await findMeans(), obfuscated));
  const ensure = async ({ name, addresses, mtu, obfuscation }: HubInterface): Promise<void> => {
    if (driver.choice === null) driver.choose(chooseLink(await findMeans(), obfuscated));
    const choice = driver.chosen();
    try {
      await ensureLink({ name, choice, addresses, mtu: mtu ?? fittingMtu(obfuscation) });
      await routes.mend();
    } catch (error) {
      if (isLatchkeyError(error, 'link_missing')) driver.forget(); // taken from this machine: another way may be there now
      throw error;
    }
  };
  return new Hub(facts, driver, ensure, parts);
}

/** What an interface gets whose MTU nobody set; `null` leaves it to the system, which knows plain WireGuard. */
export function fittingMtu(obfuscation: Obfuscation): number | null {
  return isPlain(obfuscation) ? null : tunnelMtu(obfuscation, { mtu: LINK_MTU, family: 'either' });
}

/** How an interface that was made so is spoken to. */
export function driverFor(name: string, choice: LinkChoice): Driver {
  if (choice.driver !== 'uapi') return toolDriver({ tool: choice.driver, interface: name });
  const folder = choice.program === 'amneziawg-go' ? 'amneziawg' : 'wireguard';
  return uapiDriver({ socket: `/var/run/${folder}/${name}.sock` });
}

/** The driver of an interface for which a way may still have to be found. */
class ChosenDriver implements Driver {
  readonly #interface: string;
  readonly #fallback: Driver['name'];
  #choice: LinkChoice | null = null;
  #driver: Driver | null = null;
  readonly #onChange: () => Promise<void>;
  #missing = '';

  constructor(name: string, obfuscated: boolean, onChange: () => Promise<void>) {
    this.#interface = name;
    this.#onChange = onChange;
    this.#fallback = obfuscated ? 'awg' : 'wg';
  }

  get name(): Driver['name'] {
    return this.#driver?.name ?? this.#fallback;
  }

  get choice(): LinkChoice | null {
    return this.#choice;
  }

  choose(found: ReturnType<typeof chooseLink>): void {
    if ('missing' in found) {
      this.#missing = found.missing;
      return;
    }
    this.#choice = found;
    this.#driver = driverFor(this.#interface, found);
  }

  forget(): void {
    this.#choice = null;
    this.#driver = null;
  }

  /** Throws `link_missing` where there is no way. */
  chosen(): LinkChoice {
    if (this.#choice !== null) return this.#choice;
    throw this.#none();
  }

  read: Driver['read'] = async () => this.#there().read();
  apply: Driver['apply'] = async (change) => {
    await this.#there().apply(change);
    await this.#onChange();
  };
  replace: Driver['replace'] = async (device, peers) => {
    await this.#there().replace(device, peers);
    await this.#onChange();
  };
  abandon = (): void => this.#driver?.abandon?.();

  #there(): Driver {
    if (this.#driver === null) throw this.#none();
    return this.#driver;
  }

  #none(): LatchkeyError {
    return new LatchkeyError('link_missing', `${this.#interface} cannot be made on this machine`, {
      status: 503,
      hint: `install ${this.#missing}`,
    });
  }
}
