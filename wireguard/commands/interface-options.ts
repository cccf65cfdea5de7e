import { type Command, Option } from 'commander';
import { parseInteger } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { parseEndpoint } from '../config/endpoint.ts';
import { LEVELS, type Level } from '../obfuscation/levels.ts';
import type { InterfaceOrder } from '../store/new-interface.ts';

export interface InterfaceOptions {
  readonly interface: string;
  readonly endpoint?: string;
  readonly network: string;
  readonly network6?: string;
  readonly address?: readonly string[];
  readonly listenPort?: string;
  readonly dns?: readonly string[];
  readonly mtu?: string;
  readonly keepalive: string;
  readonly fwmark: string;
  readonly level: Level;
}

/** Adds the options that describe the first interface of a hub. */
export function withInterfaceOptions(command: Command): Command {
  command
    .option('--interface <name>', 'name of the interface', 'wg0')
    .option('--network <cidr>', 'network of the tunnel, from /8 to /30', '10.0.1.0/24');
  return withInterfaceFacts(command);
}

/** Adds those that describe any, without its name and its network. */
export function withInterfaceFacts(command: Command): Command {
  return command
    .option('--endpoint <host:port>', 'where peers reach the interface; has to be given')
    .option('--network6 <cidr>', 'a network of IPv6 beside it, /64 or shorter')
    .option('--address <cidr...>', 'the hub’s own addresses; the first of each network unless told')
    .option('--listen-port <port>', 'port of WireGuard; the one of --endpoint unless told')
    .option('--dns <ip...>', 'name servers that devices are told')
    .option('--mtu <bytes>', 'MTU of the tunnel; worked out unless told')
    .option('--keepalive <seconds>', 'how often peers keep their way through a NAT open, 0 for never', '25')
    .option('--fwmark <number>', 'mark on the packets of the tunnel itself, 0 for none', '0')
    .addOption(
      new Option('--level <level>', 'obfuscation by AmneziaWG; off is plain WireGuard').choices(LEVELS).default('off'),
    );
}

/** What the options ask for. Throws `invalid_request` naming the option. */
export function orderFrom(options: InterfaceOptions): InterfaceOrder {
  const { endpoint } = options;
  if (endpoint === undefined) {
    throw new LatchkeyError('usage', "required option '--endpoint <host:port>' not specified", {
      exit: 2,
      field: '--endpoint',
      hint: 'it is what peers are told, such as hub.example:51820',
    });
  }
  return {
    name: options.interface,
    networks: [options.network, ...(options.network6 === undefined ? [] : [options.network6])],
    addresses: options.address ?? [],
    listenPort:
      options.listenPort === undefined
        ? parseEndpoint(endpoint, '--endpoint').port
        : parseInteger(options.listenPort, '--listen-port', { min: 1, max: 65_535 }),
    endpoint,
    dns: options.dns ?? [],
    mtu: options.mtu === undefined ? null : parseInteger(options.mtu, '--mtu', { min: 1280, max: 65_535 }),
    keepalive: parseInteger(options.keepalive, '--keepalive', { min: 0, max: 65_535 }),
    fwMark: parseInteger(options.fwmark, '--fwmark', { min: 0, max: 0xffff_ffff }),
    level: options.level,
  };
}
