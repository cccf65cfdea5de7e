import type { Command } from 'commander';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { parseInteger } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import {
  contains,
  formatAddress,
  formatPrefix,
  type Prefix,
  parseNetwork,
  parsePrefix,
  width,
} from '../address/prefix.ts';
import { withHubData } from '../data/hub-data.ts';
import { hubWish, type TalkingWish } from '../firewall/hub-wish.ts';
import { hubRuleset, spokeRuleset } from '../firewall/ruleset.ts';
import { findPeer } from '../hub/find-peer.ts';
import { listInterfaceFacts } from '../store/interface-facts.ts';
import { INTERFACE_NAME } from '../store/new-interface.ts';

/** What `withPorts` has. */
export interface Ports {
  readonly sshPort: readonly string[];
  readonly open?: readonly string[];
  readonly json?: boolean;
}

/** What `withHubRules` has. */
export interface HubRuleOptions extends Ports {
  readonly data: string;
  readonly talking: readonly string[];
}

/** What `withSpokeRules` has. */
export interface SpokeRuleOptions extends Ports {
  readonly interface: string;
  readonly network: readonly string[];
  readonly hubAddress: readonly string[];
}

/** `firewall hub|spoke`: prints the rules of a machine, for `nft -f`; changes nothing. */
export function addFirewallCommands(program: Command, io: CommandIo): void {
  const firewall = program.command('firewall').description('print the nftables rules of a hub or a spoke');
  withHubRules(dataCommand(firewall, 'hub', 'print the rules of this hub, for nft -f')).action(
    async (options: HubRuleOptions) => say(await hubRules(options, io), options, io),
  );
  withSpokeRules(firewall.command('spoke').description('print the rules of a spoke, for nft -f'))
    .option('--json', 'as one JSON document')
    .action((options: SpokeRuleOptions) => say(spokeRules(options), options, io));
}

/** Options of a command that needs the rules of a hub. */
export function withHubRules(command: Command): Command {
  return withPorts(command).option('--talking <who...>', 'peers that may reach each other: all, none, or names', [
    'none',
  ]);
}

/** Options of a command that needs the rules of a spoke. */
export function withSpokeRules(command: Command): Command {
  return withPorts(command)
    .option('--interface <name>', 'name of the interface there', 'wg0')
    .requiredOption('--network <cidr...>', 'networks of the tunnel')
    .requiredOption('--hub-address <ip...>', 'the hub’s own addresses in it');
}

function withPorts(command: Command): Command {
  return command
    .option('--ssh-port <port...>', 'where sshd listens', ['22'])
    .option('--open <port...>', 'more TCP ports that are open for everybody');
}

/** The rules of a hub, for `nft -f`. */
export async function hubRules(options: HubRuleOptions, io: CommandIo): Promise<string> {
  const { sshPorts, publicPorts } = portsOf(options);
  return withHubData(options.data, io.terminal.env, async ({ config, store }) => {
    const wish = await store.read(async (db) => {
      const facts = await listInterfaceFacts(db);
      const [first, ...more] = options.talking;
      const isWord = more.length === 0 && (first === 'all' || first === 'none');
      const names = facts.map(({ name }) => name);
      const peers = isWord ? [] : await Promise.all(options.talking.map((text) => findPeer(db, names, text)));
      const talking: TalkingWish = isWord ? first : peers.flatMap((one) => [...one.addresses, ...one.extraNetworks]);
      return hubWish(config, facts, { sshPorts, publicPorts, talking });
    });
    return hubRuleset(wish, `firewall of the hub ${config.name}, by Latchkey`);
  });
}

/** The rules of a spoke, for `nft -f`. */
export function spokeRules(options: SpokeRuleOptions): string {
  const { sshPorts, publicPorts } = portsOf(options);
  assertInterfaceName(options.interface);
  const networks = options.network.map((text) => parseNetwork(text, '--network'));
  return spokeRuleset(
    {
      tunnel: options.interface,
      networks: networks.map(formatPrefix),
      hubAddresses: options.hubAddress.map((text) => hubAddress(text, networks)),
      sshPorts,
      publicPorts,
    },
    'firewall of a spoke, by Latchkey',
  );
}

/** Throws `invalid_request`. */
export function assertInterfaceName(name: string): void {
  if (INTERFACE_NAME.test(name)) return;
  const words = '"--interface" must be 1 to 15 letters, digits or any of "_=+.-"';
  throw new LatchkeyError('invalid_request', words, { exit: 2, field: '--interface' });
}

/** One outside of its networks is a slip of the pen, and rules with it would take the hub for a peer. */
function hubAddress(text: string, networks: readonly Prefix[]): string {
  const { family, value } = parsePrefix(text, '--hub-address');
  if (!networks.some((network) => contains(network, { family, value, bits: width(family) }))) {
    throw new LatchkeyError('invalid_request', '"--hub-address" must be inside of "--network"', {
      exit: 2,
      field: '--hub-address',
      hint: 'wghub status shows the hub’s own addresses',
    });
  }
  return formatAddress(family, value);
}

/** Ports as they were typed. */
export function portsOf({ sshPort, open = [] }: Ports): {
  readonly sshPorts: number[];
  readonly publicPorts: number[];
} {
  const port = (field: string) => (text: string) => parseInteger(text, field, { min: 1, max: 65_535 });
  return { sshPorts: sshPort.map(port('--ssh-port')), publicPorts: open.map(port('--open')) };
}

function say(ruleset: string, { json }: Ports, { terminal }: CommandIo): void {
  if (json === true) printJson(terminal, { ruleset });
  else terminal.stdout.write(ruleset);
}
