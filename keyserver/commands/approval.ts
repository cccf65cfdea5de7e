import type { Command } from 'commander';
import { type CommandIo, dataCommand, showTime } from '../../platform/command-io.ts';
import { printJson, printTable } from '../../platform/command-line.ts';
import { type Approval, decideApproval, findApproval, listApprovals } from '../approvals/approvals.ts';
import { comparisonsOf, lengthText } from '../approvals/facts.ts';
import { gateNames } from '../approvals/record.ts';
import { findClient } from '../clients/client-admin.ts';
import { killClient } from '../kill-switch.ts';
import { withServerData } from '../server-data.ts';

interface DataOptions {
  readonly data: string;
  readonly json?: boolean;
}

interface ListOptions extends DataOptions {
  readonly all?: boolean;
}

interface DenyOptions extends DataOptions {
  readonly lock?: boolean;
}

/** `approval list|show|approve|deny`: a person's yes or no to requests that gates hold. */
export function addApprovalCommands(program: Command, io: CommandIo): void {
  const approval = program.command('approval').description('requests that wait for your yes');
  dataCommand(approval, 'list', 'list the requests that wait')
    .option('--all', 'those that are over as well')
    .action((options: ListOptions) => list(options, io));
  dataCommand(approval, 'show <id>', 'show one, and what differs from last time').action(
    (id: string, options: DataOptions) => show(id, options, io),
  );
  dataCommand(approval, 'approve <id>', 'say yes: one release to the same machine, within 15 minutes').action(
    (id: string, options: DataOptions) => approve(id, options, io),
  );
  dataCommand(approval, 'deny <id>', 'say no')
    .option('--lock', 'stop the client altogether as well, by its kill switch')
    .action((id: string, options: DenyOptions) => deny(id, options, io));
}

function list(options: ListOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async ({ store }) => {
    const now = io.clock.now();
    const approvals = await store.read((tx) => listApprovals(tx, now, options.all === true));
    if (options.json === true) return printJson(io.terminal, { approvals: approvals.map(reportOf) });
    if (approvals.length === 0) return void io.terminal.stderr.write('keyserver: hint: nothing waits for an answer\n');
    printTable(
      io.terminal,
      ['ID', 'CLIENT', 'STATE', 'HELD BY', 'FROM', 'ASKED', 'LEFT'],
      approvals.map((approval) => [
        approval.id,
        approval.client.name,
        approval.state,
        gateNames(approval),
        approval.source,
        showTime(approval.createdAt),
        timeLeft(approval, now),
      ]),
    );
  });
}

function timeLeft({ state, expiresAt }: Approval, now: number): string {
  return state === 'pending' || state === 'approved' ? lengthText(expiresAt - now) : '-';
}

function show(id: string, options: DataOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async ({ store }) => {
    const approval = await store.read((tx) => findApproval(tx, id, io.clock.now()));
    if (options.json === true) return printJson(io.terminal, reportOf(approval));
    const { facts } = approval;
    const decided = approval.decidedBy === null ? '-' : `${showTime(approval.decidedAt)} by ${approval.decidedBy}`;
    const lines: [string, string][] = [
      ['id', approval.id],
      ['client', approval.client.name],
      ['state', approval.state],
      ['held by', approval.gates.map(({ gate, reason }) => `${gate} (${reason})`).join(', ')],
      ['reason', facts.reason],
      ['asked', showTime(approval.createdAt)],
      ['lapses', approval.state === 'pending' ? showTime(approval.expiresAt) : '-'],
      ['decided', decided],
      ['used', showTime(approval.usedAt)],
      ['heard', showTime(facts.before.presentAt)],
      ['released', showTime(facts.before.releasedAt)],
    ];
    for (const [label, value] of lines) io.terminal.stdout.write(`${label.padEnd(9)} ${value}\n`);
    io.terminal.stdout.write('\n');
    printTable(
      io.terminal,
      ['', 'FACT', 'LAST TIME', 'NOW', ''],
      comparisonsOf(facts).map(({ fact, before, now, differs, meaning }) => [
        differs ? 'differs' : 'same',
        fact,
        short(before),
        short(now),
        meaning,
      ]),
    );
  });
}

/** Enough of a fingerprint to compare by eye; the whole of it is in the JSON. */
function short(value: string | null): string {
  if (value === null) return '-';
  return /^[0-9a-f]{64}$/.test(value) ? `${value.slice(0, 16)}…` : value;
}

function approve(id: string, options: DataOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async ({ store }) => {
    const by = { means: 'command', who: null } as const;
    const approval = await store.transaction((tx) => decideApproval(tx, id, 'approve', by, io.clock.now()));
    if (options.json === true) return printJson(io.terminal, reportOf(approval));
    io.terminal.stdout.write(
      `approved ${id}: ${approval.client.name} gets its keys once, if it asks from ${approval.source} as the same machine ` +
        `by ${showTime(approval.expiresAt)}\n`,
    );
  });
}

function deny(id: string, options: DenyOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async ({ store }) => {
    const now = io.clock.now();
    const approval = await store.transaction(async (tx) => {
      const denied = await decideApproval(tx, id, 'deny', { means: 'command', who: null }, now);
      if (options.lock === true) await killClient(tx, await findClient(tx, denied.client.id), `${id} was denied`, now);
      return denied;
    });
    const locked = options.lock === true;
    if (options.json === true) return printJson(io.terminal, { ...reportOf(approval), locked });
    const { name } = approval.client;
    const more = locked ? `; nothing at all is released to ${name} until keyserver revive --client ${name}` : '';
    io.terminal.stdout.write(`denied ${id}: nothing is released to this machine of ${name} for a day${more}\n`);
  });
}

function reportOf(approval: Approval): Readonly<Record<string, unknown>> {
  return { ...approval, compared: comparisonsOf(approval.facts) };
}
