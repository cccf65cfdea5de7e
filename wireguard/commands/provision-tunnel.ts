import type { Command } from 'commander';
import { LatchkeyError } from '../../platform/errors.ts';
import { readSecretFile } from '../../platform/files.ts';
import { contains, formatPrefix, networkOf, type Prefix, parseNetwork, parsePrefix, width } from '../address/prefix.ts';
import { fileWish, type TalkingWish } from '../firewall/hub-wish.ts';
import { hubRuleset } from '../firewall/ruleset.ts';
import { readTunnelFile, type TunnelFile } from '../provision/tunnel-file.ts';
import { assertInterfaceName, type HubRuleOptions, portsOf, type SpokeRuleOptions } from './firewall.ts';

/** What `withTunnelFile` has. */
export interface TunnelFileOptions {
  readonly interfaceFile?: string;
  readonly interface: string;
}

const FIELD = '--interface-file';
/** Larger ones are no configuration of one machine. */
const MOST_BYTES = 1_048_576;

/** The option by which a machine is given its tunnel. */
export function withTunnelFile(command: Command): Command {
  return command.option(`${FIELD} <file>`, 'configuration for wg-quick that the machine is given, and starts at boot');
}

/** The tunnel of a spoke, `null` without the option. Throws what `readTunnelFile` throws, and `invalid_request` for one of another network. */
export function spokeTunnel(options: TunnelFileOptions & SpokeRuleOptions): TunnelFile | null {
  if (options.interfaceFile === undefined) return null;
  const tunnel = tunnelOf(options.interfaceFile, options);
  const networks = options.network.map((text) => parseNetwork(text, '--network'));
  const outside = tunnel.addresses.find((text) => {
    const { family, value } = parsePrefix(text, FIELD);
    return !isInside({ family, value, bits: width(family) }, networks);
  });
  if (outside === undefined) return tunnel;
  throw wrong(`has the address ${outside}, which is in no "--network"`, 'by these rules nobody would reach it');
}

/** The tunnel of a hub without a server, and the rules for it. */
export function hubOfFile(options: TunnelFileOptions & Omit<HubRuleOptions, 'data'>, file: string) {
  const tunnel = tunnelOf(file, options);
  const { name, listenPort, addresses } = tunnel;
  if (listenPort === null) throw wrong('has no ListenPort', 'that of a hub has one, by which spokes reach it');
  const networks = addresses.map((text) => networkOf(parsePrefix(text, FIELD)));
  const alone = networks.find((one) => one.bits === width(one.family) && !isInside(one, networks.filter(isWide)));
  if (alone !== undefined) {
    const hint = "write the network's prefix length behind the hub's address: Address = 10.88.0.1/24";
    throw wrong(`has the Address ${formatPrefix(alone)}, in whose network there is nobody but the hub`, hint);
  }
  const [first, ...more] = options.talking;
  const isWord = more.length === 0 && (first === 'all' || first === 'none');
  const talking: TalkingWish = isWord ? first : options.talking.map((text) => talker(text, networks));
  const facts = { name, port: listenPort, networks: networks.map(formatPrefix) };
  const wish = fileWish(facts, { ...portsOf(options), talking });
  return { tunnel, ruleset: hubRuleset(wish, 'firewall of a hub, by Latchkey') };
}

function tunnelOf(file: string, { interface: name }: TunnelFileOptions): TunnelFile {
  assertInterfaceName(name);
  return readTunnelFile(readSecretFile(file, { max: MOST_BYTES }).toString('utf8'), name, FIELD);
}

/** Without a store no name is known. */
function talker(text: string, networks: readonly Prefix[]): string {
  const prefix = parsePrefix(text, '--talking');
  if (isInside(prefix, networks)) return formatPrefix(networkOf(prefix));
  throw new LatchkeyError('invalid_request', '"--talking" must be all, none, or addresses of the tunnel', {
    exit: 2,
    field: '--talking',
  });
}

function isWide({ family, bits }: Prefix): boolean {
  return bits < width(family);
}

function isInside(inner: Prefix, networks: readonly Prefix[]): boolean {
  return networks.some((outer) => contains(outer, inner));
}

function wrong(words: string, hint: string): LatchkeyError {
  return new LatchkeyError('invalid_request', `"${FIELD}" ${words}`, { exit: 2, field: FIELD, hint });
}
