import type { Command } from 'commander';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { parseInteger } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { formatPrefix, parseNetwork, parsePrefix } from '../address/prefix.ts';
import { withHubData } from '../data/hub-data.ts';
import { hubWish, type TalkingWish } from '../firewall/hub-wish.ts';
import { hubRuleset, spokeRuleset } from '../firewall/ruleset.ts';
import { findPeer } from '../hub/find-peer.ts';
import { listInterfaceFacts } from '../store/interface-facts.ts';
import { INTERFACE_NAME } from '../store/new-interface.ts';

interface Ports {
  readonly sshPort: readonly string[];
  readonly open?: readonly string[];
  readonly json?: boolean;
}

interface HubOptions extends Ports {
  readonly data: string;
  readonly talking: readonly string[];
}

interface SpokeOptions extends Ports {
  readonly interface: string;
  readonly network: readonly string[];
  readonly hubAddress: readonly string[];
}

/** `firewall hub|spoke`: prints the rules of a machine, for `nft -f`; changes nothing. */
export function addFirewallCommands(program: Command, io: CommandIo): void {
  const firewall = program.command('firewall').description('print the nftables rules of a hub or a spoke');
  withPorts(dataCommand(firewall, 'hub', 'print the rules of this hub, for nft -f'))
    .option('--talking <who...>', 'peers that may reach each other: all, none, or names', ['none'])
    .action((options: HubOptions) => hub(options, io));
  withPorts(firewall.command('spoke').description('print the rules of a spoke, for nft -f'))
    .option('--interface <name>', 'name of the interface there', 'wg0')
    .requiredOption('--network <cidr...>', 'networks of the tunnel')
    .requiredOption('--hub-address <ip...>', 'the hub’s own addresses in it')
    .option('--json', 'as one JSON document')
    .action((options: SpokeOptions) => spoke(options, io));
}

function withPorts(command: Command): Command {
  return command
    .option('--ssh-port <port...>', 'where sshd listens', ['22'])
    .option('--open <port...>', 'more TCP ports that are open for everybody');
}

async function hub(options: HubOptions, io: CommandIo): Promise<void> {
  const { sshPorts, publicPorts } = portsOf(options);
  await withHubData(options.data, io.terminal.env, async ({ config, store }) => {
    const wish = await store.read(async (db) => {
      const facts = await listInterfaceFacts(db);
      const [first, ...more] = options.talking;
      const isWord = more.length === 0 && (first === 'all' || first === 'none');
      const names = facts.map(({ name }) => name);
      const peers = isWord ? [] : await Promise.all(options.talking.map((text) => findPeer(db, names, text)));
      const talking: TalkingWish = isWord ? first : peers.flatMap((one) => [...one.addresses, ...one.extraNetworks]);
      return hubWish(config, facts, { sshPorts, publicPorts, talking });
    });
    say(hubRuleset(wish, `firewall of the hub ${config.name}, by Latchkey`), options, io);
  });
}

function spoke(options: SpokeOptions, io: CommandIo): void {
  const { sshPorts, publicPorts } = portsOf(options);
  if (!INTERFACE_NAME.test(options.interface)) {
    const words = '"--interface" must be 1 to 15 letters, digits or any of "_=+.-"';
    throw new LatchkeyError('invalid_request', words, { exit: 2, field: '--interface' });
  }
  const ruleset = spokeRuleset(
    {
      tunnel: options.interface,
      networks: options.network.map((text) => formatPrefix(parseNetwork(text, '--network'))),
      hubAddresses: options.hubAddress.map((text) =>
        formatPrefix(parsePrefix(text, '--hub-address')).replace(/\/.*/, ''),
      ),
      sshPorts,
      publicPorts,
    },
    'firewall of a spoke, by Latchkey',
  );
  say(ruleset, options, io);
}

function portsOf({ sshPort, open = [] }: Ports): { readonly sshPorts: number[]; readonly publicPorts: number[] } {
  const port = (field: string) => (text: string) => parseInteger(text, field, { min: 1, max: 65_535 });
  return { sshPorts: sshPort.map(port('--ssh-port')), publicPorts: open.map(port('--open')) };
}

function say(ruleset: string, { json }: Ports, { terminal }: CommandIo): void {
  if (json === true) printJson(terminal, { ruleset });
  else terminal.stdout.write(ruleset);
}
