import type { WireGuardKey } from '../keys.ts';
import type { Obfuscation } from '../obfuscation/parameters.ts';

/** An interface as it runs. */
export interface LiveInterface {
  /** `null` where it has none yet. */
  readonly privateKey: WireGuardKey | null;
  readonly listenPort: number;
  readonly fwMark: number;
  /** By public key. */
  readonly peers: ReadonlyMap<WireGuardKey, LivePeer>;
}

export interface LivePeer {
  readonly publicKey: WireGuardKey;
  readonly presharedKey: WireGuardKey | null;
  /** `host:port` as the tunnel saw it last, or as it was set. */
  readonly endpoint: string | null;
  /** Sorted, host bits cleared. */
  readonly allowedIPs: readonly string[];
  /** Seconds; 0 is off. */
  readonly keepalive: number;
  /** Milliseconds since 1970; `null` when there was none. */
  readonly lastHandshake: number | null;
  /** Bytes since the interface was made. */
  readonly rx: number;
  readonly tx: number;
}

/** A peer as it is to be. An endpoint that is `null` is left as it is: peers roam. */
export interface WantedPeer {
  readonly publicKey: WireGuardKey;
  readonly presharedKey: WireGuardKey | null;
  readonly allowedIPs: readonly string[];
  readonly endpoint: string | null;
  readonly keepalive: number;
}

export interface WantedDevice {
  readonly privateKey: WireGuardKey;
  readonly listenPort: number;
  readonly fwMark: number;
  readonly obfuscation: Obfuscation;
}

/** What is to be changed on an interface, at once. Peers that are not named stay as they are. */
export interface InterfaceChange {
  readonly set: readonly WantedPeer[];
  readonly remove: readonly WireGuardKey[];
}

/**
 * How one interface is spoken to. Errors of all of them: `interface_down` (503) when it is not there or does not answer,
 * `driver_failed` when it refuses. A change that failed may have happened in part; whoever calls compares again.
 */
export interface Driver {
  readonly name: 'uapi' | 'wg' | 'awg' | 'memory';
  read(): Promise<LiveInterface>;
  apply(change: InterfaceChange): Promise<void>;
  /** Makes the whole interface what is wanted: what is not named is gone after. */
  replace(device: WantedDevice, peers: readonly WantedPeer[]): Promise<void>;
  /** Gives up what it waits for, and all that is asked of it after (`interface_down`): whoever stops need not wait for a program that hangs. */
  abandon?(): void;
}

/** The order in which lists of networks are compared. */
export function sortedNetworks(networks: readonly string[]): string[] {
  return [...networks].sort();
}
