import { type Command, Option } from 'commander';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { parseInteger } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { type UnsealOptions, withUnsealOptions } from '../../platform/vault/unseal-options.ts';
import { doorbellFile, type HubData, withHubData } from '../data/hub-data.ts';
import { leadsNowhereElse, publicUrlOf } from '../front/public-url.ts';
import { tlsPin } from '../front/tls-pin.ts';
import { COMMAND } from '../hub/actor.ts';
import { isAtDoor } from '../hub/doorbell.ts';
import { checkOrder, ORDER_FIELDS } from '../hub/peer-order.ts';
import { type InstallToken, TOKEN_STATES, type TokenState } from '../spokes/install-token.ts';
import { countTokens, findMeant, listTokens } from '../spokes/install-token-list.ts';
import { revokeToken } from '../spokes/install-token-store.ts';
import { installerKey } from '../spokes/installer-signing.ts';
import { invitationJson, tokenJson } from '../spokes/invitation-json.ts';
import { type InvitationOrder, invite, MOST_MEMBERS } from '../spokes/invitations.ts';
import { recordToken } from '../spokes/token-sweeper.ts';
import { listInterfaces, poolOf } from '../store/hub-interface.ts';
import { chosenInterface } from '../store/interface-facts.ts';
import { PLATFORMS, type Platform } from '../store/schema.ts';
import { invitationText } from './invitation-words.ts';
import { openVault } from './open-vault.ts';
import { bareAddress } from './peer-words.ts';
import { TokenTable } from './token-table.ts';

const HOUR_MS = 3_600_000;
const MOST_HOURS = 720;
const PER_PAGE = 500;
/** How many a hint names, of those that somebody may have meant. */
const MOST_NAMED = 10;

interface DataOptions {
  readonly data: string;
  readonly json?: boolean;
}

interface InviteOptions extends DataOptions, UnsealOptions {
  readonly platform?: Platform;
  readonly interface?: string;
  readonly address?: string;
  readonly hours?: string;
  readonly clusterMembers?: string;
}

interface InvitesOptions extends DataOptions {
  readonly status?: TokenState;
}

interface RevokeOptions extends DataOptions {
  readonly fetched?: boolean;
}

/** `spoke invite|invites|revoke`: tokens, each good for one machine to join with. */
export function addSpokeInviteCommands(group: Command, io: CommandIo): void {
  const inData = (options: DataOptions, work: (data: HubData) => Promise<void>): Promise<void> =>
    withHubData(options.data, io.terminal.env, work);
  const command = dataCommand(group, 'invite <name>', 'make a command that has one machine join as a spoke')
    .addOption(new Option('--platform <platform>', 'what it runs; commands for each unless told').choices(PLATFORMS))
    .option('--interface <name>', 'interface it goes to; the first by name unless told')
    .option('--address <ip>', 'address it is to have; the lowest free one unless told')
    .option('--hours <count>', 'how long the command is good')
    .option('--cluster-members <count>', 'other nodes of its Proxmox cluster that it may invite itself');
  withUnsealOptions(command).action((name: string, options: InviteOptions) =>
    inData(options, (data) => inviteOne(data, name, options, io)),
  );
  dataCommand(group, 'invites', 'list the commands that were made, the newest first')
    .addOption(new Option('--status <status>', 'those of one status only').choices(TOKEN_STATES))
    .action((options: InvitesOptions) => inData(options, (data) => list(data, options, io)));
  dataCommand(group, 'revoke <invite>', 'end a command that nobody has used yet; INVITE is its id or the spoke’s name')
    .option('--fetched', 'also one whose script is out: who has it is refused when it registers')
    .action((text: string, options: RevokeOptions) => inData(options, (data) => revoke(data, text, options, io)));
}

async function inviteOne(data: HubData, spokeName: string, options: InviteOptions, io: CommandIo): Promise<void> {
  const { config, store } = data;
  const { clock, random } = io;
  const order = orderFrom(spokeName, options, config.spokes.hours);
  const vault = await openVault(data, options, io);
  const facts = chosenInterface(await store.read((db) => listInterfaces(db, vault)), options.interface);
  // the same order, named as it is here
  const fields = { ...ORDER_FIELDS, name: 'NAME', wishedAddress: '--address' };
  checkOrder(
    { name: spokeName, kind: 'spoke', wishedAddress: order.customIP },
    facts,
    poolOf(facts),
    [],
    clock.now(),
    fields,
  );
  const url = urlFor(data, facts.endpoint);
  const pin = await tlsPin({ config, store, vault });
  const key = await installerKey(store, vault, clock.now());
  const address = () => ({ url, pin, hubName: config.name });
  const made = await invite({ store, random, now: () => clock.now(), key, address }, facts, order, COMMAND);
  if (options.json === true) printJson(io.terminal, invitationJson(made, key));
  else {
    io.terminal.stdout.write(invitationText(made));
    const { stderr } = io.terminal;
    stderr.write('wghub: hint: they are shown this once; who runs one of them first has joined\n');
    const isRunning = await isAtDoor(doorbellFile(data.directory));
    if (!isRunning) stderr.write('wghub: hint: no hub runs here: start it before they are used\n');
  }
}

