import type { WireGuardConfig } from '../config/wireguard-config.ts';
import { CLIENT_PROGRAMS, type ClientProgram, whyNot } from '../obfuscation/clients.ts';

/** Whether a program takes a configuration. */
export interface ClientFit {
  readonly program: string;
  /** `null` when it does. */
  readonly why: string | null;
}

/** What belongs to wg-quick, and which apps refuse it. */
const REFUSED_KEYS: Readonly<Record<string, readonly string[]>> = {
  'amneziawg-apple': ['PreUp', 'PostUp', 'PreDown', 'PostDown', 'Table', 'SaveConfig', 'FwMark'],
  'amneziawg-android': ['PreUp', 'PostUp', 'PreDown', 'PostDown', 'Table', 'SaveConfig', 'FwMark'],
  'amneziawg-windows': ['SaveConfig', 'FwMark'],
};
/** It drops what it does not know, without a word. */
const DROPS_UNKNOWN = 'amneziavpn';

/** Pure: which programs take the file, and why the others do not. */
export function clientFits(config: WireGuardConfig): ClientFit[] {
  return CLIENT_PROGRAMS.map((program) => ({ program: program.name, why: whyNotFile(program, config) }));
}

function whyNotFile(program: ClientProgram, config: WireGuardConfig): string | null {
  const { name } = program;
  const obfuscated = whyNot(program, config.interface.obfuscation);
  if (obfuscated !== null) return obfuscated;
  if (config.peers.some(({ keepalive }) => keepalive !== null && typeof keepalive === 'object') && !isNewest(program)) {
    return `${name} takes no range for PersistentKeepalive, which needs AmneziaWG 3.0`;
  }
  const refused = usedKeys(config).filter((key) => REFUSED_KEYS[name]?.includes(key));
  if (refused.length > 0) return `${name} refuses a file with ${refused.join(', ')}`;
  const unknown = config.interface.others.length + config.peers.reduce((sum, { others }) => sum + others.length, 0);
  if (unknown > 0 && name !== DROPS_UNKNOWN) return `${name} refuses a file with keys that it does not know`;
  return null;
}

function isNewest({ newest }: ClientProgram): boolean {
  return newest === '3.0' || newest === '3.1';
}

function usedKeys({ interface: own }: WireGuardConfig): string[] {
  const { hooks, table, fwMark, saveConfig } = own;
  return [
    ...(hooks.preUp.length > 0 ? ['PreUp'] : []),
    ...(hooks.postUp.length > 0 ? ['PostUp'] : []),
    ...(hooks.preDown.length > 0 ? ['PreDown'] : []),
    ...(hooks.postDown.length > 0 ? ['PostDown'] : []),
    ...(table === null ? [] : ['Table']),
    ...(saveConfig ? ['SaveConfig'] : []),
    ...(fwMark === null ? [] : ['FwMark']),
  ];
}
