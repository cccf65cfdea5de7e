import { LatchkeyError } from '../../platform/errors.ts';
import type { HubConfig } from '../data/hub-config.ts';
import type { Driver } from '../drivers/driver.ts';
import { MemoryDriver } from '../drivers/memory.ts';
import { toolDriver } from '../drivers/tool.ts';
import { uapiDriver } from '../drivers/uapi.ts';
import { chooseLink, type LinkChoice, type LinkMeans } from '../links/link-choice.ts';
import { ensureLink } from '../links/linux-link.ts';
import { LINK_MTU, tunnelMtu } from '../obfuscation/mtu.ts';
import { isPlain } from '../obfuscation/parameters.ts';
import type { HubInterface } from '../store/hub-interface.ts';
import { Hub, type HubParts } from './hub.ts';

/** A hub for the interface, spoken to in the best way this machine has. Throws `link_missing` with what to install. */
export function makeHub(
  facts: HubInterface,
  config: Pick<HubConfig, 'driver'>,
  means: LinkMeans | null,
  parts: HubParts,
): Hub {
  if (config.driver === 'memory' || means === null) {
    return new Hub(facts, new MemoryDriver(), () => Promise.resolve(), parts);
  }
  const choice = chooseLink(means, !isPlain(facts.obfuscation));
  if ('missing' in choice) {
    throw new LatchkeyError('link_missing', `${facts.name} cannot be made on this machine`, {
      status: 503,
      hint: `install ${choice.missing}`,
    });
  }
  const ensure = async ({ name, addresses, mtu, obfuscation }: HubInterface): Promise<void> => {
    await ensureLink({
      name,
      choice,
      addresses,
      mtu: mtu ?? (isPlain(obfuscation) ? null : tunnelMtu(obfuscation, { mtu: LINK_MTU, family: 'either' })),
      routes: [],
    });
  };
  return new Hub(facts, driverFor(facts.name, choice), ensure, parts);
}

/** How an interface that was made so is spoken to. */
export function driverFor(name: string, choice: LinkChoice): Driver {
  if (choice.driver !== 'uapi') return toolDriver({ tool: choice.driver, interface: name });
  const folder = choice.program === 'amneziawg-go' ? 'amneziawg' : 'wireguard';
  return uapiDriver({ socket: `/var/run/${folder}/${name}.sock` });
}