function orderFrom(spokeName: string, options: InviteOptions, usualHours: number): InvitationOrder {
  const { platform = null, address: customIP = null, hours, clusterMembers } = options;
  const count = hours === undefined ? usualHours : parseInteger(hours, '--hours', { min: 1, max: MOST_HOURS });
  const most = { min: 0, max: MOST_MEMBERS };
  const members = clusterMembers === undefined ? 0 : parseInteger(clusterMembers, '--cluster-members', most);
  if (members > 0 && platform !== null && platform !== 'proxmox') {
    throw new LatchkeyError('usage', '"--cluster-members" is for nodes of a Proxmox cluster', {
      exit: 2,
      field: '--cluster-members',
      hint: 'give --platform proxmox with it',
    });
  }
  return { spokeName, platform, customIP, life: count * HOUR_MS, members };
}

const WITHOUT_TLS = '; there it needs a web server with TLS before it, or "tls" of its own';

/** As the running hub has it. One that only this machine could follow would send others nowhere. */
function urlFor({ config, directory }: HubData, endpoint: string): string {
  const url = publicUrlOf(config, config.listen.port, endpoint);
  if (!leadsNowhereElse(url)) return url;
  throw new LatchkeyError('public_url_missing', 'the hub does not know where spokes reach its API', {
    exit: 2,
    field: 'publicUrl',
    hint: `set "publicUrl" in ${directory}/config.json, such as "https://hub.example", and start the hub anew${config.tls === null ? WITHOUT_TLS : ''}`,
  });
}

async function list({ store }: HubData, options: InvitesOptions, { clock, terminal }: CommandIo): Promise<void> {
  const now = clock.now();
  const pages = allTokens((work) => store.read(work), options.status ?? null, now);
  if (options.json === true) {
    const tokens: object[] = [];
    for await (const page of pages) tokens.push(...page.map((token) => tokenJson(token, now)));
    printJson(terminal, { tokens, counts: await store.read((db) => countTokens(db, now)) });
    return;
  }
  const table = new TokenTable(now);
  let count = 0;
  for await (const page of pages) {
    if (count === 0 && page.length > 0) terminal.stdout.write(table.header());
    terminal.stdout.write(page.map((token) => table.row(token)).join(''));
    count += page.length;
  }
  if (count === 0) terminal.stderr.write('wghub: hint: there are none; see wghub spoke invite --help\n');
}

type Read = <T>(work: (db: Parameters<typeof listTokens>[0]) => Promise<T>) => Promise<T>;

async function* allTokens(read: Read, state: TokenState | null, now: number): AsyncGenerator<readonly InstallToken[]> {
  let mark: InstallToken | null = null;
  do {
    const after: InstallToken | null = mark;
    const page: readonly InstallToken[] = await read((db) => listTokens(db, state, after, PER_PAGE, now));
    yield page;
    mark = page.length === PER_PAGE ? (page.at(-1) ?? null) : null;
  } while (mark !== null);
}

async function revoke({ store }: HubData, text: string, options: RevokeOptions, io: CommandIo): Promise<void> {
  const now = io.clock.now();
  const { fetched = false } = options;
  const token = await store.transaction(async (tx) => {
    const id = soleId(await findMeant(tx, text, { fetched, now, limit: MOST_NAMED + 1 }), text);
    const revoked = await revokeToken(tx, id, now, { fetched });
    await recordToken(tx, 'install_token_revoked', revoked, COMMAND, now, { fetched: revoked.fetchedAt !== null });
    return revoked;
  });
  if (options.json === true) printJson(io.terminal, { token: tokenJson(token, now) });
  else io.terminal.stdout.write(`revoked the invitation of ${token.spokeName}; ${addressWords(token)} is free\n`);
}

/** The id of the only one that was found; what is none's id and no spoke's name is taken for an id. */
function soleId(found: readonly InstallToken[], text: string): string {
  if (found.length <= 1) return found[0]?.id ?? text;
  const named = found.slice(0, MOST_NAMED).map((one) => `${one.id} (${addressWords(one)})`);
  throw new LatchkeyError('invite_ambiguous', 'more than one invitation is meant by that', {
    exit: 2,
    hint: `name one by its id: ${named.join(', ')}`,
  });
}

function addressWords({ addresses: [first = ''] }: InstallToken): string {
  return bareAddress(first);
}
