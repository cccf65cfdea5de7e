import { rmSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { type CommandIo, dataCommand, showTime } from '../../platform/command-io.ts';
import { printJson, printTable } from '../../platform/command-line.ts';
import { encodeBase64Url } from '../../platform/encoding.ts';
import { createSecretFile } from '../../platform/files.ts';
import { parseInput } from '../../platform/schema.ts';
import { type UnsealOptions, withUnsealOptions } from '../../platform/vault/unseal-options.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { type HubData, withHubData } from '../data/hub-data.ts';
import {
  addGateway,
  type Gateway,
  gatewayName,
  listGateways,
  PAYLOADS,
  type Payloads,
  removeGateway,
  rotateSecret,
  SECRET_BYTES,
} from '../gateways/gateway-store.ts';
import { ownPeers } from '../gateways/own-peers.ts';
import { COMMAND } from '../hub/actor.ts';
import { registerForCommands, TAKEN_WORDS } from '../hub/register-for-commands.ts';
import { chosenInterface, listInterfaceFacts } from '../store/interface-facts.ts';
import { openVault } from './open-vault.ts';

interface DataOptions {
  readonly data: string;
  readonly json?: boolean;
}

interface SecretOptions extends DataOptions, UnsealOptions {
  readonly out?: string;
}

interface AddOptions extends SecretOptions {
  readonly interface?: string;
  readonly payloads: Payloads;
}

interface RotateOptions extends SecretOptions {
  readonly atOnce?: boolean;
}

interface RemoveOptions extends DataOptions {
  readonly withPeers?: boolean;
}

/** `gateway add|list|rotate|remove`: who may make peers with signed requests. */
export function addGatewayCommands(program: Command, io: CommandIo): void {
  const group = program.command('gateway').description('gateways, which make peers of their own with signed requests');
  const inData = (options: DataOptions, work: (data: HubData) => Promise<void>): Promise<void> =>
    withHubData(options.data, io.terminal.env, work);
  const add = dataCommand(group, 'add <name>', 'register a gateway and show its secret, once')
    .option('--interface <name>', 'where its peers go; the first unless told')
    .addOption(
      new Option('--payloads <how>', 'whether bodies are plain, sealed with AES-256-GCM, or either')
        .choices(PAYLOADS)
        .default('either'),
    );
  withSecretOptions(add).action((name: string, options: AddOptions) =>
    inData(options, (data) => addOne(data, name, options, io)),
  );
  dataCommand(group, 'list', 'list the gateways').action((options: DataOptions) =>
    inData(options, (data) => list(data, options, io)),
  );
  const rotate = dataCommand(
    group,
    'rotate <name>',
    'make a new secret; the old one is good until the new one is used',
  );
  rotate.option('--at-once', 'end the old secret now, because somebody else may have it');
  withSecretOptions(rotate).action((name: string, options: RotateOptions) =>
    inData(options, (data) => rotateOne(data, name, options, io)),
  );
  dataCommand(group, 'remove <name>', 'end a gateway; its peers stay')
    .option('--with-peers', 'remove its peers too, whose tunnels end')
    .action((name: string, options: RemoveOptions) => inData(options, (data) => removeOne(data, name, options, io)));
}

function withSecretOptions(command: Command): Command {
  return withUnsealOptions(command).option(
    '--out <file>',
    'write the secret to a new file (mode 0600), and show it nowhere',
  );
}

async function addOne(data: HubData, text: string, options: AddOptions, io: CommandIo): Promise<void> {
  const name = parseInput(gatewayName, text);
  const onto = chosenInterface(await data.store.read(listInterfaceFacts), options.interface).name;
  const order = { name, interface: onto, payloads: options.payloads };
  const secret = await makeSecret(data, options, io, (vault, bytes) => {
    const about = { seal: vault, now: io.clock.now(), by: COMMAND };
    return data.store.transaction((tx) => addGateway(tx, order, bytes, about));
  });
  const words = `added gateway ${name}: its peers go to ${onto}, payloads ${options.payloads}`;
  tellSecret(words, { gateway: name, interface: onto, payloads: options.payloads }, secret, options, io);
}

async function rotateOne(data: HubData, name: string, options: RotateOptions, io: CommandIo): Promise<void> {
  const isAtOnce = options.atOnce === true;
  const secret = await makeSecret(data, options, io, (vault, bytes) => {
    const about = { seal: vault, now: io.clock.now(), by: COMMAND };
    return data.store.transaction((tx) => rotateSecret(tx, name, bytes, isAtOnce, about));
  });
  const words = `made a new secret for gateway ${name}; the old one ${isAtOnce ? 'is good no more' : 'is good until this one is used'}`;
  tellSecret(words, { gateway: name, atOnce: isAtOnce }, secret, options, io);
}

/** A new secret; its file is there before anything is stored, and is taken away when that fails. */
async function makeSecret(
  data: HubData,
  options: SecretOptions,
  io: CommandIo,
  store: (vault: Vault, secret: Buffer) => Promise<void>,
): Promise<string> {
  const vault = await openVault(data, options, io);
  const bytes = io.random(SECRET_BYTES);
  const text = encodeBase64Url(bytes);
  if (options.out !== undefined) createSecretFile(options.out, `${text}\n`);
  try {
    await store(vault, bytes);
  } catch (error) {
    if (options.out !== undefined) rmSync(options.out, { force: true });
    throw error;
  }
  return text;
}

function tellSecret(
  words: string,
  facts: Readonly<Record<string, unknown>>,
  secret: string,
  { out, json }: SecretOptions,
  { terminal }: CommandIo,
): void {
  if (json === true) {
    printJson(terminal, { ...facts, ...(out === undefined ? { secret } : { out }) });
    return;
  }
  terminal.stdout.write(
    out === undefined ? `${words}\n\nsecret  ${secret}\n` : `${words}\nwrote its secret to ${out}\n`,
  );
  if (out === undefined) terminal.stderr.write('wghub: hint: the secret is shown this once\n');
}

async function list({ store }: HubData, options: DataOptions, { terminal }: CommandIo): Promise<void> {
  const gateways = await store.read(listGateways);
  if (options.json === true) {
    printJson(terminal, { gateways });
    return;
  }
  if (gateways.length === 0) {
    terminal.stderr.write('wghub: hint: no gateways yet; see gateway add\n');
    return;
  }
  const rows = gateways.map((one) => [
    ...[one.name, one.interface, one.payloads, one.isRotating ? 'new one unused' : 'current'],
    ...[showTime(one.createdAt), showTime(one.usedAt)],
  ]);
  printTable(terminal, ['NAME', 'INTERFACE', 'PAYLOADS', 'SECRET', 'ADDED', 'USED'], rows);
}

async function removeOne(data: HubData, name: string, options: RemoveOptions, io: CommandIo): Promise<void> {
  const now = io.clock.now();
  // the gateway first: from here on it makes no more
  const gateway = await data.store.transaction((tx) => removeGateway(tx, name, COMMAND, now));
  const { removed, taken, isMore } = await peersOf(data, gateway, options.withPeers === true, io);
  if (options.json === true) {
    printJson(io.terminal, { removed: name, peersRemoved: removed, peersLeft: isMore, hub: taken });
    return;
  }
  io.terminal.stdout.write(`removed gateway ${name}\n`);
  if (removed > 0) io.terminal.stdout.write(`removed ${removed} peers: ${TAKEN_WORDS[taken]}\n`);
  if (isMore) {
    io.terminal.stderr.write(
      `wghub: hint: its peers stay; a gateway that is added as ${name} has them again, and peer remove ends them\n`,
    );
  }
}

/** Removes the peers of a gateway that is gone, when that is wanted, and tells whether there are any left. */
async function peersOf(data: HubData, gateway: Gateway, isWanted: boolean, io: CommandIo) {
  const facts = chosenInterface(await data.store.read(listInterfaceFacts), gateway.interface);
  const { peers, taken } = registerForCommands(data, facts, io, null);
  let removed = 0;
  let some = await ownPeers(peers, gateway, null, 100);
  while (isWanted && some.length > 0) {
    for (const { id } of some) await peers.remove(id, COMMAND);
    removed += some.length;
    some = await ownPeers(peers, gateway, null, 100);
  }
  return { removed, taken: taken(), isMore: some.length > 0 };
}
