import type { Command } from 'commander';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { findClient } from '../clients/client-admin.ts';
import { isKillFilePresent } from '../data-directory.ts';
import { killAll, killClient, reviveAll, reviveClient } from '../kill-switch.ts';
import { withServerData } from '../server-data.ts';

interface KillOptions {
  readonly data: string;
  readonly client?: string;
  readonly reason?: string;
  readonly json?: boolean;
}

/** `kill` and `revive`, for everybody or for one client. They act at once on a running server. */
export function addKillCommands(program: Command, io: CommandIo): void {
  dataCommand(program, 'kill', 'stop all releases at once, or those of one client')
    .option('--client <name>', 'this client only')
    .option('--reason <text>', 'why, for the audit log')
    .action((options: KillOptions) => kill(options, io));
  dataCommand(program, 'revive', 'allow releases again')
    .option('--client <name>', 'this client only')
    .action((options: KillOptions) => revive(options, io));
}

function kill(options: KillOptions, io: CommandIo): Promise<void> {
  const reason = options.reason?.slice(0, 200) ?? null;
  return withServerData(options.data, async ({ store }) => {
    const changed = await store.transaction(async (tx) =>
      options.client === undefined
        ? killAll(tx, reason, io.clock.now())
        : killClient(tx, await findClient(tx, options.client), reason, io.clock.now()),
    );
    if (options.json === true) return printJson(io.terminal, { killed: options.client ?? 'all', changed });
    const what =
      options.client === undefined ? 'nothing is released to anybody' : `nothing is released to ${options.client}`;
    io.terminal.stdout.write(`${what}${changed ? '' : ', as before'}\n`);
  });
}

function revive(options: KillOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async ({ directory, store }) => {
    const changed = await store.transaction(async (tx) =>
      options.client === undefined
        ? reviveAll(tx, io.clock.now())
        : reviveClient(tx, await findClient(tx, options.client), io.clock.now()),
    );
    const fileThere = isKillFilePresent(directory);
    if (options.json === true)
      printJson(io.terminal, { revived: options.client ?? 'all', changed, killFile: fileThere });
    else io.terminal.stdout.write(`${options.client ?? 'the server'} ${changed ? 'is revived' : 'was not killed'}\n`);
    if (fileThere) io.terminal.stderr.write(`keyserver: hint: the file KILL in ${directory} still stops everything\n`);
  });
}
