import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import { readConfig } from '../config/read-config.ts';
import { publicKeyOf } from '../keys.ts';
import { isPlain } from '../obfuscation/parameters.ts';

/** The configuration of a tunnel that a machine is given, as it is, private key and all. */
export interface TunnelFile {
  /** Name of the interface. */
  readonly name: string;
  readonly text: string;
  readonly publicKey: string;
  /** With the lengths of their networks: `10.88.0.11/32`. */
  readonly addresses: readonly string[];
  /** `null` is one that the machine chooses. */
  readonly listenPort: number | null;
}

/**
 * Pure: a file for wg-quick that may be tried and taken back. Throws `config_syntax` for what wg-quick would not take, and
 * `invalid_request` for what could not be taken back, naming `field`.
 */
export function readTunnelFile(text: string, name: string, field: string): TunnelFile {
  const { privateKey, addresses, listenPort, hooks, saveConfig, obfuscation } = parsed(text, field).interface;
  const wrong = (words: string, hint: string): LatchkeyError =>
    new LatchkeyError('invalid_request', `"${field}" ${words}`, { exit: 2, field, hint });
  if (privateKey === null)
    throw wrong('has no PrivateKey', 'wghub generate and wghub peer add --out write whole files');
  if (addresses.length === 0)
    throw wrong('has no Address', 'wghub generate and wghub peer add --out write whole files');
  if (!isPlain(obfuscation)) throw wrong('is for AmneziaWG', 'put it in place by hand: awg-quick up');
  if (Object.values(hooks).some((commands) => commands.length > 0)) {
    const hint = 'leave PreUp, PostUp, PreDown and PostDown out, or put the file in place by hand';
    throw wrong('has commands, which nobody could undo', hint);
  }
  if (saveConfig) throw wrong('has SaveConfig, by which wg-quick writes over it', 'leave that line out');
  return { name, text, publicKey: publicKeyOf(privateKey), addresses, listenPort };
}

function parsed(text: string, field: string): ReturnType<typeof readConfig> {
  try {
    return readConfig(text);
  } catch (error) {
    if (!isLatchkeyError(error, 'config_syntax')) throw error;
    throw new LatchkeyError('config_syntax', `"${field}": ${error.message}`, { exit: 2, field, cause: error });
  }
}
