import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { BlockList, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { LatchkeyError } from '../platform/errors.ts';

/** What of the machine is looked at; tests hand in their own. */
export interface NetworkView {
  readonly platform: string;
  /** Interface names with their addresses. */
  addresses(): readonly { readonly name: string; readonly address: string }[];
  /** The text of a file, or `null` when there is none that may be read. */
  readText(path: string): string | null;
  /** Names in a folder; none when there is no such folder. */
  list(path: string): readonly string[];
  /** True for a socket that belongs to root. */
  isRootSocket(path: string): boolean;
  /** When a file or socket of root's was last written, ms since 1970; `null` for anything else. */
  rootWrote(path: string): number | null;
}

/** Where an IP address stands on this machine. */
export type AddressPlace =
  | { readonly kind: 'loopback' }
  | { readonly kind: 'wireguard'; readonly interface: string }
  | { readonly kind: 'other'; readonly interface: string }
  | { readonly kind: 'wildcard' }
  | { readonly kind: 'absent' };

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** As wg-quick has it: a name file that is older or newer is of another tunnel. */
const togetherMs = 2000;
const socketFolders = ['/var/run/wireguard', '/var/run/amneziawg'];

/** Says whether `address` (an IP literal) is loopback, on a WireGuard interface, on another one, or not there (yet). */
export function placeOf(address: string, view: NetworkView = thisMachine): AddressPlace {
  const family = isIP(address);
  if (family === 0) throw new TypeError('placeOf needs an IP address');
  const canonical = new URL(family === 6 ? `http://[${address}]` : `http://${address}`).hostname.replace(
    /^\[|\]$/g,
    '',
  );
  if (canonical === '0.0.0.0' || canonical === '::' || canonical.startsWith('::ffff:')) return { kind: 'wildcard' };
  if (loopback.check(canonical, family === 6 ? 'ipv6' : 'ipv4')) return { kind: 'loopback' };
  const found = view.addresses().filter((entry) => entry.address === canonical);
  const foreign = found.find((entry) => !isWireGuardInterface(entry.name, view));
  if (foreign !== undefined) return { kind: 'other', interface: foreign.name };
  const first = found[0];
  return first === undefined ? { kind: 'absent' } : { kind: 'wireguard', interface: first.name };
}

/**
 * Linux: the kernel names the device type in sysfs; a user-space tunnel (wireguard-go, boringtun, amneziawg-go) is a
 * tun device whose control socket bears its name. macOS: every tunnel is a `utun`; wireguard-go's has a control socket
 * and wg-quick's `NAME.name` file says which. That file is root's alone (0400), so whoever may not read it goes by what
 * wg-quick itself looks at besides: both came to be at the same moment. The App Store's WireGuard keeps neither and cannot
 * be told from others.
 */
export function isWireGuardInterface(name: string, view: NetworkView = thisMachine): boolean {
  if (!/^[A-Za-z0-9_=+.-]{1,15}$/.test(name) || name === '.' || name === '..') return false;
  const socketed = socketFolders.filter((folder) => view.isRootSocket(`${folder}/${name}.sock`));
  if (view.platform === 'linux') {
    const type = /^DEVTYPE=(.*)$/m.exec(view.readText(`/sys/class/net/${name}/uevent`) ?? '')?.[1];
    if (type === 'wireguard' || type === 'amneziawg') return true;
    return socketed.length > 0 && view.readText(`/sys/class/net/${name}/tun_flags`) !== null;
  }
  if (view.platform === 'darwin') {
    return /^utun[0-9]+$/.test(name) && socketed.some((folder) => isNamedIn(folder, name, view));
  }
  return false;
}

function isNamedIn(folder: string, name: string, view: NetworkView): boolean {
  const files = view.list(folder).filter((file) => file.endsWith('.name'));
  const made = view.rootWrote(`${folder}/${name}.sock`);
  return files.some((file) => {
    const text = view.readText(`${folder}/${file}`);
    if (text !== null) return text.trim() === name;
    const wrote = view.rootWrote(`${folder}/${file}`);
    return made !== null && wrote !== null && Math.abs(made - wrote) < togetherMs;
  });
}

/**
 * Returns once `address` is on loopback or on a WireGuard interface, waiting while it is nowhere (at boot the tunnel
 * may come up later). Refuses (`listen_refused`, exit 3) wildcards and addresses of any other interface.
 */
export async function waitForPrivateAddress(
  address: string,
  deps: {
    readonly view?: NetworkView;
    readonly sleep: (ms: number) => Promise<void>;
    /** Called once, when waiting begins. */
    readonly onWait: () => void;
    readonly signal?: AbortSignal;
  },
): Promise<AddressPlace & { readonly kind: 'loopback' | 'wireguard' }> {
  for (let round = 0; ; round += 1) {
    const place = placeOf(address, deps.view);
    if (place.kind === 'loopback' || place.kind === 'wireguard') return place;
    if (place.kind !== 'absent') throw listenRefused(address, place);
    if (round === 0) deps.onWait();
    await deps.sleep(1000);
    if (deps.signal?.aborted) throw new LatchkeyError('cancelled', `stopped while waiting for ${address}`);
  }
}

/** The refusal for an address the server must not listen on. */
export function listenRefused(address: string, place: AddressPlace, field = '--listen'): LatchkeyError {
  // under a narrow umask, wireguard-go shuts the folder for everybody but root
  const seen = '; one of wireguard-go is known by its socket, so this user has to see into /var/run/wireguard (755)';
  const where =
    place.kind === 'other' ? `is on ${place.interface}, which is not a WireGuard interface` : 'means every interface';
  return new LatchkeyError('listen_refused', `${address} ${where}`, {
    exit: 3,
    field,
    hint: `listen on 127.0.0.1, ::1 or the address of a WireGuard interface${place.kind === 'other' ? seen : ''}`,
  });
}

/** This machine, as Node and the file system show it. */
export const thisMachine: NetworkView = {
  platform: process.platform,
  addresses: () =>
    Object.entries(networkInterfaces()).flatMap(([name, entries]) =>
      (entries ?? []).map(({ address }) => ({ name, address })),
    ),
  readText: (path) => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return null;
    }
  },
  list: (path) => {
    try {
      return readdirSync(path);
    } catch {
      return [];
    }
  },
  isRootSocket: (path) => {
    try {
      const state = lstatSync(path);
      return state.isSocket() && state.uid === 0;
    } catch {
      return false;
    }
  },
  rootWrote: (path) => {
    try {
      const state = lstatSync(path);
      return (state.isFile() || state.isSocket()) && state.uid === 0 ? state.mtimeMs : null;
    } catch {
      return null;
    }
  },
};
