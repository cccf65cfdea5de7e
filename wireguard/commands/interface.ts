import type { Command } from 'commander';
import { appendAudit } from '../../platform/audit-chain.ts';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { askLine, printJson, printTable } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { type UnsealOptions, withUnsealOptions } from '../../platform/vault/unseal-options.ts';
import { type HubData, withHubData } from '../data/hub-data.ts';
import { COMMAND } from '../hub/actor.ts';
import type { RingAnswer } from '../hub/doorbell.ts';
import { tellHubs } from '../hub/tell-hubs.ts';
import { deleteInterface, insertInterface } from '../store/hub-interface.ts';
import { chosenInterface, type InterfaceFacts, listInterfaceFacts } from '../store/interface-facts.ts';
import { newInterface } from '../store/new-interface.ts';
import { countFreeAddresses, countPeers, livingPeers } from '../store/peer-counts.ts';
import { type InterfaceOptions, orderFrom, withInterfaceFacts } from './interface-options.ts';
import { openVault } from './open-vault.ts';

interface DataOptions {
  readonly data: string;
  readonly json?: boolean;
}

type AddOptions = DataOptions & UnsealOptions & Omit<InterfaceOptions, 'interface'>;

interface RemoveOptions extends DataOptions {
  readonly withPeers?: boolean;
  readonly yes?: boolean;
}

/** `interface add|list|show|remove`: plain and obfuscated peers cannot share an interface, so a hub may have several. */
export function addInterfaceCommand(program: Command, io: CommandIo): void {
  const group = program.command('interface').description('the interfaces of this hub');
  const add = dataCommand(group, 'add <name>', 'make another interface, which a running hub builds at once');
  add.requiredOption(
    '--network <cidr>',
    'network of the tunnel, from /8 to /30; no other interface may have any of it',
  );
  withUnsealOptions(withInterfaceFacts(add)).action((name: string, options: AddOptions) =>
    withHubData(options.data, io.terminal.env, (data) => addInterface(data, name, options, io)),
  );
  dataCommand(group, 'list', 'list the interfaces').action((options: DataOptions) =>
    withHubData(options.data, io.terminal.env, (data) => list(data, options, io)),
  );
  dataCommand(group, 'show <name>', 'show one interface').action((name: string, options: DataOptions) =>
    withHubData(options.data, io.terminal.env, (data) => show(data, name, options, io)),
  );
  dataCommand(group, 'remove <name>', 'remove an interface; its key and the addresses of its peers are gone then')
    .option('--with-peers', 'also when it has peers, whose tunnels end')
    .option('--yes', 'do not ask')
    .action((name: string, options: RemoveOptions) =>
      withHubData(options.data, io.terminal.env, (data) => remove(data, name, options, io)),
    );
}

async function addInterface(data: HubData, name: string, options: AddOptions, io: CommandIo): Promise<void> {
  const order = orderFrom({ ...options, interface: name });
  newInterface(order, [], io.random); // what is wrong with it by itself, before a passphrase is asked for
  const vault = await openVault(data, options, io);
  const now = io.clock.now();
  const made = await data.store.transaction(async (tx) => {
    const drawn = newInterface(order, await listInterfaceFacts(tx), io.random);
    await insertInterface(tx, drawn, vault, now);
    const { networks, listenPort, level, publicKey } = drawn;
    const detail = { by: COMMAND.name, interface: name, networks, port: listenPort, level, public_key: publicKey };
    await appendAudit(tx, { time: now, event: 'interface_made', detail });
    return drawn;
  });
  const taken = await tellHubs(data, { interface: name, publicKeys: [] }, io.random);
  const { privateKey: _, obfuscation: __, ...facts } = made;
  if (options.json === true) {
    printJson(io.terminal, { ...facts, hub: taken });
    return;
  }
  io.terminal.stdout.write(
    `made ${name}: ${made.addresses.join(', ')}, port ${made.listenPort}, reached at ${made.endpoint}, level ${made.level}\n` +
      `  public key ${made.publicKey}\n` +
      `  ${BUILT_WORDS[taken]}\n`,
  );
}

