import { type Command, Option } from 'commander';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { type HubData, withHubData } from '../data/hub-data.ts';
import { COMMAND } from '../hub/actor.ts';
import { peerJson } from '../hub/peer-json.ts';
import { allPeers } from '../hub/peer-pages.ts';
import type { PeerRegister, ToldPeer } from '../hub/peer-register.ts';
import { registerForCommands, TAKEN_WORDS } from '../hub/register-for-commands.ts';
import { listInterfaceFacts } from '../store/interface-facts.ts';
import { LIVING_STATUSES, type LivingStatus } from '../store/peer-counts.ts';
import type { Peer } from '../store/peers.ts';
import { PEER_KINDS, type PeerKind } from '../store/schema.ts';
import { addPeerAddCommand } from './peer-add.ts';
import { chosenInterfaces, confirmRemoval, type PeerOptions, withPeer } from './peer-at-hand.ts';
import { addPeerQrCommand } from './peer-qr.ts';
import { PeerTable, peerText, peerWords } from './peer-words.ts';

interface ListOptions extends PeerOptions {
  readonly status?: LivingStatus;
  readonly kind?: PeerKind;
}

interface RemoveOptions extends PeerOptions {
  readonly yes?: boolean;
}

/** `peer add|list|show|disable|enable|remove|qr`: on the store, whether a hub runs or not. */
export function addPeerCommands(program: Command, io: CommandIo): void {
  const group = program.command('peer').description('who is on the interfaces of this hub');
  addPeerAddCommand(group, io);
  const named = (usage: string, summary: string): Command =>
    dataCommand(group, `${usage} <peer>`, `${summary}; PEER is a name, an id or a public key`).option(
      '--interface <name>',
      'look on this interface only',
    );
  dataCommand(group, 'list', 'list the peers in the order in which they were made')
    .option('--interface <name>', 'those of one interface only')
    .addOption(new Option('--status <status>', 'those of one status only').choices(LIVING_STATUSES))
    .addOption(new Option('--kind <kind>', 'those of one kind only').choices(PEER_KINDS))
    .action((options: ListOptions) => withHubData(options.data, io.terminal.env, (data) => list(data, options, io)));
  named('show', 'show one peer').action((text: string, options: PeerOptions) =>
    withPeer(text, options, io, ({ peer }) => {
      if (options.json === true) printJson(io.terminal, { peer: peerJson(peer) });
      else io.terminal.stdout.write(peerText(peer, io.clock.now()));
    }),
  );
  named('disable', 'take a peer off the interface; it keeps its address').action((text: string, options: PeerOptions) =>
    change(text, options, io, 'disabled', (peers, { id }) => peers.switch(id, false, COMMAND)),
  );
  named('enable', 'put a peer back on the interface').action((text: string, options: PeerOptions) =>
    change(text, options, io, 'enabled', (peers, { id }) => peers.switch(id, true, COMMAND)),
  );
  named('remove', 'remove a peer for good; its address is free after')
    .option('--yes', 'do not ask')
    .action((text: string, options: RemoveOptions) =>
      change(text, options, io, 'removed', async (peers, peer) => {
        if (options.yes !== true) await confirmRemoval(peer, io);
        return peers.remove(peer.id, COMMAND);
      }),
    );
  addPeerQrCommand(named, io);
}

async function list({ store }: HubData, options: ListOptions, { clock, terminal }: CommandIo): Promise<void> {
  const interfaces = chosenInterfaces(await store.read(listInterfaceFacts), options.interface);
  const names = interfaces.map(({ name }) => name);
  const filter = {
    ...(options.status === undefined ? {} : { status: options.status }),
    ...(options.kind === undefined ? {} : { kind: options.kind }),
  };
  const pages = allPeers((work) => store.read(work), names, filter);
  if (options.json === true) {
    const peers: object[] = [];
    for await (const page of pages) peers.push(...page.map(peerJson));
    printJson(terminal, { peers });
    return;
  }
  const table = new PeerTable(interfaces, clock.now());
  let count = 0;
  for await (const page of pages) {
    if (count === 0 && page.length > 0) terminal.stdout.write(table.header());
    terminal.stdout.write(page.map((peer) => table.row(peer)).join(''));
    count += page.length;
  }
  if (count === 0) terminal.stderr.write('wghub: hint: no such peers yet; see wghub peer add --help\n');
}

function change(
  text: string,
  options: PeerOptions,
  io: CommandIo,
  done: 'disabled' | 'enabled' | 'removed',
  work: (peers: PeerRegister, peer: Peer) => Promise<ToldPeer>,
): Promise<void> {
  return withPeer(text, options, io, async ({ data, peer, facts }) => {
    const { peers, taken } = registerForCommands(data, facts, io, null);
    const { live: _, ...changed } = await work(peers, peer);
    if (options.json === true) printJson(io.terminal, { peer: peerJson(changed), hub: taken() });
    else io.terminal.stdout.write(`${done} ${peerWords(changed)}\n  ${TAKEN_WORDS[taken()]}\n`);
  });
}
