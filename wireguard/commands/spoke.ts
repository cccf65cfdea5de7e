import { type Command, Option } from 'commander';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { type HubData, withHubData } from '../data/hub-data.ts';
import { COMMAND } from '../hub/actor.ts';
import { type InterfaceMark, MOST_PER_PAGE } from '../hub/peer-pages.ts';
import { registerForCommands, TAKEN_WORDS } from '../hub/register-for-commands.ts';
import { type Spoke, spokeJson } from '../spokes/spoke-json.ts';
import { asSpokes, countSpokes, readSpokePage, type SpokeFilter, type SpokePage } from '../spokes/spoke-list.ts';
import { listInterfaceFacts } from '../store/interface-facts.ts';
import { LIVING_STATUSES, type LivingStatus } from '../store/peer-counts.ts';
import type { Peer } from '../store/peers.ts';
import { PLATFORMS, type Platform } from '../store/schema.ts';
import { chosenInterfaces, confirmRemoval, type PeerOptions, withPeer } from './peer-at-hand.ts';
import { peerWords } from './peer-words.ts';
import { addSpokeInviteCommands } from './spoke-invite.ts';
import { countWords, SpokeTable, spokeText } from './spoke-words.ts';

interface ListOptions extends PeerOptions {
  readonly status?: LivingStatus;
  readonly os?: Platform;
}

interface RemoveOptions extends PeerOptions {
  readonly yes?: boolean;
}

/** `spoke invite|invites|revoke|list|show|remove`: machines that join by a command of the hub's. */
export function addSpokeCommands(program: Command, io: CommandIo): void {
  const group = program.command('spoke').description('machines that join by a command which the hub makes for them');
  addSpokeInviteCommands(group, io);
  dataCommand(group, 'list', 'list the spokes in the order in which they joined')
    .option('--interface <name>', 'those of one interface only')
    .addOption(new Option('--status <status>', 'those of one status only').choices(LIVING_STATUSES))
    .addOption(new Option('--os <family>', 'those of one family of systems only').choices(PLATFORMS))
    .action((options: ListOptions) => withHubData(options.data, io.terminal.env, (data) => list(data, options, io)));
  const named = (usage: string, summary: string): Command =>
    dataCommand(group, `${usage} <spoke>`, `${summary}; SPOKE is a name, an id or a public key`).option(
      '--interface <name>',
      'look on this interface only',
    );
  named('show', 'show one spoke').action((text: string, options: PeerOptions) =>
    withPeer(text, options, io, ({ data, peer }) => show(data, peer, options, io), 'spoke'),
  );
  named('remove', 'remove a spoke for good; its address is free after')
    .option('--yes', 'do not ask')
    .action((text: string, options: RemoveOptions) =>
      withPeer(
        text,
        options,
        io,
        async ({ data, peer, facts }) => {
          if (options.yes !== true) await confirmRemoval(peer, io);
          const spoke = await spokeOf(data, peer);
          const { peers, taken } = registerForCommands(data, facts, io, null);
          const { live: _, ...removed } = await peers.remove(peer.id, COMMAND);
          if (options.json === true) {
            printJson(io.terminal, { spoke: spokeJson({ ...spoke, peer: removed }), hub: taken() });
          } else io.terminal.stdout.write(`removed ${peerWords(removed)}\n  ${TAKEN_WORDS[taken()]}\n`);
        },
        'spoke',
      ),
    );
}

async function list({ store, config }: HubData, options: ListOptions, { clock, terminal }: CommandIo): Promise<void> {
  const interfaces = chosenInterfaces(await store.read(listInterfaceFacts), options.interface);
  const names = interfaces.map(({ name }) => name);
  const filter: SpokeFilter = {
    ...(options.status === undefined ? {} : { status: options.status }),
    ...(options.os === undefined ? {} : { osFamily: options.os }),
  };
  const counts = await store.read((db) => countSpokes(db, names, filter));
  const pages = allSpokes((work) => store.read(work), names, filter);
  if (options.json === true) {
    const spokes: object[] = [];
    for await (const page of pages) spokes.push(...page.map(spokeJson));
    printJson(terminal, { spokes, counts });
    return;
  }
  const now = clock.now();
  const table = new SpokeTable(interfaces, now);
  const isNew = ({ peer: { status, createdAt } }: Spoke): boolean =>
    status === 'pending' && Math.abs(now - createdAt) < 2 * config.lookSeconds * 1000;
  let count = 0;
  let hasNew = false;
  for await (const page of pages) {
    if (count === 0 && page.length > 0) terminal.stdout.write(table.header());
    terminal.stdout.write(page.map((spoke) => table.row(spoke)).join(''));
    count += page.length;
    hasNew ||= page.some(isNew);
  }
  if (count > 0) terminal.stdout.write(`\n${countWords(counts)}\n`);
  else terminal.stderr.write('wghub: hint: no such spokes yet; see wghub spoke invite --help\n');
  if (hasNew) {
    terminal.stderr.write(
      `wghub: hint: who has just joined is pending until the hub looks, every ${config.lookSeconds} s\n`,
    );
  }
}

type Read = <T>(work: (db: Parameters<typeof readSpokePage>[0]) => Promise<T>) => Promise<T>;

async function* allSpokes(
  read: Read,
  interfaces: readonly string[],
  filter: SpokeFilter,
): AsyncGenerator<readonly Spoke[]> {
  let mark: InterfaceMark | null = null;
  do {
    const from: InterfaceMark | null = mark;
    const { spokes, next }: SpokePage = await read((db) => readSpokePage(db, interfaces, filter, from, MOST_PER_PAGE));
    yield spokes;
    mark = next;
  } while (mark !== null);
}

async function show(data: HubData, peer: Peer, options: PeerOptions, { clock, terminal }: CommandIo): Promise<void> {
  const spoke = await spokeOf(data, peer);
  if (options.json === true) printJson(terminal, { spoke: spokeJson(spoke) });
  else terminal.stdout.write(spokeText(spoke, clock.now()));
}

async function spokeOf({ store }: HubData, peer: Peer): Promise<Spoke> {
  const [spoke] = await store.read((db) => asSpokes(db, [peer]));
  return spoke ?? { peer, proxmox: null };
}