const BUILT_WORDS: Readonly<Record<RingAnswer, string>> = {
  live: 'the running hub has built it',
  later: 'the running hub could not build it yet, and tries again each minute: wghub doctor says why',
  none: 'no hub that is to keep it runs: it is built when one starts',
};

/** What is told of an interface: how full it is, and nothing that is sealed. */
interface Shown extends InterfaceFacts {
  readonly peers: number;
  readonly freeAddresses: number;
}

async function shownInterfaces({ store }: HubData): Promise<Shown[]> {
  return store.read(async (db) => {
    const [all, peers, free] = [await listInterfaceFacts(db), await countPeers(db), await countFreeAddresses(db)];
    return all.map((facts) => {
      const { name } = facts;
      return { ...facts, peers: livingPeers(peers, name), freeAddresses: free.get(name) ?? 0 };
    });
  });
}

async function list(data: HubData, options: DataOptions, { terminal }: CommandIo): Promise<void> {
  const interfaces = await shownInterfaces(data);
  if (options.json === true) {
    printJson(terminal, { interfaces });
    return;
  }
  const rows = interfaces.map(({ name, networks, listenPort, level, peers, freeAddresses, endpoint }) => [
    ...[name, networks.join(', '), String(listenPort), level, String(peers), String(freeAddresses), endpoint],
  ]);
  printTable(terminal, ['NAME', 'NETWORKS', 'PORT', 'LEVEL', 'PEERS', 'FREE', 'ENDPOINT'], rows);
}

async function show(data: HubData, name: string, options: DataOptions, { terminal }: CommandIo): Promise<void> {
  const shown = chosenInterface(await shownInterfaces(data), name);
  if (options.json === true) {
    printJson(terminal, shown);
    return;
  }
  const rows = [
    ['networks', shown.networks.join(', ')],
    ['addresses', shown.addresses.join(', ')],
    ['port', String(shown.listenPort)],
    ['endpoint', shown.endpoint],
    ['public key', shown.publicKey],
    ['level', shown.level],
    ['dns', shown.dns.join(', ') || '-'],
    ['mtu', shown.mtu === null ? 'worked out' : String(shown.mtu)],
    ['keepalive', `${shown.keepalive} s`],
    ['fwmark', shown.fwMark === 0 ? 'none' : `0x${shown.fwMark.toString(16)}`],
    ['peers', `${shown.peers}, ${shown.freeAddresses} addresses free`],
  ];
  printTable(terminal, [shown.name, ''], rows);
}

async function remove(data: HubData, name: string, options: RemoveOptions, io: CommandIo): Promise<void> {
  const { peers: count } = chosenInterface(await shownInterfaces(data), name);
  if (count > 0 && options.withPeers === true && options.yes !== true) {
    const question = `${name} has peers (${count}), which lose their tunnels; type its name to remove it`;
    if ((await askLine(io.terminal, question, 'give --yes where nobody can be asked')) !== name)
      throw new LatchkeyError('cancelled', 'that is not its name, nothing was removed');
  }
  const now = io.clock.now();
  const removed = await data.store.transaction(async (tx) => {
    const peers = await deleteInterface(tx, name, options.withPeers === true);
    await appendAudit(tx, {
      time: now,
      event: 'interface_removed',
      detail: { by: COMMAND.name, interface: name, peers },
    });
    return peers;
  });
  const taken = await tellHubs(data, { interface: name, publicKeys: [] }, io.random);
  if (options.json === true) {
    printJson(io.terminal, { removed: name, peers: removed, hub: taken });
    return;
  }
  io.terminal.stdout.write(
    `removed ${name}${removed === 0 ? '' : ` and its ${removed === 1 ? 'peer' : `${removed} peers`}`}\n`,
  );
  if (taken !== 'live' && data.config.driver !== 'memory')
    io.terminal.stderr.write(`wghub: hint: ${goneWords(name, taken)}\n`);
}

function goneWords(name: string, taken: RingAnswer): string {
  const who = taken === 'none' ? 'no hub that keeps it runs' : 'the running hub could not take it away';
  return `${who}: should it still be up, take it away with: ip link delete ${name}`;
}
