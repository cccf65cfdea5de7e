import type { Command } from 'commander';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { doorbellFile, type HubData, withHubData } from '../data/hub-data.ts';
import { askDoorbell } from '../hub/doorbell.ts';
import { type InterfaceReport, readReport } from '../hub/hub-report.ts';
import { type Keeper, keeperWords } from '../hub/interface-claims.ts';
import { isoTime } from '../hub/peer-json.ts';
import { keptInterfaces } from '../hub/tell-hubs.ts';
import { type InterfaceFacts, listInterfaceFacts } from '../store/interface-facts.ts';
import { countFreeAddresses, countPeers, LIVING_STATUSES, type PeerCounts } from '../store/peer-counts.ts';
import { ageText } from './peer-words.ts';

interface StatusOptions {
  readonly data: string;
  readonly json?: boolean;
}

/** What the store says of an interface and, where a hub runs, what that sees. */
interface InterfaceStatus {
  readonly facts: InterfaceFacts;
  readonly peers: PeerCounts;
  readonly freeAddresses: number;
  readonly seen: InterfaceReport | null;
  /** The hub that keeps it, wherever that is; `null` when none that runs does, and where one hub has the database to itself. */
  readonly keeper: Keeper | null;
  /** Whether this hub is to keep it. */
  readonly isOwn: boolean;
}

/** `status`: the interfaces, how full they are, and what a running hub sees of them. */
export function addStatusCommand(program: Command, io: CommandIo): void {
  dataCommand(program, 'status', 'show the interfaces, their peers by status, and what the running hub sees').action(
    (options: StatusOptions) => withHubData(options.data, io.terminal.env, (data) => status(data, options, io)),
  );
}

async function status(data: HubData, options: StatusOptions, { clock, terminal }: CommandIo): Promise<void> {
  const report = readReport(await askDoorbell(doorbellFile(data.directory)));
  const kept = await keptInterfaces(data);
  const interfaces = await data.store.read(async (db): Promise<InterfaceStatus[]> => {
    const [facts, peers, free] = [await listInterfaceFacts(db), await countPeers(db), await countFreeAddresses(db)];
    return facts.map((one) => ({
      facts: one,
      peers: peers.get(one.name) ?? NO_PEERS,
      freeAddresses: free.get(one.name) ?? 0,
      seen: report?.interfaces.find(({ name }) => name === one.name) ?? null,
      keeper: kept.find((other) => other.interface === one.name) ?? null,
      isOwn: data.config.interfaces?.includes(one.name) ?? true,
    }));
  });
  const pid = report?.pid ?? null;
  if (options.json === true) {
    printJson(terminal, { hub: data.config.name, running: pid !== null, pid, interfaces: interfaces.map(json) });
    return;
  }
  const running = pid === null ? 'not running, this is what the store says' : `running, process ${pid}`;
  terminal.stdout.write(`hub ${data.config.name}: ${running}\n`);
  for (const one of interfaces) terminal.stdout.write(text(one, pid !== null, clock.now()));
}

const NO_PEERS: PeerCounts = { pending: 0, active: 0, inactive: 0, disabled: 0 };

function json({ facts, peers, freeAddresses, seen, keeper }: InterfaceStatus): object {
  return {
    ...facts,
    peers,
    freeAddresses,
    keptBy: keeper === null ? null : { hub: keeper.hub, address: keeper.address },
    seen:
      seen === null
        ? null
        : {
            driver: seen.driver,
            up: seen.isUp,
            lookedAt: isoTime(seen.lookedAt),
            listenPort: seen.listenPort,
            peers: seen.livePeers,
            comparison: seen.comparison === null ? null : { ...seen.comparison, at: isoTime(seen.comparison.at) },
          },
  };
}

function text(
  { facts, peers, freeAddresses, seen, keeper, isOwn }: InterfaceStatus,
  isRunning: boolean,
  now: number,
): string {
  const total = LIVING_STATUSES.reduce((sum, one) => sum + peers[one], 0);
  const lines: [string, string][] = [
    ['addresses', facts.addresses.join(', ')],
    ['reached at', `${facts.endpoint}, port ${facts.listenPort} here`],
    ['public key', facts.publicKey],
    ['level', facts.level],
    ['peers', `${total}: ${LIVING_STATUSES.map((one) => `${peers[one]} ${one}`).join(', ')}`],
    ['free', `${freeAddresses} addresses`],
    ...(seen === null ? [] : seenLines(seen, now)),
  ];
  const state = seen === null ? unseenWords(keeper, isOwn, isRunning) : seen.isUp ? '' : '  DOWN';
  return `\n${facts.name}${state}\n${lines.map(([label, value]) => `  ${label.padEnd(10)} ${value}\n`).join('')}`;
}

function unseenWords(keeper: Keeper | null, isOwn: boolean, isRunning: boolean): string {
  if (keeper !== null) return `  kept by ${keeperWords(keeper)}`;
  if (!isOwn) return '  kept by no hub that runs';
  return isRunning ? '  not taken up by the running hub yet' : '';
}

/** Keys of foreign peers that are shown to people; there is `--json` for more. */
const MOST_SHOWN = 10;

function seenLines(
  { driver, isUp, lookedAt, livePeers, comparison }: InterfaceReport,
  now: number,
): [string, string][] {
  const looked = isUp ? `${livePeers} peers on it, by ${driver}` : `it could not be asked, by ${driver}`;
  const lines: [string, string][] = [['looked at', `${ageText(lookedAt, now)} ago: ${looked}`]];
  if (comparison === null) return [...lines, ['compared', 'not yet']];
  const { at, outcome, changed, foreign } = comparison;
  const change = outcome === 'settled' ? 'nothing differed' : `${outcome}, ${changed} peers`;
  lines.push(['compared', `${ageText(at, now)} ago: ${change}`]);
  lines.push(['foreign', foreign.length === 0 ? 'none' : `${foreign.length} peers that are not in the store`]);
  for (const key of foreign.slice(0, MOST_SHOWN)) lines.push(['', key]);
  return lines;
}
