import type { Command } from 'commander';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { type UnsealOptions, withUnsealOptions } from '../../platform/vault/unseal-options.ts';
import { type HubData, withHubData } from '../data/hub-data.ts';
import { exportText, writeExport } from '../hub/export-file.ts';
import { listInterfaces } from '../store/hub-interface.ts';
import { chosenInterface, listInterfaceFacts } from '../store/interface-facts.ts';
import { wantedPeers } from '../store/wanted-peers.ts';
import { openVault } from './open-vault.ts';

interface ExportOptions extends UnsealOptions {
  readonly data: string;
  readonly interface?: string;
  readonly out?: string;
  readonly json?: boolean;
}

/** `export`: the file of an interface for wg-quick or awg-quick, with its private key. It is a copy; the store is what counts. */
export function addExportCommand(program: Command, io: CommandIo): void {
  withUnsealOptions(dataCommand(program, 'export', 'write an interface as a file for wg-quick, private key and all'))
    .option('--interface <name>', 'the first by name unless told')
    .option('--out <file>', 'where to, mode 0600; to stdout unless told')
    .action((options: ExportOptions) =>
      withHubData(options.data, io.terminal.env, (data) => exportInterface(data, options, io)),
    );
}

async function exportInterface(data: HubData, options: ExportOptions, io: CommandIo): Promise<void> {
  const { name } = chosenInterface(await data.store.read(listInterfaceFacts), options.interface);
  const vault = await openVault(data, options, io);
  const facts = chosenInterface(await data.store.read((db) => listInterfaces(db, vault)), name);
  const peers = await data.store.read((db) => wantedPeers(db, name, vault));
  const text = exportText(facts, peers.values());
  if (options.out === undefined) {
    if (options.json === true) printJson(io.terminal, { interface: name, peers: peers.size, text });
    else io.terminal.stdout.write(text);
    return;
  }
  const changed = writeExport(options.out, text);
  if (options.json === true) printJson(io.terminal, { interface: name, peers: peers.size, file: options.out, changed });
  else
    io.terminal.stdout.write(
      `wrote ${name} with ${peers.size} ${peers.size === 1 ? 'peer' : 'peers'} to ${options.out}\n`,
    );
}
