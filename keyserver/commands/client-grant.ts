import type { Command } from 'commander';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { findClient, grantAgain } from '../clients/client-admin.ts';
import { withServerData } from '../server-data.ts';

interface GrantOptions {
  readonly data: string;
  readonly json?: boolean;
}

/** `client grant`: what an enrolled client needs to store keys, once more; its credentials go on as they are. */
export function addGrantCommand(client: Command, io: CommandIo): void {
  dataCommand(client, 'grant <name>', 'make a new grant to store keys; those before it end').action(
    (name: string, options: GrantOptions) => grant(name, options, io),
  );
}

function grant(name: string, options: GrantOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async ({ store }) => {
    const { clientId, text } = await store.transaction(async (tx) => {
      const client = await findClient(tx, name);
      return { clientId: client.id, text: await grantAgain(tx, client, io.clock.now(), io.random) };
    });
    if (options.json === true) return printJson(io.terminal, { clientId, grant: text });
    io.terminal.stdout.write(`grant   ${text}  (to store keys; one run, begun within 1 h)\n`);
  });
}
