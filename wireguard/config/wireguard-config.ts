import type { WireGuardKey } from '../keys.ts';
import type { Obfuscation, Span } from '../obfuscation/parameters.ts';

/** A configuration as wg-quick(8) and awg-quick read it, in typed values. */
export interface WireGuardConfig {
  readonly interface: InterfaceConfig;
  readonly peers: readonly PeerConfig[];
}

export interface InterfaceConfig {
  readonly privateKey: WireGuardKey | null;
  /** With their network's length: `10.0.1.5/24`. */
  readonly addresses: readonly string[];
  readonly listenPort: number | null;
  /** Addresses, and names of search domains. */
  readonly dns: readonly string[];
  readonly mtu: number | null;
  /** A number, `auto`, `off`, or a name of the routing tables. */
  readonly table: string | null;
  /** 0 is "off". */
  readonly fwMark: number | null;
  readonly saveConfig: boolean;
  readonly hooks: Hooks;
  readonly obfuscation: Obfuscation;
  /** What is not understood, in its order. It is kept. */
  readonly others: readonly OtherEntry[];
}

/** Commands that wg-quick gives to a shell. */
export interface Hooks {
  readonly preUp: readonly string[];
  readonly postUp: readonly string[];
  readonly preDown: readonly string[];
  readonly postDown: readonly string[];
}

export interface PeerConfig {
  readonly publicKey: WireGuardKey;
  readonly presharedKey: WireGuardKey | null;
  /** Networks, host bits cleared: `10.0.1.5/32`. */
  readonly allowedIPs: readonly string[];
  /** `host:port`, `[address]:port`. */
  readonly endpoint: string | null;
  /** Seconds, 0 is "off". A range since AmneziaWG 3.0. */
  readonly keepalive: Span | null;
  readonly others: readonly OtherEntry[];
}

export interface OtherEntry {
  readonly key: string;
  readonly value: string;
}

export const NO_HOOKS: Hooks = { preUp: [], postUp: [], preDown: [], postDown: [] };

/** An interface with nothing set. */
export const EMPTY_INTERFACE: InterfaceConfig = {
  privateKey: null,
  addresses: [],
  listenPort: null,
  dns: [],
  mtu: null,
  table: null,
  fwMark: null,
  saveConfig: false,
  hooks: NO_HOOKS,
  obfuscation: {},
  others: [],
};
