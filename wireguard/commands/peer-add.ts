import { type Command, Option } from 'commander';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { parseInteger } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { type UnsealOptions, withUnsealOptions } from '../../platform/vault/unseal-options.ts';
import { type HubData, withHubData } from '../data/hub-data.ts';
import { COMMAND } from '../hub/actor.ts';
import { parseExpiry } from '../hub/expiry.ts';
import { assertHandout, handout, handoutWish } from '../hub/peer-handout.ts';
import type { OrderFields, PeerOrder } from '../hub/peer-order.ts';
import { registerForCommands } from '../hub/register-for-commands.ts';
import { listInterfaces } from '../store/hub-interface.ts';
import { chosenInterface } from '../store/interface-facts.ts';
import { PEER_KINDS, type PeerKind } from '../store/schema.ts';
import { openVault } from './open-vault.ts';
import { fillFile, type HandoverOptions, handOver, withHandoverOptions, withNewFile } from './peer-handover.ts';

interface AddOptions extends UnsealOptions, HandoverOptions {
  readonly data: string;
  readonly interface?: string;
  readonly owner?: string;
  readonly kind: PeerKind;
  readonly publicKey?: string;
  readonly address?: string;
  readonly networks?: readonly string[];
  readonly presharedKey?: boolean;
  readonly keepalive?: string;
  readonly expires?: string;
  readonly qr?: boolean;
}

/** What the fields of an order are called here. */
const FIELDS: OrderFields = {
  name: 'NAME',
  owner: '--owner',
  kind: '--kind',
  platform: '--platform',
  publicKey: '--public-key',
  presharedKey: '--preshared-key',
  keepalive: '--keepalive',
  wishedAddress: '--address',
  extraNetworks: '--networks',
  expiresAt: '--expires',
  metadata: '--metadata',
};

/** `peer add`: makes a peer and prints its configuration, once. */
export function addPeerAddCommand(group: Command, io: CommandIo): void {
  const command = dataCommand(group, 'add <name>', 'make a peer and print its configuration, once')
    .option('--interface <name>', 'interface it goes to; the first by name unless told')
    .option('--owner <text>', 'whose it is')
    .addOption(new Option('--kind <kind>', 'what it is').choices(PEER_KINDS).default('device'))
    .option('--public-key <key>', 'public key of a pair that the peer made and keeps')
    .option('--address <ip>', 'address it is to have; the lowest free one unless told')
    .option('--networks <cidr...>', 'networks behind it, which the hub sends to it')
    .option('--preshared-key', 'give it a preshared key beside its pair')
    .option('--keepalive <seconds>', 'how often it keeps its way through a NAT open, 0 for never')
    .option('--expires <when>', 'when it is removed: 12h, 30d, or a time such as 2027-01-31T12:00:00Z')
    .option('--qr', 'show a QR code for the app of a phone');
  withUnsealOptions(withHandoverOptions(command)).action((name: string, options: AddOptions) =>
    withHubData(options.data, io.terminal.env, (data) => add(data, name, options, io)),
  );
}

async function add(data: HubData, name: string, options: AddOptions, io: CommandIo): Promise<void> {
  if (options.qr === true && options.publicKey !== undefined) {
    throw new LatchkeyError('usage', '"--qr" needs a private key, and with --public-key only the peer has it', {
      exit: 2,
      field: '--qr',
      hint: 'leave one of them out',
    });
  }
  const order = orderFrom(name, options, io.clock.now());
  const vault = await openVault(data, options, io);
  const facts = chosenInterface(await data.store.read((db) => listInterfaces(db, vault)), options.interface);
  const wish = handoutWish(options, options.qr === true, facts, '--client');
  assertHandout(facts, wish);
  const register = registerForCommands(data, facts, io, vault);
  const { made, text } = await withNewFile(options.out, async () => {
    const made = await register.peers.create(order, COMMAND, FIELDS);
    const text = handout(facts, made, wish);
    try {
      fillFile(options.out, text);
    } catch (error) {
      await register.peers.remove(made.peer.id, COMMAND); // nobody could ever use it
      throw error;
    }
    return { made, text };
  });
  await handOver(made, text, 'added', wish.isForQr, options, register, io);
}

function orderFrom(name: string, options: AddOptions, now: number): PeerOrder {
  const { owner, kind, publicKey, address, networks, presharedKey, keepalive, expires } = options;
  return {
    name,
    kind,
    owner: owner ?? null,
    ...(publicKey === undefined ? {} : { publicKey }),
    presharedKey: presharedKey === true,
    ...(keepalive === undefined ? {} : { keepalive: parseInteger(keepalive, '--keepalive', { min: 0, max: 65_535 }) }),
    wishedAddress: address ?? null,
    extraNetworks: networks ?? [],
    expiresAt: expires === undefined ? null : parseExpiry(expires, now, '--expires'),
  };
}
