import type { Command } from 'commander';
import { type CommandIo, dataCommand, showTime } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { type HubData, withHubData } from '../data/hub-data.ts';
import { COMMAND } from '../hub/actor.ts';
import { clusterJson, memberJson } from '../spokes/cluster-json.ts';
import { type Member, readMembers } from '../spokes/cluster-members.ts';
import { clusterStatus, nodeTotal } from '../spokes/cluster-status.ts';
import { type Cluster, changeCluster, findCluster, listClusters, removeCluster } from '../spokes/proxmox-clusters.ts';
import { LIVING_STATUSES } from '../store/peer-counts.ts';
import { FixedTable } from './fixed-table.ts';
import { ageText, bareAddress } from './peer-words.ts';

interface DataOptions {
  readonly data: string;
  readonly json?: boolean;
}

interface EditOptions extends DataOptions {
  readonly datacenter?: string;
  readonly description?: string;
}

const PER_PAGE = 500;

/** `proxmox list|show|edit|remove`: clusters, each made by the first of its nodes that joins. */
export function addProxmoxCommands(program: Command, io: CommandIo): void {
  const group = program.command('proxmox').description('Proxmox clusters, as their nodes that are spokes tell of them');
  const inData = (options: DataOptions, work: (data: HubData) => Promise<void>): Promise<void> =>
    withHubData(options.data, io.terminal.env, work);
  dataCommand(group, 'list', 'list the clusters in the order in which they came').action((options: DataOptions) =>
    inData(options, (data) => list(data, options, io)),
  );
  const named = (usage: string, summary: string): Command =>
    dataCommand(group, `${usage} <cluster>`, `${summary}; CLUSTER is its name or its id`);
  named('show', 'show a cluster and its nodes').action((text: string, options: DataOptions) =>
    inData(options, (data) => show(data, text, options, io)),
  );
  named('edit', 'say where a cluster is and what it is for')
    .option('--datacenter <text>', 'where it is; an empty text takes that away')
    .option('--description <text>', 'what it is for; an empty text takes that away')
    .action((text: string, options: EditOptions) => inData(options, (data) => edit(data, text, options, io)));
  named('remove', 'remove a cluster that has no node any more').action((text: string, options: DataOptions) =>
    inData(options, (data) => remove(data, text, options, io)),
  );
}

async function list({ store }: HubData, options: DataOptions, { terminal }: CommandIo): Promise<void> {
  const clusters: Cluster[] = [];
  for (let after: Cluster | null = null; ; ) {
    const mark: Cluster | null = after;
    const page: Cluster[] = await store.read((db) => listClusters(db, mark, PER_PAGE));
    clusters.push(...page);
    after = page.at(-1) ?? null;
    if (after === null) break;
  }
  if (options.json === true) {
    printJson(terminal, { clusters: clusters.map(clusterJson) });
    return;
  }
  if (clusters.length === 0) {
    terminal.stderr.write('wghub: hint: there are none; the first node of a cluster that joins makes it\n');
    return;
  }
  const table = new FixedTable([
    { label: 'NAME', width: 24, isCut: true },
    { label: 'STATUS', width: 10 },
    { label: 'ACTIVE', width: 7 },
    { label: 'DATACENTER', width: 33, isCut: true },
  ]);
  const rows = clusters.map(({ name, nodes, datacenter }) =>
    table.row([name, clusterStatus(nodes), `${nodes.active}/${nodeTotal(nodes)}`, datacenter ?? '-']),
  );
  terminal.stdout.write(table.header() + rows.join(''));
}

async function show({ store }: HubData, text: string, options: DataOptions, io: CommandIo): Promise<void> {
  const { cluster, members } = await store.read(async (db) => {
    const found = await findCluster(db, text);
    return { cluster: found, members: await readMembers(db, found.id) };
  });
  if (options.json === true) {
    printJson(io.terminal, { cluster: { ...clusterJson(cluster), members: members.map(memberJson) } });
  } else io.terminal.stdout.write(clusterText(cluster) + membersText(members, io.clock.now()));
}

async function edit({ store }: HubData, text: string, options: EditOptions, io: CommandIo): Promise<void> {
  const { datacenter, description } = options;
  if (datacenter === undefined && description === undefined) {
    throw new LatchkeyError('usage', 'there is nothing to change', { exit: 2, hint: 'see wghub proxmox edit --help' });
  }
  const wanted = {
    ...(datacenter === undefined ? {} : { datacenter: datacenter === '' ? null : datacenter }),
    ...(description === undefined ? {} : { description: description === '' ? null : description }),
  };
  const changed = await store.transaction(async (tx) =>
    changeCluster(tx, (await findCluster(tx, text)).id, wanted, COMMAND, io.clock.now()),
  );
  if (options.json === true) printJson(io.terminal, { cluster: clusterJson(changed) });
  else io.terminal.stdout.write(clusterText(changed));
}

async function remove({ store }: HubData, text: string, options: DataOptions, io: CommandIo): Promise<void> {
  const removed = await store.transaction(async (tx) =>
    removeCluster(tx, (await findCluster(tx, text)).id, COMMAND, io.clock.now()),
  );
  if (options.json === true) printJson(io.terminal, { cluster: clusterJson(removed) });
  else io.terminal.stdout.write(`removed the cluster ${removed.name}\n`);
}

function clusterText({ id, name, nodes, datacenter, description, createdAt }: Cluster): string {
  const each = LIVING_STATUSES.map((status) => `${nodes[status]} ${status}`).join(', ');
  const lines = [
    ['name', name],
    ['id', id],
    ['status', clusterStatus(nodes)],
    ['nodes', `${nodeTotal(nodes)}: ${each}`],
    ['datacenter', datacenter ?? '-'],
    ['description', description ?? '-'],
    ['since', showTime(createdAt)],
  ];
  return lines.map(([label = '', value]) => `${label.padEnd(11)} ${value}\n`).join('');
}

function membersText(members: readonly Member[], now: number): string {
  if (members.length === 0) return '';
  const table = new FixedTable([
    { label: 'NODE', width: 20, isCut: true },
    { label: 'ADDRESS', width: 15 },
    { label: 'STATUS', width: 8 },
    { label: 'HANDSHAKE', width: 9 },
    { label: 'VERSION', width: 20, isCut: true },
  ]);
  const rows = members.map(({ nodeName, addresses: [first = ''], status, lastHandshake, version }) =>
    table.row([nodeName, bareAddress(first), status, ageText(lastHandshake, now), version ?? '-']),
  );
  return `\n${table.header()}${rows.join('')}`;
}
